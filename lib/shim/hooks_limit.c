/*
 * setrlimit and prlimit, passed through: before the process gets a limit of addresses, the shim gives up those that it only keeps in reserve, so that the program
 * has what it would have without us. A limit that was there before the start is looked at there (outfile_budget.c, memory.c).
 */
#include "hooks.h"

#include <asm/resource.h>
#include <asm/unistd.h>

static uint64_t widen(uint32_t limit)
{
    return limit == UINT32_MAX ? UINT64_MAX : limit;
}

/*
 * The caller's own pointer, which the kernel may find to be none: nothing is read that cannot be; and not even that is asked where a filter may forbid it. A limit
 * above its maximum is refused, and a maximum above the one that there is, mostly.
 */
static COLD void make_room(int resource, const void *limit, bool wide)
{
    const uint32_t *narrow = limit;
    const uint64_t *both = limit;
    if (resource != RLIMIT_AS || !limit || !session_may_make_room() || !sys_readable(limit) ||
        !sys_readable(wide ? (const void *)(both + 1) : limit))
        return;
    uint64_t now = wide ? both[0] : widen(narrow[0]), most = wide ? both[1] : widen(narrow[1]);
    if (now <= most && now != UINT64_MAX && sys_may_set_address_limit(most))
        session_make_room(now);
}

/* rlim_t, where a name does not tell: as wide as a pointer, but on musl. */
static bool is_wide(void)
{
    return sizeof(long) == 8 || real_facts.loader_is_libc;
}

/* The kernel takes the number of any of the process's threads. */
static bool is_own(int pid)
{
    return !pid || (session_may_make_room() && sys_thread_exists(sys_pid(), pid));
}

void hooks_limit_by_syscall(long n, long a, long b, long c)
{
#ifdef __NR_setrlimit
    if (n == __NR_setrlimit)
        make_room((int)a, (const void *)b, sizeof(long) == 8);
#endif
    if (n == __NR_prlimit64 && is_own((int)a))
        make_room((int)b, (const void *)c, true);
}

HOOK(int, setrlimit, (int resource, const void *limit))
{
    make_room(resource, limit, is_wide());
    return real.setrlimit(resource, limit);
}

HOOK(int, setrlimit64, (int resource, const void *limit))
{
    make_room(resource, limit, true);
    return real.setrlimit64(resource, limit);
}

HOOK(int, prlimit, (int pid, int resource, const void *limit, void *old))
{
    if (limit && is_own(pid))
        make_room(resource, limit, is_wide());
    return real.prlimit(pid, resource, limit, old);
}

HOOK(int, prlimit64, (int pid, int resource, const void *limit, void *old))
{
    if (limit && is_own(pid))
        make_room(resource, limit, true);
    return real.prlimit64(pid, resource, limit, old);
}
