/*
 * The gate of every hook: the outermost one records, those inside it do not, and one that was left without coming back is noticed, from further out, from the
 * same place and from deeper, but never mistaken for one that is still at work.
 */
#include "stage.h"

#include <shim/memory.h>
#include <shim/session.h>
#include <shim/slots.h>
#include <shim/stack.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* ---- The session ---- */

struct config config = {.depth_max = 10};
struct ht_header *session_header = &stage_header;
uint64_t session_budget;
static bool recording = true;
static unsigned starts;

bool session_start(void)
{
    word_add(&starts, 1);
    return recording;
}

static bool of_this_process = true;

bool session_is_of_this_process(void)
{
    return of_this_process;
}

static bool borrowed;

bool session_is_borrowed(void)
{
    return borrowed;
}

static void begin(void)
{
    stage_tables(100);
    session_budget = 64 << 20;
    ck_assert(slots_init(8));
}

static uint32_t lost(enum ht_loss loss)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i <= 8; i++)
        sum += SECTION_RECORD(const struct ht_slot, HT_SLOTS, i)->lost[loss].lo;
    return sum;
}

/* ---- The tests ---- */

START_TEST(enters_and_leaves)
{
    struct guard guard;
    begin();
    struct thread *t = thread_enter(&guard);
    ck_assert_ptr_nonnull(t);
    ck_assert_ptr_eq(thread_self, t);
    ck_assert_uint_eq(t->owner, (uint32_t)gettid());
    ck_assert_uint_eq(t->slot->file->owner, (uint32_t)gettid());
    ck_assert_uint_eq(t->depth_max, 10);
    thread_leave(t, &guard);
    ck_assert_ptr_eq(thread_enter(&guard), t);
    thread_leave(t, &guard);
    ck_assert_uint_eq(starts, 1);
    ck_assert_uint_eq(stage_header.threads_seen, 1);
}
END_TEST

START_TEST(does_not_record)
{
    struct guard guard;
    begin();
    recording = false;
    ck_assert_ptr_null(thread_enter(&guard));
    ck_assert_uint_eq(starts, 1);
    session_off = 1;
    ck_assert_ptr_null(thread_enter(&guard));
    ck_assert_uint_eq(starts, 1); /* nobody is asked any more */
}
END_TEST

/* Calls itself `depth` times and then the function, on frames that are really there. */
__attribute__((noinline)) static void deeper(unsigned depth, void (*function)(void *), void *argument)
{
    char frame[256] __attribute__((aligned(16)));
    memset(frame, (int)depth, sizeof frame);
    __asm__ volatile("" : : "r"(frame) : "memory");
    if (depth)
        deeper(depth - 1, function, argument);
    else
        function(argument);
    __asm__ volatile("" : : "r"(frame) : "memory");
}

static void try_to_enter(void *argument)
{
    struct guard guard;
    *(struct thread **)argument = thread_enter(&guard);
    if (*(struct thread **)argument)
        thread_leave(*(struct thread **)argument, &guard);
}

START_TEST(a_hook_inside_a_hook)
{
    struct guard guard;
    struct thread *inner = (void *)1;
    begin();
    struct thread *t = thread_enter(&guard);
    for (unsigned depth = 0; depth < 200; depth += 20) {
        deeper(depth, try_to_enter, &inner);
        ck_assert_ptr_null(inner);
        ck_assert_ptr_eq(t->guard, &guard);
    }
    thread_leave(t, &guard);
    ck_assert_uint_eq(lost(HT_LOST_GUARD_CLEARED), 0);
}
END_TEST

/* A stack made by hand, in which a hook was left at word 2048. */
static struct guard *frames;

