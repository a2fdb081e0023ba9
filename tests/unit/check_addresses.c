/* Whoever gives addresses back and those who hold them: never both, nobody waits for ever, and no handler leaves from in between. */
#include "stage.h"

#include <shim/addresses.h>
#include <shim/cold.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <sched.h>
#include <sys/syscall.h>

START_TEST(one_or_the_other)
{
    struct sys_signals signals;
    addresses_hold(&signals);
    ck_assert(addresses_hold_still());
    ck_assert(!addresses_give(false) && !addresses_unheld(false));
    addresses_let_go_still();
    ck_assert(!addresses_give(false));
    addresses_let_go(&signals);
    ck_assert(addresses_give(false) && addresses_give(true) && addresses_unheld(true));
    ck_assert(!addresses_hold_still()); /* after a while */
    addresses_given();
    addresses_let_go_still(); /* once too often, as in a fork child */
    ck_assert(addresses_hold_still() && !addresses_give(false));
    addresses_hold(&signals);
    addresses_anew();
    ck_assert(addresses_give(false) && addresses_unheld(false));
}
END_TEST

START_TEST(waited_for_once)
{
    struct sys_signals signals;
    addresses_hold(&signals);
    ck_assert(!addresses_unheld(true));
    unsigned naps = stage_calls(SYS_nanosleep);
    ck_assert_uint_gt(naps, 0);
    ck_assert(!addresses_unheld(true) && !addresses_give(true));
    ck_assert_uint_eq(stage_calls(SYS_nanosleep), naps); /* it seems that its thread has ended */
    ck_assert(addresses_hold_still());
    addresses_let_go_still();
    ck_assert(!addresses_unheld(true));
    ck_assert_uint_gt(stage_calls(SYS_nanosleep), naps); /* there was another one: it may be that one */
}
END_TEST

/* The program's own code may run while they are held so: in a handler of fork that waits for the one who would give some back. */
START_TEST(not_waited_for_long)
{
    ck_assert(addresses_hold_still());
    ck_assert(!addresses_give(true));
    ck_assert_uint_le(stage_calls(SYS_nanosleep), 100);
    ck_assert(addresses_hold_still()); /* and by nobody else meanwhile */
    unsigned naps = stage_calls(SYS_nanosleep);
    addresses_let_go_still();
    ck_assert(!addresses_give(true)); /* it may be in a moment */
    ck_assert_uint_gt(stage_calls(SYS_nanosleep), naps);
    ck_assert(!addresses_give(true));
    addresses_let_go_still();
    ck_assert(addresses_give(true));
}
END_TEST

/* However long the kernel lets a nap become: it is never less than 1 ms. */
START_TEST(an_end_by_the_clock)
{
    struct sys_wait wait = {0};
    unsigned turns = 0;
    while (sys_wait(&wait, 200))
        turns++;
    ck_assert_uint_gt(turns, 64);
    ck_assert_uint_le(turns, 64 + 200 + 1);
    stage_refuse(SYS_clock_gettime, 0, EPERM, 0);
    for (turns = 0, wait = (struct sys_wait){0}; sys_wait(&wait, 200);)
        turns++;
    ck_assert_uint_le(turns, 64);
}
END_TEST

static sigjmp_buf back;

static void leave_it(int signal)
{
    (void)signal;
    siglongjmp(back, 1);
}

static void signal_meanwhile(long n)
{
    if (n == SYS_madvise) {
        stage_before = NULL;
        raise(SIGUSR1);
    }
}

START_TEST(no_handler_leaves_from_in_between)
{
    static struct section *s = &section[HT_MODULES];
    stage_table(HT_MODULES, 64, 4096, 1000, 64000);
    signal(SIGUSR1, leave_it);
    if (sigsetjmp(back, 1) == 0) {
        stage_before = signal_meanwhile;
        section_reach(s, 100);
        ck_abort_msg("the handler did not run");
    }
    ck_assert_uint_ge(s->allocated, 100);
    ck_assert(addresses_unheld(false));
}
END_TEST

/* One gives and puts back, the others must not see that. */
static uint32_t halfway, seen, given;
#define GIVINGS 300

static void give_often(void)
{
    for (uint32_t i = 0; i < GIVINGS; i++) {
        if (addresses_give(true)) {
            word_set(&halfway, 1);
            for (int j = 0; j < 50; j++)
                arch_pause();
            sched_yield();
            word_set(&halfway, 0);
            addresses_given();
        }
        word_add(&given, 1);
    }
}

static void hold_often(void)
{
    while (word_get(&given) < GIVINGS) {
        if (!addresses_hold_still())
            continue;
        for (int j = 0; j < 20; j++)
            seen += word_get(&halfway);
        addresses_let_go_still();
        for (int j = 0; j < 20; j++)
            arch_pause();
    }
}

static void crowd(unsigned i)
{
    if (i)
        hold_often();
    else
        give_often();
}

START_TEST(nobody_sees_them_half_given)
{
    stage_crowd(2, crowd);
    ck_assert_uint_eq(seen, 0);
    ck_assert(addresses_unheld(false));
}
END_TEST

COLD_STACK(one, 16384, 3);
COLD_STACK(another, 16384, 3);

static void count(void *argument)
{
    ++*(unsigned *)argument;
}

START_TEST(all_doors_are_open_in_a_fork_child)
{
    unsigned n = 0;
    ck_assert(cold_enter(&one) && cold_enter(&another));
    ck_assert(!cold_run(&one, count, &n) && !cold_run(&another, count, &n) && n == 0);
    cold_open_all();
    ck_assert(cold_run(&one, count, &n) && cold_run(&another, count, &n) && n == 2);
    ck_assert(cold_enter(&one));
    ck_assert(!cold_run_in_turn(&one, count, &n));
    ck_assert_uint_gt(stage_calls(SYS_nanosleep), 0);
}
END_TEST

SUITE("addresses", one_or_the_other, waited_for_once, not_waited_for_long, an_end_by_the_clock,
      no_handler_leaves_from_in_between, nobody_sees_them_half_given, all_doors_are_open_in_a_fork_child)
