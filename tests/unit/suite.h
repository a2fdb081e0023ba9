/*
 * What every unit program has: Check, and main(). A program is START_TEST(name) { ... } END_TEST ... and, last,
 * SUITE("module", name, name, ...). Where Check is missing (a cross build) the few of its names that are used here are
 * made of nothing but libc.
 *
 * No test is ended by the clock: tests/run does that, for a whole program.
 */
#ifndef HEAPTAP_TESTS_SUITE_H
#define HEAPTAP_TESTS_SUITE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#if HEAPTAP_CHECK
#include <check.h>

#define SUITE(name, ...)                                                                                               \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        const TTest *const tests[] = {__VA_ARGS__};                                                                    \
        return suite_run(name, tests, sizeof tests / sizeof *tests);                                                   \
    }

__attribute__((unused)) static int suite_run(const char *name, const TTest *const *tests, size_t count)
{
    Suite *suite = suite_create(name);
    TCase *cases = tcase_create(name);
    tcase_set_timeout(cases, 0);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(cases, tests[i]);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#else

#define START_TEST(name)                                                                                               \
    static void name(void);                                                                                            \
    static void name(void)
#define END_TEST

#define ck_assert_msg(condition, ...)                                                                                  \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("%s:%d: failed: ", __FILE__, __LINE__);                                                             \
            printf(__VA_ARGS__);                                                                                       \
            putchar('\n');                                                                                             \
            exit(EXIT_FAILURE);                                                                                        \
        }                                                                                                              \
    } while (0)
#define ck_assert(condition) ck_assert_msg(condition, "%s", #condition)
#define SUITE_COMPARE(type, format, a, op, b)                                                                          \
    do {                                                                                                               \
        type const a_ = (a);                                                                                           \
        type const b_ = (b);                                                                                           \
        ck_assert_msg(a_ op b_, "%s " #op " %s: " format ", " format, #a, #b, a_, b_);                                 \
    } while (0)
#define ck_assert_int_eq(a, b) SUITE_COMPARE(intmax_t, "%jd", a, ==, b)
#define ck_assert_int_ne(a, b) SUITE_COMPARE(intmax_t, "%jd", a, !=, b)
#define ck_assert_int_lt(a, b) SUITE_COMPARE(intmax_t, "%jd", a, <, b)
#define ck_assert_int_le(a, b) SUITE_COMPARE(intmax_t, "%jd", a, <=, b)
#define ck_assert_int_gt(a, b) SUITE_COMPARE(intmax_t, "%jd", a, >, b)
#define ck_assert_int_ge(a, b) SUITE_COMPARE(intmax_t, "%jd", a, >=, b)
#define ck_assert_uint_eq(a, b) SUITE_COMPARE(uintmax_t, "%ju", a, ==, b)
#define ck_assert_uint_ne(a, b) SUITE_COMPARE(uintmax_t, "%ju", a, !=, b)
#define ck_assert_uint_lt(a, b) SUITE_COMPARE(uintmax_t, "%ju", a, <, b)
#define ck_assert_uint_le(a, b) SUITE_COMPARE(uintmax_t, "%ju", a, <=, b)
#define ck_assert_uint_gt(a, b) SUITE_COMPARE(uintmax_t, "%ju", a, >, b)
#define ck_assert_uint_ge(a, b) SUITE_COMPARE(uintmax_t, "%ju", a, >=, b)
#define ck_assert_ptr_eq(a, b) SUITE_COMPARE(const void *, "%p", a, ==, b)
#define ck_assert_ptr_ne(a, b) SUITE_COMPARE(const void *, "%p", a, !=, b)
#define ck_assert_ptr_null(a) ck_assert_ptr_eq(a, NULL)
#define ck_assert_ptr_nonnull(a) ck_assert_ptr_ne(a, NULL)
#define SUITE_COMPARE_TEXT(a, op, b)                                                                                   \
    do {                                                                                                               \
        const char *a_ = (a), *b_ = (b);                                                                               \
        ck_assert_msg(strcmp(a_, b_) op 0, "%s " #op " %s: \"%s\", \"%s\"", #a, #b, a_, b_);                           \
    } while (0)
#define ck_assert_str_eq(a, b) SUITE_COMPARE_TEXT(a, ==, b)
#define ck_assert_str_ne(a, b) SUITE_COMPARE_TEXT(a, !=, b)
#define ck_assert_mem_eq(a, b, bytes) ck_assert_msg(!memcmp(a, b, bytes), "%s == %s", #a, #b)
#define ck_abort_msg(...) ck_assert_msg(0, __VA_ARGS__)

#define SUITE(name, ...)                                                                                               \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        void (*const tests[])(void) = {__VA_ARGS__};                                                                   \
        return suite_run(name, tests, sizeof tests / sizeof *tests);                                                   \
    }

/* As Check does it: a process for each test. */
__attribute__((unused)) static int suite_run(const char *name, void (*const *tests)(void), size_t count)
{
    size_t failed = 0;
    for (size_t i = 0; i < count; i++) {
        int status = -1;
        fflush(stdout);
        pid_t child = fork();
        if (!child) {
            tests[i]();
            exit(EXIT_SUCCESS);
        }
        if (child > 0)
            waitpid(child, &status, 0);
        if (status)
            printf("%s: test %zu failed, status %#x\n", name, i + 1, (unsigned)status);
        failed += status != 0;
    }
    printf("%s: %zu checks, %zu failed\n", name, count, failed);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
#endif

#endif
