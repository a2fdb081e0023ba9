/*
 * prctl and syscall, passed through: a program that puts a seccomp filter in force would be killed for a system call of ours that it does not
 * expect. From then on the shim makes none. (A filter that was in force before the program started is noticed at start.)
 */
#include "hooks.h"

#include <asm/unistd.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>

HOOK(int, prctl, (int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d))
{
    bool filter = option == PR_SET_SECCOMP;
    if (filter)
        session_freeze();
    int result = real.prctl(option, a, b, c, d);
    if (filter)
        session_filtered(!result);
    return result;
}

HOOK(long, syscall, (long n, long a, long b, long c, long d, long e, long f))
{
    if (n == __NR_mlockall)
        return hooks_lock_all((int)a);
    bool filter = (n == __NR_seccomp && (a == SECCOMP_SET_MODE_FILTER || a == SECCOMP_SET_MODE_STRICT)) ||
                  (n == __NR_prctl && a == PR_SET_SECCOMP);
    if (filter)
        session_freeze();
    hooks_limit_by_syscall(n, a, b, c);
    long result = real.syscall(n, a, b, c, d, e, f);
    if (filter)
        session_filtered(result >= 0);
    return result;
}
