/*
 * sys_call.c for tests: one system call fails on order. Linked in its place into $HEAPTAP_BUILD/faults/libheaptap.so
 * (tests/faults).
 *
 *   HEAPTAP_FAULT_CALL    name or number of the call, in the kernel's words (openat, not open); none: behaves like
 *                         sys_call.c
 *   HEAPTAP_FAULT_NTH     3: the third such call of the process fails; 3+: the third and all after it; 0 or none: every
 *                         one
 *   HEAPTAP_FAULT_ERROR   the error, as a number; none: EIO
 *   HEAPTAP_FAULT_REPORT  file that gets one line for each call that was made to fail, so that a test knows that
 *                         something was tested
 *
 * A close that "fails" closes all the same, as the kernel's does. Orders that cannot be understood end the process with
 * status 125.
 */
#include "sys.h"

/* The plain one, under another name. */
#define sys_call sys_call_plain
long sys_call_plain(long n, long a, long b, long c, long d, long e, long f);
#include "sys_call.c"
#undef sys_call

#include <common/text.h>
#include <asm/unistd.h>
#include <linux/fcntl.h>

static const struct {
    const char *name;
    long number;
} calls[] = {
#define CALL(name)                                                                                                     \
    {                                                                                                                  \
#name, __NR_##name                                                                                             \
    }
    CALL(mmap),       CALL(munmap),    CALL(madvise),   CALL(openat),      CALL(close),         CALL(read),
    CALL(pread64),    CALL(write),     CALL(ftruncate), CALL(fallocate),   CALL(unlinkat),      CALL(readlinkat),
    CALL(getdents64), CALL(fstat),     CALL(fstatfs),   CALL(getpid),      CALL(getppid),       CALL(gettid),
    CALL(geteuid),    CALL(getuid),    CALL(getegid),   CALL(getgid),      CALL(tgkill),        CALL(kill),
    CALL(sysinfo),    CALL(prlimit64), CALL(prctl),     CALL(sigaltstack), CALL(sched_yield),   CALL(rt_sigprocmask),
    CALL(mprotect),   CALL(mlock2),    CALL(munlock),   CALL(nanosleep),   CALL(clock_gettime),
#undef CALL
};

static struct orders {
    uint32_t state; /* 0 not read, 1 being read, 2 read */
    uint32_t made;  /* such calls so far */
    long call;      /* -1: none */
    long error;
    uint64_t nth;
    bool and_after;
    char report[256];
} orders = {.call = -1, .error = EIO};

static void refuse(const char *string)
{
    arch_syscall(__NR_write, 2, (long)string, (long)text_length(string), 0, 0, 0);
    arch_syscall(__NR_write, 2, (long)": not understood\n", 17, 0, 0, 0);
    arch_syscall(__NR_exit_group, 125, 0, 0, 0, 0, 0);
}

static long number_of(const char *value)
{
    uint64_t number;
    const char *end = text_read_decimal(value, &number);
    if (end != value && !*end)
        return (long)number;
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        if (text_equal(calls[i].name, value))
            return calls[i].number;
    return -1;
}

static void read_order(const char *string)
{
    uint64_t number = 0;
    if (!text_starts(string, "HEAPTAP_FAULT_"))
        return;
    const char *name = string + 14, *value = name, *end;
    while (*value && *value++ != '=') {
    }
    end = text_read_decimal(value, &number);
    if (text_starts(name, "CALL=")) {
        orders.call = number_of(value);
        end = orders.call < 0 ? value : "";
    } else if (text_starts(name, "NTH=")) {
        orders.nth = number;
        orders.and_after = *end == '+';
        end += orders.and_after;
    } else if (text_starts(name, "ERROR=")) {
        orders.error = (long)number;
    } else if (text_starts(name, "REPORT=")) {
        text_copy(orders.report, sizeof orders.report, value);
        end = "";
    }
    if (end == value || *end)
        refuse(string);
}

static void read_orders(void)
{
    static char environment[262144];
    long length = 0, got = 1;
    long fd = arch_syscall(__NR_openat, AT_FDCWD, (long)"/proc/self/environ", O_RDONLY | O_CLOEXEC, 0, 0, 0);
    while (fd >= 0 && got > 0 && length < (long)sizeof environment - 1) {
        got = arch_syscall(__NR_read, fd, (long)environment + length, (long)sizeof environment - 1 - length, 0, 0, 0);
        length += MAX(got, 0);
    }
    if (fd >= 0)
        arch_syscall(__NR_close, fd, 0, 0, 0, 0, 0);
    for (const char *at = environment; at < environment + length; at += text_length(at) + 1)
        read_order(at);
}

static void report(long n, uint32_t made)
{
    char line[64];
    struct text text = TEXT(line);
    if (!*orders.report)
        return;
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        if (calls[i].number == n)
            text_append(&text, calls[i].name);
    text_char(&text, ' ');
    text_decimal(&text, made);
    text_char(&text, '\n');
    long fd = arch_syscall(__NR_openat, AT_FDCWD, (long)orders.report, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600,
                           0, 0);
    if (fd < 0)
        return;
    arch_syscall(__NR_write, fd, (long)line, (long)text.length, 0, 0, 0);
    arch_syscall(__NR_close, fd, 0, 0, 0, 0, 0);
}

long sys_call(long n, long a, long b, long c, long d, long e, long f)
{
    if (UNLIKELY(word_acquire(&orders.state) != 2) && word_swap(&orders.state, 0, 1)) {
        read_orders();
        word_publish(&orders.state, 2);
    }
    if (n != orders.call || sys_frozen())
        return sys_call_plain(n, a, b, c, d, e, f);
    uint32_t made = word_add(&orders.made, 1) + 1;
    if (orders.nth && made != orders.nth && !(orders.and_after && made > orders.nth))
        return sys_call_plain(n, a, b, c, d, e, f);
    if (n == __NR_close)
        sys_call_plain(n, a, b, c, d, e, f);
    report(n, made);
    return -orders.error;
}