static struct thread *leave_a_hook(void)
{
    begin();
    frames = mmap(NULL, 4096 * sizeof *frames, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(frames != MAP_FAILED);
    return thread_enter(&frames[2048]);
}

static void check_recovered(struct guard *guard)
{
    struct thread *t = thread_enter(guard);
    ck_assert_ptr_nonnull(t);
    ck_assert_ptr_eq(t->guard, guard);
    thread_leave(t, guard);
    ck_assert_uint_eq(lost(HT_LOST_GUARD_CLEARED), 1);
}

START_TEST(left_and_entered_from_further_out)
{
    struct thread *t = leave_a_hook();
    t->frame_count = 5;
    t->leaf[3].path = 7;
    t->step[4].pc = 8;
    t->line_next = 3;
    t->line_end = 64;
    t->line_begun = 2;
    t->clock_left = 60;
    t->nested[1] = &t;
    t->nested_count = 1;
    check_recovered(&frames[2048 + 3]);
    ck_assert_uint_eq(t->frame_count, 0); /* what it was about to write is not believed */
    ck_assert(!t->leaf[3].path);
    ck_assert_uint_eq(t->step[4].pc, 0);
    ck_assert_uint_eq(t->line_next | t->line_end | t->line_begun, 0);
    ck_assert_int_eq(t->clock_left, 0);
    ck_assert_uint_eq(t->nested_count, 0);
    ck_assert_uint_eq(lost(HT_LOST_REENTRANT_ALLOC), 1);
}
END_TEST

START_TEST(left_and_entered_from_the_same_place)
{
    leave_a_hook();
    check_recovered(&frames[2048]);
}
END_TEST

START_TEST(left_and_entered_from_deeper)
{
    leave_a_hook();
    ck_assert_ptr_null(thread_enter(&frames[2000])); /* as long as the cookie is there, it may be at work */
    frames[2048].cookie = 42;                        /* other frames have been there since */
    check_recovered(&frames[2000]);
}
END_TEST

/* As in the child of a handler that forked: as long as the hook may be at work nothing is done, then it starts over. */
START_TEST(left_by_a_fork_child)
{
    struct thread *t = leave_a_hook();
    unsigned before = starts;
    of_this_process = false;
    ck_assert_ptr_null(thread_enter(&frames[2000]));
    ck_assert_uint_eq(starts, before);
    frames[2048].cookie = 42;
    t->owner = 0; /* session_start wipes it */
    ck_assert_ptr_eq(thread_enter(&frames[2000]), t);
    ck_assert_uint_eq(starts, before + 1);
    ck_assert_uint_eq(lost(HT_LOST_GUARD_CLEARED), 0); /* that is the parent's */
}
END_TEST

/* Wiped between the look for a guard and its setting, or before: the hook that finds that out starts over. */
START_TEST(not_ready_any_more)
{
    struct guard guard;
    begin();
    struct thread *t = thread_enter(&guard);
    thread_leave(t, &guard);
    t->ready = t->owner = 0;
    recording = false;
    ck_assert_ptr_null(thread_enter(&guard));
    ck_assert_ptr_null(t->guard);
    recording = true;
    ck_assert_ptr_eq(thread_enter(&guard), t);
    ck_assert(t->ready && t->guard == &guard && guard.cookie == GUARD_COOKIE);
    thread_leave(t, &guard);
    t->ready = 0;
    session_off = 1;
    ck_assert_ptr_null(thread_enter(&guard));
    ck_assert_ptr_null(t->guard);
    ck_assert_uint_eq(starts, 3);
}
END_TEST

/* A vfork child of a thread that has no state yet would leave one behind that seems to be nobody's. */
START_TEST(a_borrower_gets_none)
{
    struct guard guard;
    begin();
    borrowed = true;
    ck_assert_ptr_null(thread_enter(&guard));
    ck_assert_ptr_null(thread_self);
    borrowed = false;
    ck_assert_ptr_nonnull(thread_enter(&guard));
}
END_TEST

/* A handler on a stack of its own, above the thread's: not a frame further out. */
static void on_signal(int signal)
{
    struct thread *inner = (void *)1;
    (void)signal;
    try_to_enter(&inner);
    if (inner)
        _exit(3);
}

START_TEST(a_handler_on_its_own_stack)
{
    struct guard guard;
    begin();
    /* One mapping: the thread runs in its lower half, the handler in its upper one. */
    char *both = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(both != MAP_FAILED);
    stack_t stack = {.ss_sp = both + (1 << 19), .ss_size = 1 << 19};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    ck_assert_int_eq(sigaltstack(&stack, NULL), 0);
    sigaction(SIGUSR1, &action, NULL);
    struct guard *low = (struct guard *)(void *)(both + (1 << 18));
    struct thread *t = thread_enter(low);
    ck_assert_ptr_nonnull(t);
    raise(SIGUSR1);
    ck_assert_ptr_eq(t->guard, low);
    ck_assert_uint_eq(lost(HT_LOST_GUARD_CLEARED), 0);
    thread_leave(t, low);
    ck_assert_ptr_eq(thread_enter(&guard), t);
    thread_leave(t, &guard);
}
END_TEST

/* Far away may be another stack of this thread (a coroutine), whose hook is still at work. */
START_TEST(far_away_is_not_judged)
{
    struct thread *t, *inner = (void *)1;
    begin();
    char *far = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ck_assert(far != MAP_FAILED);
    t = thread_enter((struct guard *)(void *)far);
    ck_assert_ptr_nonnull(t);
    ck_assert_ptr_null(thread_enter((struct guard *)(void *)(far + (40 << 20))));
    try_to_enter(&inner);
    ck_assert_ptr_null(inner);
    thread_leave(t, (struct guard *)(void *)far);
}
END_TEST

START_TEST(a_guard_whose_memory_is_gone)
{
    struct thread *t;
    begin();
    char *stack = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(stack != MAP_FAILED);
    t = thread_enter((struct guard *)(void *)(stack + 12288));
    ck_assert_ptr_nonnull(t);
    ck_assert_int_eq(mprotect(stack + 8192, 8192, PROT_NONE), 0);
    ck_assert_ptr_null(thread_enter((struct guard *)(void *)(stack + 4096))); /* not read, not believed to be over */
}
END_TEST

static void unmap_stack(unsigned i)
{
    struct guard guard;
    (void)i;
    ck_assert_ptr_nonnull(thread_enter(&guard));
    for (uintptr_t end = 0x5000; end <= 0x9000; end += 0x4000) { /* beside the other one's */
        threads_forget_stacks(end - 0x1000, end);
        ck_assert_uint_eq(thread_state(0)->stack_unmapped, 0);
    }
    threads_forget_stacks(0x7000, 0xa000);
    thread_leave(thread_self, &guard);
}

/* Another thread unmaps memory: who knows a stack there is told, but who does it. */
START_TEST(a_stack_that_another_thread_unmaps)
{
    struct guard guard;
    begin();
    struct thread *t = thread_enter(&guard);
    ck_assert_ptr_eq(t, thread_state(0));
    t->stack = (struct stack){0x5000, 0x8000};
    threads_forget_stacks(0x5000, 0x8000);
    ck_assert_uint_eq(t->stack_unmapped, 0);
    stage_crowd(1, unmap_stack);
    ck_assert_uint_eq(t->stack_unmapped, 1);
    ck_assert_uint_eq(t->stack.high, 0x8000); /* its own to change */
    stack_heed(t);
    ck_assert_uint_eq(t->stack.high, 0);
    thread_leave(t, &guard);
}
END_TEST

START_TEST(no_memory_for_a_thread)
{
    struct guard guard;
    begin();
    stage_refuse(SYS_mmap, 0, ENOMEM, 0);
    ck_assert_ptr_null(thread_enter(&guard));
    ck_assert_uint_eq(lost(HT_LOST_NO_THREAD), 1);
    stage_allow();
    ck_assert_ptr_nonnull(thread_enter(&guard)); /* the next event finds some */
}
END_TEST

START_TEST(no_memory_for_long)
{
    struct guard guard;
    begin();
    stage_refuse(SYS_mmap, 0, ENOMEM, 0);
    for (int i = 0; i < 5000; i++)
        ck_assert_often(!thread_enter(&guard));
    ck_assert_uint_eq(lost(HT_LOST_NO_THREAD), 5000);
    ck_assert_uint_le(stage_calls(SYS_rt_sigprocmask), 2 * 20); /* asked for seldom */
    stage_allow();
    int more = 0;
    while (!thread_enter(&guard))
        ck_assert_int_le(++more, 1023);
}
END_TEST

static struct thread *state[200];
static uint32_t state_count;

static void note_state(unsigned i)
{
    struct guard guard;
    (void)i;
    struct thread *t = thread_enter(&guard);
    state[word_add(&state_count, 1)] = t;
    thread_leave(t, &guard);
}

static uint32_t different_states(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < state_count; i++) {
        bool again = false;
        for (uint32_t j = 0; j < i; j++)
            again |= state[j] == state[i];
        count += !again;
    }
    return count;
}

