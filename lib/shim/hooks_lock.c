/*
 * mlockall locks and populates all that is mapped, and, for MCL_FUTURE, all that will be; both count towards RLIMIT_MEMLOCK. Most of what the shim has
 * mapped is never used. So the program's memory is locked and populated, as without us, and the shim's is not:
 *
 *   MCL_CURRENT  the same call with MCL_ONFAULT, which populates nothing; ours is unlocked again; then the program's mappings are locked one by one, which
 *                populates them. Where the call fails although the program without us would be within the limit, they are locked all the same.
 *   MCL_FUTURE   what the shim will map is set aside before (memory.h).
 *
 * What cannot be done so is done as the program asked: before Linux 4.4, without /proc, under a seccomp filter. Then ours is locked and populated too, or
 * the call fails.
 */
#include "hooks.h"

#include "addresses.h"
#include "cold.h"
#include "file_map.h"
#include "lines.h"
#include "live.h"
#include "memory.h"
#include <common/text.h>
#include <asm/unistd.h>
#include <linux/errno.h>
#include <linux/mman.h>

#define PAGE 4096u
#define DOOR_TRIES 64u

extern char __bss_start[], _end[]; /* of this library: tables, of which little is ever used */

/* As memory_next, of all that is the shim's but its code and data. */
static bool own_next(uintptr_t at, struct memory_range *range)
{
    struct memory_range others[] = {{0, 0},
                                    {(uintptr_t)__bss_start, (uintptr_t)_end},
                                    {(uintptr_t)live_root, (uintptr_t)(live_root ? live_root + LIVE_ROOTS : NULL)}};
    bool found = memory_next(at, range);
    file_map_next(at, &others[0]);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        uintptr_t start = align_up(others[i].start, PAGE), end = others[i].end & ~(uintptr_t)(PAGE - 1);
        if (start < end && end > at && (!found || start < range->start)) {
            *range = (struct memory_range){start, end};
            found = true;
        }
    }
    return found;
}

static COLD void unlock_own(void)
{
    struct memory_range own;
    for (uintptr_t at = 0; own_next(at, &own); at = own.end)
        sys_unlock(own.start, own.end - own.start);
}

static COLD uint64_t own_bytes(void)
{
    struct memory_range own;
    uint64_t bytes = 0;
    for (uintptr_t at = 0; own_next(at, &own); at = own.end)
        bytes += own.end - MAX(own.start, at);
    return bytes;
}

static const char *read_hex(const char *at, uintptr_t *value)
{
    for (*value = 0;; at++) {
        unsigned digit = (unsigned)*at - '0', letter = (unsigned)*at - 'a';
        if (digit > 9 && letter > 5)
            return at;
        *value = *value << 4 | (digit > 9 ? letter + 10 : digit);
    }
}

struct work {
    unsigned flags; /* of mlock2 */
    bool anew;      /* nothing is locked yet */
    bool done;
};

/* What of these addresses is not ours. That some cannot be populated is no error here, nor is it in mlockall. False: there is no such call. */
static bool lock_range(uintptr_t at, uintptr_t end, unsigned flags)
{
    struct memory_range own;
    long result = 0;
    while (at < end && result != -ENOSYS) {
        bool ours = own_next(at, &own) && own.start < end;
        uintptr_t until = ours ? own.start : end;
        if (at < until)
            result = sys_lock(at, until - at, flags);
        at = ours ? own.end : end;
    }
    return result != -ENOSYS;
}

/* ---- Behind the door ---- */

static struct lines lines;

/* A size in /proc/self/status; UINT64_MAX: unknown. */
static uint64_t status_bytes(const char *key)
{
    const char *line;
    uint64_t kib = 0;
    bool found = false;
    if (!lines_open(&lines, "/proc/self/status", '\n'))
        return UINT64_MAX;
    while (!found && (line = lines_next(&lines)))
        if (text_starts(line, key)) {
            for (line += text_length(key); *line == ' ' || *line == '\t'; line++) {
            }
            text_read_decimal(line, &kib);
            found = true;
        }
    lines_close(&lines);
    return found ? kib << 10 : UINT64_MAX;
}

/* The kernel compares all addresses with the limit. */
static void ask_fits(void *fits)
{
    uint64_t all = status_bytes("VmSize:");
    *(bool *)fits = all != UINT64_MAX && all - own_bytes() <= sys_lock_limit();
}

static void ask_seccomp(void *under)
{
    *(bool *)under = sys_under_seccomp();
}

static void lock_others(void *argument)
{
    struct work *work = argument;
    const char *line;
    /* Nothing is: a library below has made the call a stub, as sanitizers do, whose shadow is terabytes. */
    uint64_t locked = work->anew ? 1 : status_bytes("VmLck:");
    if (!locked || locked == UINT64_MAX) {
        work->done = !locked;
        return;
    }
    work->done = lines_open(&lines, "/proc/self/maps", '\n');
    if (!work->done)
        return;
    while (work->done && (line = lines_next(&lines))) {
        uintptr_t start, end;
        line = read_hex(line, &start);
        read_hex(line + (*line == '-'), &end);
        work->done = lock_range(start, end, work->flags);
    }
    work->done &= !lines.cut;
    lines_close(&lines);
}

COLD_STACK(door, 16u << 10, DOOR_TRIES);

static COLD int lock_current(int flags)
{
    int before = real_errno();
    int result = real.mlockall(flags | MCL_ONFAULT);
    struct work work = {.flags = flags & MCL_ONFAULT ? MLOCK_ONFAULT : 0, .anew = result != 0};
    if (work.anew) {
        bool fits = false;
        if (real_errno() != ENOMEM || !cold_run_in_turn(&door, ask_fits, &fits) || !fits)
            return real.mlockall(flags);
        if (!(flags & MCL_FUTURE))
            sys_unlock_all(); /* an earlier MCL_FUTURE is over then */
    }
    bool one_by_one = work.anew || !work.flags;
    if (one_by_one && (flags & MCL_FUTURE))
        real.mlockall(flags & ~MCL_CURRENT); /* before the list is read: what is not in it is mapped under that */
    unlock_own();
    if (!one_by_one || (cold_run_in_turn(&door, lock_others, &work) && work.done)) {
        real_set_errno(before);
        return 0;
    }
    return real.mlockall(flags);
}

/* Not where a filter may forbid them. A process that does not record has the library all the same, but was not asked for filters at its start. */
static COLD bool may_make_calls(void)
{
    bool under = true;
    if (session_off)
        return !session_has_filter() && cold_run_in_turn(&door, ask_seccomp, &under) && !under;
    return file_map_is_open() && !sys_frozen();
}

COLD int hooks_lock_all(int flags)
{
    struct guard guard;
    struct thread *t = thread_enter(&guard); /* a fork child maps its file now, not when that would be locked */
    bool with_us = may_make_calls() &&
                   addresses_hold_still(); /* no range that is taken for ours becomes the program's meanwhile */
    if (with_us && !session_off && (flags & MCL_FUTURE))
        memory_set_aside();
    int result = with_us && (flags & MCL_CURRENT) ? lock_current(flags) : real.mlockall(flags);
    if (with_us && (flags & MCL_CURRENT) && !result)
        unlock_own();
    if (with_us)
        addresses_let_go_still();
    if (t)
        hook_leave(t, &guard, NULL);
    return result;
}

HOOK(int, mlockall, (int flags))
{
    return hooks_lock_all(flags);
}
