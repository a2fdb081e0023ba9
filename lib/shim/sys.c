/*
 * Structures are the kernel's own (its uapi headers), not libc's: the two differ on some processors. Only system calls
 * that every Linux architecture has are used (openat for open, and so on).
 */
#include "sys.h"

#include "lines.h"
#include <common/text.h>
#include <asm/resource.h>
#include <asm/stat.h>
#include <asm/statfs.h>
#include <asm/unistd.h>
#include <linux/auxvec.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/signal.h>
#include <linux/sysinfo.h>
#include <linux/time.h>

#define ERRORS_MAX 4095    /* results from -1 down to this are errors */
#define SIGNAL_SET_BYTES 8 /* of the kernel's sigset_t: 64 signals */
#define NO_ADVICE 4095     /* no madvise that there is */

static long call0(long n)
{
    return sys_call(n, 0, 0, 0, 0, 0, 0);
}

static long call2(long n, long a, long b)
{
    return sys_call(n, a, b, 0, 0, 0, 0);
}

static long call3(long n, long a, long b, long c)
{
    return sys_call(n, a, b, c, 0, 0, 0);
}

static long call4(long n, long a, long b, long c, long d)
{
    return sys_call(n, a, b, c, d, 0, 0);
}

/* ---- Memory ---- */

static void *map(void *at, size_t bytes, int protection, int flags, int fd, long *error)
{
    long result = sys_call(__NR_mmap, (long)at, (long)bytes, protection, flags, fd, 0);
    bool failed = result < 0 && result >= -ERRORS_MAX;
    if (error)
        *error = failed ? result : 0;
    return failed ? NULL : (void *)result;
}

void *sys_map_anonymous(void *at, size_t bytes, long *error)
{
    void *memory = map(at, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED : 0), -1, error);
    if (memory)
        sys_advise(memory, bytes, MADV_DONTDUMP);
    return memory;
}

void *sys_map_shared(void *at, int fd, size_t bytes, long *error)
{
    return map(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | (at ? MAP_FIXED : 0), fd, error);
}

long sys_unmap(void *at, size_t bytes)
{
    return call2(__NR_munmap, (long)at, (long)bytes);
}

void *sys_map_nothing(size_t bytes)
{
    return map(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, NULL);
}

long sys_fill(void *at, size_t bytes)
{
    long error = call3(__NR_mprotect, (long)at, (long)bytes, PROT_READ | PROT_WRITE);
    if (!error)
        sys_advise(at, bytes, MADV_DONTDUMP);
    return error;
}

long sys_lock(uintptr_t at, size_t bytes, unsigned flags)
{
    return call3(__NR_mlock2, (long)at, (long)bytes, (long)flags);
}

long sys_unlock(uintptr_t at, size_t bytes)
{
    return call2(__NR_munlock, (long)at, (long)bytes);
}

long sys_unlock_all(void)
{
    return call0(__NR_munlockall);
}

long sys_advise(void *at, size_t bytes, int advice)
{
    static uint32_t known; /* 1: every advice is accepted; 2: the kernel reads it */
    if (UNLIKELY(!word_get(&known)))
        word_set(&known, call3(__NR_madvise, (long)at, 0, NO_ADVICE) ? 2 : 1);
    return word_get(&known) == 1 ? -EINVAL : call3(__NR_madvise, (long)at, (long)bytes, advice);
}

bool sys_readable(const void *address)
{
    /*
     * The kernel reads the set before it looks at what to do with it; ~0 is nothing that it knows, so nothing is
     * ever changed.
     */
    return call4(__NR_rt_sigprocmask, -1, (long)address, 0, SIGNAL_SET_BYTES) == -EINVAL;
}

/* ---- Files ---- */

long sys_open(const char *path, int flags, int mode)
{
    return call4(__NR_openat, AT_FDCWD, (long)path, flags | O_CLOEXEC, mode);
}

long sys_close(int fd)
{
    return sys_call(__NR_close, fd, 0, 0, 0, 0, 0);
}

long sys_read(int fd, void *buffer, size_t bytes)
{
    return call3(__NR_read, fd, (long)buffer, (long)bytes);
}