START_TEST(states_of_ended_threads_are_used_again)
{
    begin();
    for (int round = 0; round < 20; round++)
        stage_crowd(4, note_state);
    ck_assert_uint_eq(state_count, 80);
    ck_assert_uint_le(different_states(), 10);
    ck_assert_uint_eq(stage_header.threads_seen, 80);
}
END_TEST

static uint32_t memos_dropped;

/* Each leaves a memo, in which the counter is one of its slot. */
static void remember_cell(unsigned i)
{
    struct guard guard;
    (void)i;
    struct thread *t = thread_enter(&guard);
    struct memo *memo = &t->memo[3];
    if (!memo->pc && t->leaf[3].path) /* not a new state */
        word_add(&memos_dropped, 1);
    ck_assert(!memo->pc || memo->counter.site == t->slot->index);
    t->leaf[3].path = memo->pc = 8;
    memo->counter.site = t->slot->index;
    thread_leave(t, &guard);
}

START_TEST(memos_are_of_one_slot)
{
    begin();
    for (int round = 0; round < 40; round++)
        stage_crowd(round % 2 ? 1 : 2, remember_cell);
    ck_assert_uint_gt(memos_dropped, 0); /* a state came together with another slot */
}
END_TEST

/* Ends inside a hook, between two stores. */
static void end_inside(unsigned i)
{
    struct guard guard;
    struct thread *t = thread_enter(&guard);
    state[i] = t;
    t->steps.mask = (2 * THREAD_FEW - 1) * 16;
    t->step[2 * THREAD_FEW - 1].pc = 8;
    t->step[4].pc = 8;
    t->leaf[3].path = 7;
    t->line_end = 64;
}

