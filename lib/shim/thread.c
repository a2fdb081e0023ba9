#include "thread.h"

#include "memory.h"
#include "ring.h"
#include "session.h"
#include "slots.h"
#include "stack.h"
#include "walks.h"

#define THREADS_MAX 8192
/* All states together, were all stacks deep, are at most so many budgets, but for those that only have room for DEPTH_USUAL frames. */
#define STATES_BUDGETS 8u
#define BUDGET_PART 4u /* of what is left of that, a state is so small a part, and of memory_left() */
#define LEFT_PART 8u
#define DEPTH_USUAL 1024u
#define HALVINGS_MAX 16u
#define ADOPT_TRIES 16u
#define ADOPT_MORE 256u /* where there is no room for another state */
#define PAUSE_MOST 1023u
#define SAME_STACK (16u << 20) /* frames further apart than this are not compared */

__thread struct thread *thread_self;
/* A thread that found no state does not look for one at each event: it lets twice as many pass as the last time. */
static __thread uint32_t pause_next __attribute__((tls_model("initial-exec")));
static __thread uint32_t pause_left __attribute__((tls_model("initial-exec")));
uint32_t session_off;

/* All states there are, and how often each was halved. Static arrays: in a fork child the states are zero, their addresses are not. */
static struct thread *threads[THREADS_MAX];
static uint8_t halvings[THREADS_MAX];
static uint32_t thread_count;
static size_t states_total;
/*
 * In a fork child: the first states are of the parent's threads, and zero. One of them is that of the thread that has forked, which has its address and has not
 * come yet; until then, nobody else takes any of them.
 */
static uint32_t inherited;

/* Read once: it may be more than there is room for, for a moment. */
static uint32_t count_states(void)
{
    uint32_t count = word_get(&thread_count);
    return MIN(count, THREADS_MAX);
}

struct thread *thread_state(uint32_t i)
{
    return i < count_states() ? __atomic_load_n(&threads[i], __ATOMIC_ACQUIRE) : NULL;
}

/* What a thread knows is its own to change: it is told. One that changes it just now is on another stack. */
COLD void threads_forget_stacks(uintptr_t start, uintptr_t end)
{
    const struct thread *own = thread_self;
    uint32_t count = count_states();
    for (uint32_t i = 0; i < count; i++) {
        struct thread *t = thread_state(i);
        if (t && t != own && start < __atomic_load_n(&t->stack.high, __ATOMIC_RELAXED) &&
            __atomic_load_n(&t->stack.low, __ATOMIC_RELAXED) < end)
            word_set(&t->stack_unmapped, 1);
    }
}

uint32_t thread_take_nested(struct thread *t, const void *own)
{
    uint32_t others = 0;
    for (unsigned i = 0; i < THREAD_NESTED; i++) {
        const void *p = __atomic_exchange_n(&t->nested[i], NULL, __ATOMIC_RELAXED);
        if (!p)
            continue;
        word_add(&t->nested_count, (uint32_t)-1);
        others += p != own;
    }
    return others;
}

static struct thread_shape shape_of(unsigned halved)
{
    uint32_t least = MIN(config.depth_max, THREAD_DEPTH_LEAST);
    return (struct thread_shape){MAX(config.depth_max >> halved, least),
                                 MAX(THREAD_MANY >> halved, THREAD_ROOMS_LEAST)};
}

static size_t state_bytes(unsigned halved)
{
    return align_up(thread_bytes(shape_of(halved)), 4096);
}

/* How often a state is halved if the others have so many bytes, and so many are left below a limit. */
static unsigned halvings_for(size_t used, size_t left)
{
    uint64_t most = STATES_BUDGETS * session_budget, share = (most - MIN(most, used)) / BUDGET_PART;
    unsigned halved = 0;
    while (state_bytes(halved) > share && shape_of(halved + 1).depth >= DEPTH_USUAL)
        halved++;
    while (state_bytes(halved) > left / LEFT_PART && halved < HALVINGS_MAX)
        halved++;
    return halved;
}