long sys_read_at(int fd, void *buffer, size_t bytes, uint64_t offset)
{
    return call4(__NR_pread64, fd, (long)buffer, (long)bytes, (long)offset);
}

long sys_write(int fd, const void *buffer, size_t bytes)
{
    return call3(__NR_write, fd, (long)buffer, (long)bytes);
}

long sys_truncate(int fd, uint64_t bytes)
{
    return call2(__NR_ftruncate, fd, (long)bytes);
}

long sys_allocate(int fd, uint64_t offset, uint64_t bytes)
{
    return call4(__NR_fallocate, fd, 0, (long)offset, (long)bytes);
}

long sys_unlink(const char *path)
{
    return call3(__NR_unlinkat, AT_FDCWD, (long)path, 0);
}

long sys_readlink(const char *path, char *buffer, size_t bytes)
{
    return call4(__NR_readlinkat, AT_FDCWD, (long)path, (long)buffer, (long)bytes);
}

long sys_getdents(int fd, void *buffer, size_t bytes)
{
    return call3(__NR_getdents64, fd, (long)buffer, (long)bytes);
}

long sys_stat(int fd, struct sys_stat *stat)
{
    struct stat kernel;
    long result = call2(__NR_fstat, fd, (long)&kernel);
    *stat = (struct sys_stat){0};
    if (!result)
        *stat = (struct sys_stat){.inode = kernel.st_ino,
                                  .bytes = (uint64_t)kernel.st_size,
                                  .allocated_bytes = (uint64_t)kernel.st_blocks * 512,
                                  .mode = kernel.st_mode,
                                  .uid = kernel.st_uid,
                                  .links = (uint32_t)kernel.st_nlink};
    return result;
}

long sys_statfs(int fd, struct sys_fs *fs)
{
    struct statfs kernel;
    long result = call2(__NR_fstatfs, fd, (long)&kernel);
    *fs = (struct sys_fs){0};
    if (!result)
        *fs = (struct sys_fs){.type = (uint32_t)kernel.f_type,
                              .total_bytes = (uint64_t)kernel.f_blocks * (uint64_t)kernel.f_bsize,
                              .free_bytes = (uint64_t)kernel.f_bavail * (uint64_t)kernel.f_bsize};
    return result;
}

long sys_read_file(const char *path, void *buffer, size_t bytes)
{
    long fd = sys_open(path, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0)
        return fd;
    long got = sys_read((int)fd, buffer, bytes);
    sys_close((int)fd);
    return got;
}

/* ---- Processes ---- */

long sys_pid(void)
{
    return call0(__NR_getpid);
}

long sys_parent_pid(void)
{
    return call0(__NR_getppid);
}

void sys_thread_name(char name[16])
{
    name[0] = 0;
    sys_call(__NR_prctl, PR_GET_NAME, (long)name, 0, 0, 0, 0);
}

long sys_tid(void)
{
    return call0(__NR_gettid);
}

long sys_uid(void)
{
    return call0(__NR_geteuid);
}

bool sys_is_privileged(void)
{
    static unsigned long auxv[64]; /* pairs; today's kernels write fewer than 25 */
    long bytes = sys_read_file("/proc/self/auxv", auxv, sizeof auxv);
    for (size_t i = 0; (long)((i + 2) * sizeof *auxv) <= bytes; i += 2)
        if (auxv[i] == AT_SECURE)
            return auxv[i + 1] != 0;
    /* Nobody may look into a process that got capabilities from its file: not even itself. */
    if (bytes == -EACCES || bytes == -EPERM)
        return true;
    return call0(__NR_getuid) != call0(__NR_geteuid) || call0(__NR_getgid) != call0(__NR_getegid);
}

/* Signal 0 only asks. Whatever else goes wrong (no right to signal it, no right to ask), it may well be there. */
bool sys_thread_exists(long pid, long tid)
{
    return call3(__NR_tgkill, pid, tid, 0) != -ESRCH;
}

bool sys_process_exists(long pid)
{
    return call2(__NR_kill, pid, 0) != -ESRCH;
}

void sys_yield(void)
{
    call0(__NR_sched_yield);
}