static void look_around(unsigned i)
{
    struct guard guard;
    struct thread *t = thread_enter(&guard);
    ck_assert_ptr_eq(t, state[i]);
    ck_assert_uint_eq(room_count(&t->steps),
                      2 * THREAD_FEW); /* or what lies there would come back with the next growth */
    ck_assert_uint_eq(t->step[2 * THREAD_FEW - 1].pc, 0);
    ck_assert_uint_eq(t->step[4].pc, 0);
    ck_assert(!t->leaf[3].path);
    ck_assert_uint_eq(t->line_end, 0);
    thread_leave(t, &guard);
}

START_TEST(a_thread_that_ended_inside_a_hook)
{
    begin();
    stage_crowd(1, end_inside);
    stage_crowd(1, look_around);
}
END_TEST

static pthread_barrier_t all_in;

static void record_together(unsigned i)
{
    struct guard guard;
    struct thread *t = thread_enter(&guard);
    state[i] = t;
    pthread_barrier_wait(&all_in); /* all inside at once */
    ck_assert_ptr_eq(thread_self, t);
    ck_assert_ptr_eq(t->guard, &guard);
    thread_leave(t, &guard);
    pthread_barrier_wait(&all_in);
}

START_TEST(every_thread_has_its_own)
{
    begin();
    pthread_barrier_init(&all_in, NULL, 16);
    for (int round = 0; round < 5; round++) {
        stage_crowd(16, record_together);
        state_count = 16;
        ck_assert_uint_eq(different_states(), 16);
    }
}
END_TEST

START_TEST(frozen_threads_use_what_was_set_aside)
{
    begin();
    thread_reserve(4);
    sys_freeze();
    pthread_barrier_init(&all_in, NULL, 4);
    stage_crowd(4, record_together);
    state_count = 4;
    ck_assert_uint_eq(different_states(), 4);
}
END_TEST

START_TEST(what_was_called_inside)
{
    struct guard guard;
    int a, b, c;
    begin();
    struct thread *t = thread_enter(&guard);
    t->nested[0] = &a;
    t->nested[2] = &b;
    t->nested[3] = &c;
    t->nested_count = 3;
    ck_assert_uint_eq(thread_take_nested(t, &b), 2);
    ck_assert_uint_eq(t->nested_count, 0);
    ck_assert_uint_eq(thread_take_nested(t, &b), 0);
}
END_TEST

static int by_depth(const void *a, const void *b)
{
    return (int)(*(struct thread *const *)b)->depth_max - (int)(*(struct thread *const *)a)->depth_max;
}

START_TEST(many_deep_threads_share_a_few_budgets)
{
    begin();
    size_t before = memory_bytes();
    config.depth_max = 8192;
    session_budget = 1 << 20;
    pthread_barrier_init(&all_in, NULL, 32);
    stage_crowd(32, record_together);
    state_count = 32;
    ck_assert_uint_eq(different_states(), 32);
    ck_assert_uint_lt(memory_bytes() - before, (8 << 20) + 32 * (400 << 10));
    qsort(state, 32, sizeof *state, by_depth);
    ck_assert_uint_ge(state[0]->depth_max, 4096);
    ck_assert_uint_eq(state[31]->depth_max, 1024);
    for (unsigned i = 0; i < 32; i++) { /* what they have room for is there */
        state[i]->leaf[room_count(&state[i]->leaves) - 1].path = i;
        state[i]->frame[state[i]->depth_max - 1].path = i;
    }
}
END_TEST