/* Counted before it is there: threads that start together share what is left. */
static unsigned choose_halvings(void)
{
    size_t used = __atomic_load_n(&states_total, __ATOMIC_RELAXED), left = memory_left();
    unsigned halved;
    do {
        halved = halvings_for(used, left);
    } while (!__atomic_compare_exchange_n(&states_total, &used, used + state_bytes(halved), true, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    return halved;
}

static void forget_memos(struct thread *t)
{
    for (unsigned i = 0; i < room_count(&t->memos); i++)
        t->memo[i].pc = 0;
}

/* What a hook that was left, or whose thread ended in it, may have been about to change. */
static void forget(struct thread *t, uint32_t owner)
{
    t->frame_count = t->walk.grown = 0;
    t->line_next = t->line_end = t->line_begun = 0; /* the rest of the run stays unused */
    t->clock_left = 0;
    maps_let_go(owner);
    for (unsigned i = 0; i < room_count(&t->steps); i++)
        t->step[i].pc = 0;
    for (unsigned i = 0; i < room_count(&t->leaves); i++)
        t->leaf[i].path = 0;
    forget_memos(t);
}

static bool take(uint32_t row, uint32_t tid, bool ask)
{
    struct thread *t = row < THREADS_MAX ? __atomic_load_n(&threads[row], __ATOMIC_ACQUIRE) : NULL;
    if (!t)
        return false;
    uint32_t owner = word_get(&t->owner);
    if (owner && (!ask || owner == tid || sys_thread_exists(sys_pid(), owner)))
        return false;
    if (!word_swap(&t->owner, owner, tid))
        return false;
    t->ready = 0;
    if (t->guard && t->step)
        forget(t, owner);
    t->guard = NULL;
    walks_forget(t);
    t->stack = (struct stack){0, 0};
    t->stack_unmapped = 0;
    t->clock_left = 0;
    t->clock_interval = 0;
    thread_take_nested(t, NULL);
    thread_set_arrays(t, shape_of(halvings[row]));
    return true;
}

static struct thread *make(uint32_t owner)
{
    unsigned halved = choose_halvings();
    size_t bytes = state_bytes(halved);
    struct thread *t = memory_map(bytes);
    uint32_t row = t ? word_add(&thread_count, 1) : 0;
    if (row >= THREADS_MAX) {
        word_set(&thread_count, THREADS_MAX);
        memory_unmap(t, bytes);
        t = NULL;
    }
    if (!t) {
        __atomic_fetch_sub(&states_total, bytes, __ATOMIC_RELAXED);
        return NULL;
    }
    thread_set_arrays(t, shape_of(halved));
    t->owner = owner;
    halvings[row] = (uint8_t)halved;
    __atomic_store_n(&threads[row], t, __ATOMIC_RELEASE);
    return t;
}

/* A state that is free, or whose owner has ended. */
static struct thread *find(uint32_t tid, uint32_t most)
{
    static uint32_t cursor;
    uint32_t first = word_get(&inherited), count = count_states();
    uint32_t tries = sys_frozen() ? count : MIN(count, most);
    for (uint32_t i = 0; first < count && i < tries; i++) {
        uint32_t row = first + word_add(&cursor, 1) % (count - first);
        if (take(row, tid, !sys_frozen()))
            return threads[row];
    }
    return NULL;
}

/* THREADS_MAX: it is none. */
static uint32_t row_of(const struct thread *t)
{
    uint32_t row = 0;
    while (row < THREADS_MAX && threads[row] != t)
        row++;
    return row;
}

/* Once frozen, the kernel cannot be asked who we are; the address of the thread's own TLS word is as unique among the living. */
static uint32_t own_id(void)
{
    return sys_frozen() ? (uint32_t)((uintptr_t)&thread_self >> 4) | 0x80000000u : (uint32_t)sys_tid();
}

/* In a fork child: the one that has forked. */
static bool is_first_thread(uint32_t tid)
{
    return !sys_frozen() && (long)tid == sys_pid();
}

static struct thread *attach(void)
{
    struct thread *t = thread_self;
    uint32_t tid = own_id();
    if (!t && is_first_thread(tid)) /* it had none */
        word_set(&inherited, 0);
    if (t && take(row_of(t), tid, false)) {
        if (row_of(t) < word_get(&inherited))
            word_set(&inherited, 0);
    } else {
        t = find(tid, ADOPT_TRIES); /* threads come and go at about the same rate */
        if (!t)
            t = make(tid);
        if (!t)
            t = find(tid, ADOPT_MORE);
    }
    if (t) {
        struct slot *slot = slots_attach(tid);
        if (t->slot && slot != t->slot) /* memos name its cells */
            forget_memos(t);
        t->slot = slot;
        word_add(&session_header->threads_seen, 1);
        thread_self = t;
        t->ready = 1;
        pause_next = 0;
    } else {
        pause_left = pause_next;
        pause_next = MIN(2 * pause_next + 1, PAUSE_MOST);
        slot_lose(slots_shared(), HT_LOST_NO_THREAD, 1);
    }
    return t;
}

/* The first hook of a thread, or of a fork child; a borrower ends while the state goes on to be that of a thread that lives. No handler comes in between that might fork: its child would go on with half of this. */
static COLD struct thread *begin(struct guard *guard)
{
    struct sys_signals signals;
    if (pause_left && session_is_of_this_process()) {
        pause_left--;
        slot_lose(slots_shared(), HT_LOST_NO_THREAD, 1);
        return NULL;
    }
    sys_block_signals(&signals);
    struct thread *t = session_start() && !session_is_borrowed() ? attach() : NULL;
    if (t)
        thread_set_guard(t, guard);
    sys_restore_signals(&signals);
    return t;
}

/* Was the hook that set t->guard left without coming back? `guard` is the new hook's. */
static bool is_stale(struct thread *t, const struct guard *guard)
{
    uintptr_t now = (uintptr_t)guard, then = (uintptr_t)t->guard;
    stack_heed(t);
    if (now == then) /* two that live cannot be in one place */
        return true;
    if (now > then) /* the stack grows down: that frame is gone, unless this is a handler on an alternate stack */
        return now - then < SAME_STACK && !sys_frozen() && !sys_on_alternate_stack() && stack_enter(&t->stack, then) &&
               stack_readable(&t->stack, now);
    /* Deeper: another hook's frame may lie where the cookie was. Its memory is read only if it is known to be there. */
    return then - now < SAME_STACK && stack_enter(&t->stack, now) && stack_readable(&t->stack, then) &&
           t->guard->cookie != GUARD_COOKIE;
}

COLD struct thread *thread_enter_slow(struct guard *guard)
{
    struct thread *t = thread_self;
    if (!t || !t->guard)
        return begin(guard);
    if (!is_stale(t, guard))
        return NULL;
    if (!t->ready || !session_is_of_this_process()) /* a fork child's, which has inherited the guard */
        return begin(guard);
    slot_lose(t->slot, HT_LOST_GUARD_CLEARED, 1);
    if (t->nested_count)
        count_add_shared(&t->slot->file->lost[HT_LOST_REENTRANT_ALLOC], thread_take_nested(t, NULL));
    forget(t, t->owner);
    ring_settle(t->slot);
    thread_set_guard(t, guard);
    return t;
}

COLD struct thread *thread_enter_anew(struct thread *t, struct guard *guard)
{
    t->guard = NULL;
    return session_off ? NULL : begin(guard);
}

/* Of a state that is ours: what its arrays hold means nothing in other places. */
static bool reshape(struct thread *t, uint32_t row, unsigned halved, bool wait)
{
    size_t before = state_bytes(halvings[row]), after = state_bytes(halved);
    unsigned was = halvings[row];
    char *arrays = (char *)(t + 1), *end = (char *)align_up((uintptr_t)arrays, 4096);
    __builtin_memset(arrays, 0, (size_t)(end - arrays));
    memory_empty(end, (size_t)((char *)t + before - end));
    t->steps = t->leaves = t->memos = (struct room){0};
    halvings[row] = (uint8_t)halved; /* first: a fork child is never told of more than there is */
    bool cut = memory_cut(t, after, wait);
    if (cut)
        __atomic_fetch_sub(&states_total, before - after, __ATOMIC_RELAXED);
    else
        halvings[row] = (uint8_t)was;
    thread_set_arrays(t, shape_of(halvings[row]));
    return cut;
}

void threads_anew(void)
{
    word_set(&inherited, count_states());
}

COLD void thread_cut(size_t bytes, bool wait)
{
    const struct thread *own = thread_self;
    uint32_t tid = own_id(), first = word_get(&inherited);
    if (own ? row_of(own) < first : is_first_thread(tid)) /* of the thread that has forked: the others are not here */
        first = 0;
    for (uint32_t row = first; row < count_states(); row++) {
        struct thread *t = __atomic_load_n(&threads[row], __ATOMIC_ACQUIRE);
        size_t others = memory_bytes() - state_bytes(halvings[row]);
        unsigned halved = halvings_for(__atomic_load_n(&states_total, __ATOMIC_RELAXED), bytes - MIN(bytes, others));
        if (!t || t == own || halved <= halvings[row] || !take(row, tid, true))
            continue;
        bool cut = reshape(t, row, halved, wait);
        word_publish(&t->owner, 0);
        if (!cut)
            break;
    }
}

void thread_reserve(unsigned spare)
{
    while (spare-- && make(0)) {
    }
}
