/* The one place where the shim enters the kernel, and the switch that keeps it out. */
#include "sys.h"

#include <common/arch.h>
#include <linux/errno.h>

static uint32_t frozen;

void sys_freeze(void)
{
    word_publish(&frozen, 1);
}

void sys_thaw(void)
{
    word_publish(&frozen, 0);
}

bool sys_frozen(void)
{
    return word_acquire(&frozen);
}

long sys_call(long n, long a, long b, long c, long d, long e, long f)
{
    return UNLIKELY(sys_frozen()) ? -EPERM : arch_syscall(n, a, b, c, d, e, f);
}

long sys_call_undo(long n, long a, long b, long c, long d, long e, long f)
{
    return arch_syscall(n, a, b, c, d, e, f);
}
