/* The steps that a thread keeps: call sites that have the same place among them. */
#include "capture_stage.h"

/* Calls two functions in turn whose call sites have the same place among a thread's steps at first. Returns how often a rule was asked for. */
static uint32_t call_in_turn(uint32_t times, uint64_t ns_between)
{
    const struct regs caller = now;
    const uint32_t rule[] = {1, 1 + THREAD_FEW * ARCH_CODE_ALIGN / 16};
    uint32_t before = asked;
    for (uint32_t i = 0; i < times; i++, t->now_ns += ns_between) {
        enum ht_cut cut;
        now = caller;
        push_plain(rule[i % 2], 4);
        check_node(capture_now(&cut), (const uint32_t[]){rule[i % 2], 0}, 2, 0);
    }
    now = caller;
    return asked - before;
}

START_TEST(steps_that_fight_for_a_place)
{
    begin(100);
    remembered = true;
    ck_assert_uint_ge(call_in_turn(100, 0), 100);
    call_in_turn(4 * THREAD_FEW, 0);
    ck_assert_uint_eq(call_in_turn(100, 0), 0);
    ck_assert_uint_eq(room_count(&t->steps), 2 * THREAD_FEW);
}
END_TEST

START_TEST(steps_that_fight_slowly)
{
    begin(100);
    remembered = true;
    call_in_turn(20 * THREAD_FEW, ROOM_NS / THREAD_FEW);
    ck_assert_uint_ge(call_in_turn(100, 0), 100);
    ck_assert_uint_eq(room_count(&t->steps), THREAD_FEW);
}
END_TEST

SUITE("capture_steps", steps_that_fight_for_a_place, steps_that_fight_slowly)
