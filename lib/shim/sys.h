/*
 * The kernel, as the shim sees it: raw system calls that return a result or -errno and leave errno alone.
 * All of them go through sys_call(), so that a test build can make any one of them fail (sys_faults.c is linked instead
 * of sys_call.c).
 *
 * Context: any thread, signal-safe. None is made on the path of an event in the steady state; once a seccomp filter is
 *          installed (sys_freeze), all answer -EPERM without entering the kernel.
 */
#ifndef HEAPTAP_SYS_H
#define HEAPTAP_SYS_H

#include <common/base.h>

long sys_call(long n, long a, long b, long c, long d, long e, long f);
/*
 * The same, but never frozen and never made to fail: only for what puts back a change that was made before the
 * freeze.
 */
long sys_call_undo(long n, long a, long b, long c, long d, long e, long f);

/* After this no system call is made any more; until sys_thaw (the filter was refused by the kernel). */
void sys_freeze(void);
void sys_thaw(void);
bool sys_frozen(void);

/* NULL on failure, with the reason in *error (-errno) if that is not NULL. */
void *sys_map_anonymous(void *at, size_t bytes,
                        long *error); /* private, no swap reserved, not in core dumps; `at` replaces what is there */
void *sys_map_shared(void *at, int fd, size_t bytes, long *error); /* read and write, from offset 0; `at` as above */
long sys_unmap(void *at, size_t bytes);
/* Addresses without memory: nothing there can be read, nothing is populated or counted but the addresses. */
void *sys_map_nothing(size_t bytes);
/* What is part of that becomes memory, as of sys_map_anonymous. */
long sys_fill(void *at, size_t bytes);
/* -EINVAL also where an emulator accepts whatever it is told and does nothing (qemu-user, for most advices). */
long sys_advise(void *at, size_t bytes, int advice);

/* Locks memory, as mlock2(2) does, with its flags, and unlocks it; and what mlockall has set, of the whole process. */
long sys_lock(uintptr_t at, size_t bytes, unsigned flags);
long sys_unlock(uintptr_t at, size_t bytes);
long sys_unlock_all(void);

long sys_open(const char *path, int flags, int mode); /* O_CLOEXEC is added */
long sys_close(int fd);
long sys_read(int fd, void *buffer, size_t bytes);
long sys_read_at(int fd, void *buffer, size_t bytes, uint64_t offset);
long sys_write(int fd, const void *buffer, size_t bytes);
long sys_truncate(int fd, uint64_t bytes);
long sys_allocate(int fd, uint64_t offset, uint64_t bytes);
long sys_unlink(const char *path);
long sys_readlink(const char *path, char *buffer, size_t bytes); /* not terminated */
long sys_getdents(int fd, void *buffer, size_t bytes);
/* A file that the kernel hands out in one read, as far as it fits: number of bytes, not terminated. */
long sys_read_file(const char *path, void *buffer, size_t bytes);

#define SYS_MODE_TYPE 0170000u
#define SYS_MODE_FILE 0100000u /* a regular file */
struct sys_stat {
    uint64_t inode, bytes, allocated_bytes;
    uint32_t mode, uid, links;
};
long sys_stat(int fd, struct sys_stat *stat);

struct sys_fs {
    uint32_t type; /* magic number of statfs(2) */
    uint64_t total_bytes, free_bytes;
};
long sys_statfs(int fd, struct sys_fs *fs);

long sys_pid(void);
long sys_parent_pid(void);
long sys_tid(void);
void sys_thread_name(char name[16]); /* of the calling thread, as the kernel knows it */
long sys_uid(void);                  /* effective */
bool sys_is_privileged(void); /* exec gave it more rights than its caller had (AT_SECURE); asked once, at start */
/* True if thread `tid` of process `pid` exists, or if that cannot be found out. */
bool sys_thread_exists(long pid, long tid);
bool sys_process_exists(long pid);
void sys_yield(void);
/*
 * One turn of a wait for another thread, which begins with {0}: the first turns let others run, those after that also others of a lower priority, and one that
 * has lost its processor to other work. False: that was long enough, so many ms; or no system call may be made.
 */
struct sys_wait {
    uint32_t turns, since_ms;
};
#define SYS_WAIT_MS 2000u /* for what takes microseconds */
bool sys_wait(struct sys_wait *wait, uint32_t most_ms);
/* Bytes of RAM; 0: unknown. */
uint64_t sys_ram(void);
/* Address-space limit (RLIMIT_AS) in bytes; UINT64_MAX: none. */
uint64_t sys_address_limit(void);
/* False: the process may not set its address-space limit to at most this. Where that takes a right, it is tried, and put back. */
bool sys_may_set_address_limit(uint64_t most);
/* The same for private memory that may be written to (RLIMIT_DATA), and for locked memory (RLIMIT_MEMLOCK). */
uint64_t sys_data_limit(void);
uint64_t sys_lock_limit(void);
/* How large a file may become (RLIMIT_FSIZE); UINT64_MAX: as large as it likes. Who makes one larger gets SIGXFSZ, by default the end of the process. */
uint64_t sys_file_limit(void);

/*
 * Blocks every signal of the calling thread and keeps the old mask in *old; and puts it back, also when frozen
 * meanwhile.
 */
struct sys_signals {
    uint64_t mask[2];
    bool blocked;
};
void sys_block_signals(struct sys_signals *old);
void sys_restore_signals(const struct sys_signals *old);
bool sys_on_alternate_stack(void);

/* True if the word at `address` can be read. Cannot fault and needs no descriptor (engine.md 2.11, abseil's way). */
bool sys_readable(const void *address);

bool sys_under_seccomp(void); /* a filter is in force already; asked once, at start */

#endif
