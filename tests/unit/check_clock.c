/* The clock is read seldom when events are many and at each event when they are rare; what a thread believes is never long out of date. */
#include "stage.h"

#include <shim/clock.h>

#define MS UINT64_C(1000000)
#define START (1000 * MS)

static uint64_t now;
static unsigned reads;

uint64_t real_clock_coarse(void);
uint64_t real_clock_coarse(void)
{
    reads++;
    return now;
}

static struct thread *begin(uint64_t at)
{
    clock_init(START);
    now = START + at;
    reads = 0;
    return stage_thread(0);
}

/* Events of a thread, one each `step` ns. Returns how long ago, at worst, what it believed was true. */
static uint64_t run(struct thread *t, unsigned events, uint64_t step)
{
    uint64_t worst = 0;
    while (events--) {
        clock_tick(t);
        ck_assert_often(t->now_ns <= now - START);
        worst = MAX(worst, now - START - t->now_ns);
        now += step;
    }
    return worst;
}

START_TEST(the_first_event_sets_the_clock_going)
{
    for (uint64_t ms = 0; ms < 200; ms++) { /* after the start; between 4 and 50 the clock once stood still for ever */
        struct thread *t = begin(ms * MS);
        ck_assert_uint_eq(run(t, 1, 0), 0);
        ck_assert_uint_eq(t->now_ns, ms * MS);
        run(t, 1, 20 * MS);
        ck_assert_uint_le(run(t, 100, 20 * MS), 20 * MS);
        free(t);
    }
}
END_TEST

START_TEST(many_events_read_it_seldom)
{
    struct thread *t = begin(0);
    ck_assert_uint_le(run(t, 1000000, 100), CLOCK_INTERVAL_MAX * 100);
    ck_assert_uint_lt(reads, 1000000 / CLOCK_INTERVAL_MAX + 20);
    ck_assert_uint_eq(t->birth, birth_encode((now - START) / 62500000));
    free(t);
}
END_TEST

START_TEST(rare_events_read_it_each_time)
{
    struct thread *t = begin(0);
    ck_assert_uint_eq(run(t, 100, 60 * MS), 0);
    ck_assert_uint_eq(reads, 100);
    free(t);
}
END_TEST

START_TEST(after_a_burst_a_pause_is_noticed)
{
    struct thread *t = begin(0);
    run(t, 100000, 10);
    run(t, CLOCK_INTERVAL_MAX, 100 * MS);
    reads = 0;
    ck_assert_uint_eq(run(t, 10, 100 * MS), 0);
    ck_assert_uint_eq(reads, 10);
    free(t);
}
END_TEST

START_TEST(a_process_without_a_clock)
{
    struct thread *t = begin(0);
    now = 0;
    for (int i = 0; i < 100; i++)
        clock_tick(t);
    ck_assert_uint_eq(t->now_ns, 0);
    ck_assert_uint_eq(t->birth, 0);
    free(t);
}
END_TEST

SUITE("clock", the_first_event_sets_the_clock_going, many_events_read_it_seldom, rare_events_read_it_each_time,
      after_a_burst_a_pause_is_noticed, a_process_without_a_clock)
