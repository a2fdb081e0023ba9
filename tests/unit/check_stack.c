/* Which pages a walk may read: all that hang together from where it entered, none that cannot be read, and known ones without asking again. */
#include "stage.h"

#include <shim/stack.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define PAGE ((uintptr_t)4096)

/* A few hundred pages of which `hole` cannot be read; what lies before and behind them cannot either. */
static uintptr_t pages(unsigned count, int hole)
{
    char *at = mmap(NULL, (count + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ck_assert(at != MAP_FAILED);
    ck_assert_int_eq(mprotect(at + PAGE, count * PAGE, PROT_READ | PROT_WRITE), 0);
    if (hole >= 0)
        ck_assert_int_eq(mprotect(at + (1 + (uintptr_t)hole) * PAGE, PAGE, PROT_NONE), 0);
    return (uintptr_t)at + PAGE;
}

START_TEST(enters_and_goes_up_to_the_hole)
{
    struct stack stack = {0, 0};
    uintptr_t at = pages(10, 7);
    ck_assert(stack_enter(&stack, at + 2 * PAGE + 8));
    for (uintptr_t word = at + 2 * PAGE; word < at + 7 * PAGE; word += 8)
        ck_assert(stack_readable(&stack, word));
    ck_assert_uint_eq(stack.low, at + 2 * PAGE);
    ck_assert_uint_eq(stack.high, at + 7 * PAGE);
    ck_assert(!stack_readable(&stack, at + 7 * PAGE));
    ck_assert(!stack_readable(&stack, at + 8 * PAGE));     /* readable, but beyond the hole */
    ck_assert(!stack_readable(&stack, at + 2 * PAGE - 8)); /* below where it entered */
    ck_assert(stack_readable(&stack, at + 7 * PAGE - 8));
}
END_TEST

START_TEST(words_that_are_not_aligned)
{
    struct stack stack = {0, 0};
    uintptr_t at = pages(1, -1);
    ck_assert(stack_enter(&stack, at));
    for (uintptr_t i = 1; i < 8; i++)
        ck_assert(!stack_readable(&stack, at + i));
    ck_assert(stack_readable(&stack, at + 8));
}
END_TEST

START_TEST(nowhere)
{
    struct stack stack = {0, 0};
    uintptr_t at = pages(3, 1);
    static const uintptr_t bad[] = {0, 8, 4096, (uintptr_t)1 << 47, UINTPTR_MAX & ~(uintptr_t)7, (uintptr_t)1 << 63};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        ck_assert(!stack_readable(&stack, bad[i]));
        ck_assert(!stack_enter(&stack, bad[i]));
        ck_assert_uint_eq(stack.high, 0);
    }
    ck_assert(stack_enter(&stack, at));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert(!stack_readable(&stack, bad[i]));
    ck_assert(!stack_enter(&stack, at + PAGE));
    ck_assert(!stack_readable(&stack, at)); /* the walk has left this one */
}
END_TEST

START_TEST(asks_once)
{
    struct stack stack = {0, 0};
    uintptr_t at = pages(5, -1);
    stack_enter(&stack, at);
    ck_assert(stack_readable(&stack, at + 5 * PAGE - 8));
    unsigned asked = stage_calls(SYS_rt_sigprocmask);
    for (int i = 0; i < 1000; i++)
        ck_assert(stack_enter(&stack, at + 8) && stack_readable(&stack, at + 3 * PAGE));
    ck_assert_uint_eq(stage_calls(SYS_rt_sigprocmask), asked);
}
END_TEST

START_TEST(grows_down_a_little)
{
    struct stack stack = {0, 0};
    uintptr_t at = pages(100, 50);
    stack_enter(&stack, at + 90 * PAGE);
    ck_assert(stack_enter(&stack, at + 80 * PAGE)); /* a deeper frame: the same stack */
    ck_assert_uint_eq(stack.low, at + 80 * PAGE);
    ck_assert_uint_eq(stack.high, at + 91 * PAGE);
    ck_assert(stack_enter(&stack, at + 60 * PAGE)); /* too far for that */
    ck_assert_uint_eq(stack.low, at + 60 * PAGE);
    ck_assert_uint_eq(stack.high, at + 61 * PAGE);
    ck_assert(stack_enter(&stack, at + 49 * PAGE)); /* near, but behind a hole */
    ck_assert_uint_eq(stack.low, at + 49 * PAGE);
    ck_assert_uint_eq(stack.high, at + 50 * PAGE);
    ck_assert(!stack_readable(&stack, at + 60 * PAGE));
}
END_TEST

START_TEST(forgets)
{
    struct stack stack = {0, 0};
    uintptr_t at = pages(100, -1);
    stack_enter(&stack, at + 50 * PAGE);
    stack_leave(&stack, at + 50 * PAGE + 8);
    stack_leave(&stack, at + 50 * PAGE - 8); /* a few frames deeper */
    ck_assert_uint_ne(stack.high, 0);
    stack_leave(&stack, at + 51 * PAGE);
    ck_assert_uint_eq(stack.high, 0);
    stack_enter(&stack, at + 50 * PAGE);
    stack_leave(&stack, at + 10 * PAGE);
    ck_assert_uint_eq(stack.high, 0);
    stack_enter(&stack, at + 50 * PAGE);
    stack_forget(&stack, at, at + 50 * PAGE);
    stack_forget(&stack, at + 51 * PAGE, at + 60 * PAGE);
    ck_assert_uint_ne(stack.high, 0);
    stack_forget(&stack, at + 49 * PAGE, at + 50 * PAGE + 1);
    ck_assert_uint_eq(stack.high, 0);
}
END_TEST

START_TEST(frozen)
{
    struct stack stack = {0, 0};
    uintptr_t at = pages(3, -1);
    stack_enter(&stack, at);
    sys_freeze();
    ck_assert(stack_readable(&stack, at + 8)); /* known from before */
    ck_assert(!stack_readable(&stack, at + PAGE));
    ck_assert(!stack_enter(&stack, at + PAGE));
    sys_thaw();
    ck_assert(stack_enter(&stack, at + PAGE));
}
END_TEST

START_TEST(a_wild_pointer_costs_a_bounded_time)
{
    struct stack stack = {0, 0};
    uintptr_t at = pages(70000, -1);
    stack_enter(&stack, at);
    ck_assert(!stack_readable(&stack, at + 69999 * PAGE));
    ck_assert_uint_le(stage_calls(SYS_rt_sigprocmask), 66000);
    ck_assert_uint_lt(stack.high, at + 66000 * PAGE);
}
END_TEST

SUITE("stack", enters_and_goes_up_to_the_hole, words_that_are_not_aligned, nowhere, asks_once, grows_down_a_little,
      forgets, frozen, a_wild_pointer_costs_a_bounded_time)
