/* Walks through the loader's list: while one goes on, no other thread reads; one that was left, in whatever way, does not count for ever. */
#include "stage.h"

#include <shim/walks.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- The states of threads ---- */

#define STATES 4

__thread struct thread *thread_self;
uint32_t session_off;
static struct thread *states[STATES];

struct thread *thread_state(uint32_t i)
{
    return i < STATES ? states[i] : NULL;
}

struct thread *thread_enter_slow(struct guard *guard)
{
    thread_self = states[3];
    thread_set_guard(states[3], guard);
    return states[3];
}

struct thread *thread_enter_anew(struct thread *t, struct guard *guard)
{
    (void)t, (void)guard;
    return NULL;
}

static void begin(void)
{
    for (unsigned i = 0; i < STATES; i++) {
        states[i] = stage_thread(0);
        states[i]->owner = (uint32_t)getpid(); /* it lives */
    }
}

/* What this thread does, it does as the one of that state. */
static void be(unsigned i)
{
    thread_self = states[i];
}

static bool may_read(void)
{
    bool may = walks_keep_out();
    if (may)
        walks_let_in();
    return may;
}

/* ---- The tests ---- */

#define FRAME 1000000u

START_TEST(while_one_goes_on)
{
    begin();
    be(0);
    ck_assert(may_read());
    struct thread *t = walks_begin(FRAME);
    ck_assert_ptr_eq(t, states[0]);
    ck_assert(may_read());                        /* its own thread holds the lock already */
    ck_assert_ptr_null(walks_begin(FRAME - 100)); /* in the callback */
    be(1);
    ck_assert(!may_read());
    ck_assert(!may_read());
    struct thread *other = walks_begin(FRAME);
    be(0);
    ck_assert(!may_read());
    walks_end(t, FRAME);
    ck_assert(!may_read());
    walks_end(other, FRAME);
    ck_assert(may_read());
}
END_TEST

START_TEST(in_a_hook)
{
    begin();
    be(0);
    states[0]->guard = (struct guard *)8;
    ck_assert_ptr_null(walks_begin(FRAME));
    be(1);
    ck_assert(may_read());
}
END_TEST

START_TEST(a_thread_that_has_not_allocated)
{
    begin();
    thread_self = NULL;
    ck_assert_ptr_eq(walks_begin(FRAME), states[3]);
    ck_assert_ptr_null(states[3]->guard);
    be(0);
    ck_assert(!may_read());
}
END_TEST

START_TEST(one_that_was_left)
{
    begin();
    be(0);
    walks_begin(FRAME);
    be(1);
    states[0]->walk.at.reg[0] = FRAME - 200; /* a malloc in the callback */
    ck_assert(!may_read());
    states[0]->walk.at.reg[0] = FRAME + 200; /* and one outside */
    ck_assert(may_read());
    be(0);
    walks_end(states[0], FRAME);
    walks_begin(FRAME);
    ck_assert_ptr_eq(walks_begin(FRAME + 100), states[0]); /* the one before was left, and nobody has seen that */
    walks_end(states[0], FRAME + 100);
    be(1);
    ck_assert(may_read());
    struct thread *t = walks_begin(FRAME);
    be(0);
    ck_assert(!may_read());
    walks_end(t, FRAME);
    ck_assert(may_read());
}
END_TEST

static void *get_tid(void *tid)
{
    *(uint32_t *)tid = (uint32_t)syscall(SYS_gettid);
    return NULL;
}

START_TEST(one_whose_thread_has_ended)
{
    pthread_t thread;
    begin();
    be(0);
    walks_begin(FRAME);
    ck_assert_int_eq(pthread_create(&thread, NULL, get_tid, &states[0]->owner), 0);
    pthread_join(thread, NULL);
    be(1);
    for (int i = 0; i < 1000 && !may_read(); i++) /* the kernel may still know the thread */
        usleep(1000);
    ck_assert(may_read());
    be(0);
    walks_begin(FRAME);
    walks_forget(states[0]); /* another thread takes the state over */
    states[0]->owner = (uint32_t)getpid();
    be(1);
    ck_assert(may_read());
}
END_TEST

START_TEST(a_fork_child)
{
    begin();
    be(0);
    walks_begin(FRAME);
    be(1);
    ck_assert(!may_read());
    states[0]->walking = 0; /* as all private memory */
    walks_anew();
    ck_assert(may_read());
    struct thread *t = walks_begin(FRAME);
    walks_anew(); /* its first event is in the callback */
    be(0);
    ck_assert(!may_read());
    walks_forget(t); /* it begins anew */
    ck_assert(may_read());
    walks_end(t, FRAME);
    ck_assert(may_read());
}
END_TEST

START_TEST(the_same_walk_is_waited_for_once)
{
    begin();
    be(0);
    struct thread *t = walks_begin(FRAME);
    be(1);
    unsigned before = stage_calls(SYS_sched_yield);
    ck_assert(!may_read());
    unsigned first = stage_calls(SYS_sched_yield) - before;
    ck_assert_uint_gt(first, 10);
    for (int i = 0; i < 100; i++)
        ck_assert(!may_read());
    ck_assert_uint_eq(stage_calls(SYS_sched_yield) - before, first);
    be(0);
    walks_end(t, FRAME);
    walks_begin(FRAME);
    be(1);
    ck_assert(!may_read());
    ck_assert_uint_gt(stage_calls(SYS_sched_yield) - before, first); /* another one may be short */
}
END_TEST

/* Walkers and readers at once: the loader's lock, which a reader must not meet, is a word here. */
static uint32_t locked, met, read_done;

#define TURNS 10000000
#define READINGS 1000

/* As long as the reader is at it. */
static void walk_often(void)
{
    for (int turn = 0; turn < TURNS && word_get(&read_done) < READINGS; turn++) {
        struct thread *t = walks_begin(FRAME);
        __atomic_fetch_add(&locked, 1, __ATOMIC_SEQ_CST);
        __atomic_fetch_sub(&locked, 1, __ATOMIC_SEQ_CST);
        walks_end(t, FRAME);
    }
}

static void read_often(void)
{
    for (int turn = 0; turn < TURNS && word_get(&read_done) < READINGS; turn++) {
        if (!walks_keep_out()) {
            sched_yield();
            continue;
        }
        for (int look = 0; look < 200; look++)
            met += word_acquire(&locked) != 0;
        walks_let_in();
        word_add(&read_done, 1);
    }
}

static void crowd(unsigned i)
{
    be(i);
    if (i == STATES - 1)
        read_often();
    else
        walk_often();
}

START_TEST(walkers_and_a_reader_at_once)
{
    begin();
    stage_crowd(STATES, crowd);
    ck_assert_uint_eq(met, 0);
    ck_assert_uint_eq(read_done, READINGS);
    be(0);
    ck_assert(may_read());
}
END_TEST

SUITE("walks", while_one_goes_on, in_a_hook, a_thread_that_has_not_allocated, one_that_was_left,
      one_whose_thread_has_ended, a_fork_child, the_same_walk_is_waited_for_once, walkers_and_a_reader_at_once)
