#include "walks.h"

#define READER_TRIES 100u
#define SAME_STACK (16u << 20) /* frames further apart than this are not compared */

static uint32_t walkers; /* threads with a walk; each says itself where: thread.walking */
static uint32_t reading;
static uint32_t begun, given_up; /* walks so far, and at the last time that a reader gave up */

static struct thread *state_of_this(void)
{
    if (!thread_self) {
        struct guard guard;
        struct thread *t = thread_enter(&guard);
        if (t)
            thread_leave(t, &guard);
    }
    return thread_self;
}

static void count(uint32_t change)
{
    __atomic_fetch_add(&walkers, change, __ATOMIC_SEQ_CST);
}

static bool somebody_reads(void)
{
    return __atomic_load_n(&reading, __ATOMIC_SEQ_CST);
}

struct thread *walks_begin(uintptr_t frame)
{
    struct thread *t = state_of_this();
    if (!t || t->guard || t->walking > frame)
        return NULL;
    walks_forget(t); /* the one before was left */
    __atomic_store_n(&t->walk.at.reg[0], frame, __ATOMIC_RELAXED);
    __atomic_store_n(&t->walking, frame, __ATOMIC_SEQ_CST);
    word_add(&begun, 1);
    count(1);
    struct sys_wait wait = {0};
    for (bool waits = true; waits && somebody_reads();) {
        count(-1u);
        while (waits && somebody_reads())
            waits = sys_wait(&wait, SYS_WAIT_MS);
        count(1);
    }
    return t;
}

/* Not if a handler on another stack has walked meanwhile, and has forgotten this walk. */
void walks_end(struct thread *t, uintptr_t frame)
{
    if (frame && __atomic_compare_exchange_n(&t->walking, &frame, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        count(-1u);
}

void walks_forget(struct thread *t)
{
    walks_end(t, __atomic_load_n(&t->walking, __ATOMIC_RELAXED));
}

/* It allocates further out than it walks, or it is gone. */
static bool is_over(const struct thread *t, uintptr_t frame)
{
    uintptr_t last = __atomic_load_n(&t->walk.at.reg[0], __ATOMIC_RELAXED);
    uint32_t owner = word_get(&t->owner);
    return (last > frame && last - frame < SAME_STACK) ||
           (owner && !sys_frozen() && !sys_thread_exists(sys_pid(), owner));
}

static void forget_what_is_over(void)
{
    struct thread *t;
    for (uint32_t i = 0; (t = thread_state(i)); i++) {
        uintptr_t frame = __atomic_load_n(&t->walking, __ATOMIC_ACQUIRE);
        if (frame && t != thread_self && is_over(t, frame))
            walks_end(t, frame);
    }
}

static bool others_walk(void)
{
    return __atomic_load_n(&walkers, __ATOMIC_SEQ_CST) > (thread_self && thread_self->walking);
}

bool walks_keep_out(void)
{
    __atomic_store_n(&reading, 1, __ATOMIC_SEQ_CST);
    uint32_t now = word_get(&begun); /* those for which one has waited already are not waited for again */
    for (uint32_t i = now == given_up ? READER_TRIES : 0; i < READER_TRIES && others_walk(); i++)
        sys_yield();
    if (others_walk())
        forget_what_is_over();
    if (!others_walk())
        return true;
    given_up = now;
    walks_let_in();
    return false;
}

void walks_let_in(void)
{
    __atomic_store_n(&reading, 0, __ATOMIC_SEQ_CST);
}

void walks_anew(void)
{
    reading = 0;
    walkers = thread_self && thread_self->walking; /* in whose callback the first event of the child may be */
}
