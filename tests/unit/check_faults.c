/* The seam that fails on order does so, and only so; what was ordered comes from the environment of a process of its own. */
#include "again.h"

#include <shim/sys.h>
#include <errno.h>
#include <fcntl.h>

AGAIN(five)
{
    char buffer[8];
    for (int i = 0; i < 5; i++) {
        long fd = sys_open("/dev/zero", O_RDONLY, 0);
        long got = sys_read((int)fd, buffer, 8);
        printf("%ld:%ld:%ld ", fd < 0 ? fd : 0, got, sys_close((int)fd));
    }
    printf("fd %d", open("/dev/null", O_RDONLY)); /* nothing is left open */
}

static char output[4096];

static const char *run(const char *call, const char *nth, const char *error, int status)
{
    char text[3][64], *variables[4] = {NULL};
    const char *const values[] = {call, nth, error}, *const names[] = {"CALL", "NTH", "ERROR"};
    int n = 0;
    for (int i = 0; i < 3; i++)
        if (values[i]) {
            snprintf(text[n], sizeof text[n], "HEAPTAP_FAULT_%s=%s", names[i], values[i]);
            variables[n] = text[n];
            n++;
        }
    ck_assert_int_eq(again(NULL, "five", variables, -1, output, sizeof output), status);
    return output;
}

/* The descriptor that a process without faults gets in the end, as text. */
static const char *plain(void)
{
    static char text[64];
    snprintf(text, sizeof text, "%s", run(NULL, NULL, NULL, 0));
    ck_assert_ptr_nonnull(strstr(text, "0:8:0 0:8:0 0:8:0 0:8:0 0:8:0 fd "));
    return strstr(text, "fd ");
}

START_TEST(fails_what_was_ordered)
{
    char expected[128];
    const char *fd = plain();
    snprintf(expected, sizeof expected, "0:-5:0 0:-5:0 0:-5:0 0:-5:0 0:-5:0 %s", fd);
    ck_assert_str_eq(run("read", NULL, NULL, 0), expected);
    snprintf(expected, sizeof expected, "0:8:0 0:-4:0 0:8:0 0:8:0 0:8:0 %s", fd);
    ck_assert_str_eq(run("read", "2", "4", 0), expected);
    snprintf(expected, sizeof expected, "0:8:0 0:8:0 0:8:0 -24:-9:-9 -24:-9:-9 %s", fd);
    ck_assert_str_eq(run("openat", "4+", "24", 0), expected);
    snprintf(expected, sizeof expected, "0:8:-5 0:8:0 0:8:0 0:8:0 0:8:0 %s", fd);
    ck_assert_str_eq(run("close", "1", NULL, 0), expected);
    snprintf(expected, sizeof expected, "0:8:0 0:8:0 0:8:0 0:8:0 0:8:0 %s", fd);
    ck_assert_str_eq(run("write", "0", "4", 0), expected);
}
END_TEST

START_TEST(orders_that_are_wrong_end_the_process)
{
    run("open", NULL, NULL, 125);
    run("read", "x", NULL, 125);
    run("read", NULL, "EIO", 125);
}
END_TEST

SUITE("faults", fails_what_was_ordered, orders_that_are_wrong_end_the_process)