#define WAIT_YIELDS 64u
#define NAP_NS 1000000l

static bool now_ms(uint32_t *ms)
{
    long now[2]; /* as wide as the kernel's own time, on all that heaptap is built for */
    if (call2(__NR_clock_gettime, CLOCK_MONOTONIC, (long)now))
        return false;
    *ms = (uint32_t)now[0] * 1000u + (uint32_t)(now[1] / 1000000);
    return true;
}

bool sys_wait(struct sys_wait *wait, uint32_t most_ms)
{
    uint32_t now;
    if (wait->turns++ < WAIT_YIELDS) {
        sys_yield();
        return true;
    }
    if (!now_ms(&now))
        return false;
    if (wait->turns == WAIT_YIELDS + 1)
        wait->since_ms = now;
    if (now - wait->since_ms >= most_ms)
        return false;
    long nap[2] = {0, NAP_NS};
    if (call2(__NR_nanosleep, (long)nap, 0) == -ENOSYS)
        sys_yield();
    return true;
}

uint64_t sys_ram(void)
{
    struct sysinfo info;
    return sys_call(__NR_sysinfo, (long)&info, 0, 0, 0, 0, 0) ? 0 : (uint64_t)info.totalram * info.mem_unit;
}

_Static_assert(RLIM64_INFINITY == UINT64_MAX, "no limit is the highest one");

static struct rlimit64 limits_of(int resource)
{
    struct rlimit64 limits;
    bool known = !call4(__NR_prlimit64, 0, resource, 0, (long)&limits);
    return known ? limits : (struct rlimit64){UINT64_MAX, UINT64_MAX};
}

static uint64_t limit_of(int resource)
{
    return limits_of(resource).rlim_cur;
}

uint64_t sys_address_limit(void)
{
    return limit_of(RLIMIT_AS);
}

bool sys_may_set_address_limit(uint64_t most)
{
    struct rlimit64 limits = limits_of(RLIMIT_AS), higher = {limits.rlim_cur, most};
    if (most <= limits.rlim_max)
        return true;
    if (call4(__NR_prlimit64, 0, RLIMIT_AS, (long)&higher, 0))
        return false;
    call4(__NR_prlimit64, 0, RLIMIT_AS, (long)&limits, 0); /* the program may ask what it was */
    return true;
}

uint64_t sys_data_limit(void)
{
    return limit_of(RLIMIT_DATA);
}

uint64_t sys_lock_limit(void)
{
    return limit_of(RLIMIT_MEMLOCK);
}

uint64_t sys_file_limit(void)
{
    return limit_of(RLIMIT_FSIZE);
}

/* ---- Signals ---- */

void sys_block_signals(struct sys_signals *old)
{
    static const uint64_t all[2] = {UINT64_MAX, UINT64_MAX};
    old->blocked = !call4(__NR_rt_sigprocmask, SIG_BLOCK, (long)all, (long)old->mask, SIGNAL_SET_BYTES);
}

void sys_restore_signals(const struct sys_signals *old)
{
    if (old->blocked)
        sys_call_undo(__NR_rt_sigprocmask, SIG_SETMASK, (long)old->mask, 0, SIGNAL_SET_BYTES, 0, 0);
}

bool sys_on_alternate_stack(void)
{
    stack_t stack = {0};
    return !call2(__NR_sigaltstack, 0, (long)&stack) && (stack.ss_flags & SS_ONSTACK);
}

/* ---- Seccomp ---- */

/*
 * The Seccomp line of /proc/self/status, because the program loader itself has just opened, read and closed files under
 * the filter that is asked about, while a filter may well kill for prctl. Without /proc, prctl is all there is.
 */
bool sys_under_seccomp(void)
{
    static struct lines lines;
    const char *line;
    uint64_t mode;
    if (!lines_open(&lines, "/proc/self/status", '\n'))
        return call2(__NR_prctl, PR_GET_SECCOMP, 0) > 0;
    bool found = false;
    while (!found && (line = lines_next(&lines)))
        if (text_starts(line, "Seccomp:\t")) {
            text_read_decimal(line + 9, &mode);
            found = mode != 0;
            break;
        }
    lines_close(&lines);
    return found;
}