START_TEST(states_are_a_part_of_a_limit)
{
    begin();
    config.depth_max = 8192;
    session_budget = 1 << 30;
    stage_data_limit = 1 << 30;
    size_t before = memory_bytes();
    thread_reserve(1);
    size_t first = memory_bytes() - before;
    ck_assert_uint_gt(first, thread_bytes((struct thread_shape){8192, THREAD_MANY}) - 1);
    thread_reserve(1000);
    ck_assert_uint_gt(memory_bytes(), before + 10 * first);
    ck_assert_uint_le(memory_bytes(), stage_data_limit / MEMORY_PART);
    stage_data_limit = 1 << 20; /* what holds is what is in force now */
    ck_assert_uint_eq(memory_left(), 0);
}
END_TEST

static void fill(struct thread *t)
{
    for (unsigned i = 0; i < room_count(&t->steps); i++)
        t->step[i].pc = t->leaf[i].path = 8;
    for (unsigned i = 0; i < t->depth_max; i++)
        t->frame[i].sp = 8;
}

/* As one that has just been made; and all there is of it is there. */
static void check_new(struct thread *t)
{
    ck_assert_uint_eq(t->frame_count, 0);
    for (unsigned i = 0; i < room_count(&t->steps); i++)
        ck_assert_often(t->step[i].pc == 0 && t->leaf[i].path == 0);
    t->steps.mask = t->leaves.mask = t->steps.most;
    fill(t);
}

static void leave_it_full(unsigned i)
{
    struct guard guard;
    struct thread *t = thread_enter(&guard);
    state[i] = t;
    t->heap_pending = 77;
    fill(t);
    if (i != 1) /* whose thread ends in the hook */
        thread_leave(t, &guard);
    pthread_barrier_wait(&all_in);
}

START_TEST(states_of_ended_threads_become_small)
{
    struct guard guard;
    begin();
    config.depth_max = 8192;
    session_budget = 1 << 28;
    struct thread *own = thread_enter(&guard);
    thread_leave(own, &guard);
    fill(own);
    pthread_barrier_init(&all_in, NULL, 16);
    stage_crowd(16, leave_it_full);
    for (unsigned i = 0; i < 16; i++) /* the kernel may still know it */
        for (int tries = 0; tries < 1000 && sys_thread_exists(sys_pid(), state[i]->owner); tries++)
            usleep(1000);
    size_t before = memory_bytes(), one = thread_bytes((struct thread_shape){8192, THREAD_MANY});
    ck_assert_uint_gt(before, 17 * one);
    thread_cut(1 << 30, true); /* they are small enough */
    ck_assert_uint_eq(memory_bytes(), before);
    stage_refuse(SYS_munmap, 0, ENOMEM, 0);
    thread_cut(3 << 20, true);
    ck_assert_uint_eq(memory_bytes(), before);
    stage_allow();
    thread_cut(3 << 20, true);
    ck_assert_uint_lt(memory_bytes(), before - 15 * one);
    ck_assert_uint_lt(memory_bytes(), one + (4 << 20));
    ck_assert(own->depth_max == 8192 && own->leaf[0].path == 8);
    for (unsigned i = 0; i < 16; i++) {
        ck_assert_uint_eq(state[i]->owner, 0);
        ck_assert(state[i]->heap_pending == 77 && !state[i]->guard);
        ck_assert_uint_lt(state[i]->depth_max, 8192);
        check_new(state[i]);
    }
    stage_crowd(16, record_together);
    state_count = 16;
    ck_assert_uint_eq(different_states(), 16);
}
END_TEST

START_TEST(there_is_an_end_to_room)
{
    struct room room = {.mask = (THREAD_FEW - 1) * 16, .most = (THREAD_MANY - 1) * 16};
    for (uint32_t i = 0; i < 100 * THREAD_MANY; i++)
        room_fight(&room, i);
    ck_assert_uint_eq(room_count(&room), THREAD_MANY);
}
END_TEST

SUITE("thread", enters_and_leaves, does_not_record, a_hook_inside_a_hook, left_and_entered_from_further_out,
      left_and_entered_from_the_same_place, left_and_entered_from_deeper, a_handler_on_its_own_stack,
      left_by_a_fork_child, a_borrower_gets_none, not_ready_any_more, far_away_is_not_judged,
      a_guard_whose_memory_is_gone, a_stack_that_another_thread_unmaps, no_memory_for_a_thread, no_memory_for_long,
      states_of_ended_threads_are_used_again, memos_are_of_one_slot, a_thread_that_ended_inside_a_hook,
      every_thread_has_its_own, frozen_threads_use_what_was_set_aside, many_deep_threads_share_a_few_budgets,
      states_are_a_part_of_a_limit, states_of_ended_threads_become_small, what_was_called_inside,
      there_is_an_end_to_room)
