/*
 * The buffer file's name, place, owner and number: makes a new, empty file that belongs to this process alone, and
 * keeps the directory in bounds. Nothing is ever overwritten or followed: O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
 * mode 0600.
 */
#ifndef HEAPTAP_OUTFILE_H
#define HEAPTAP_OUTFILE_H

#include "config.h"

struct outfile {
    int fd;              /* open for reading and writing; the caller closes it */
    char path[320];      /* absolute unless HEAPTAP_OUT or HEAPTAP_DIR is not */
    uint64_t free_bytes; /* of its filesystem */
    bool memory_backed;  /* tmpfs, ramfs or hugetlbfs */
    uint64_t inode;      /* 0: unknown */
    bool one_kernel;     /* its filesystem is one that no other kernel can reach: common/one_kernel.h */
    char problem[160];   /* why there is no file, or not where it was asked for; empty: all is well */
};

/*
 * Makes the file. False: there is none (out->problem says why) and the process only forwards.
 *
 * Order:   HEAPTAP_OUT (any filesystem); else the first of HEAPTAP_DIR (any filesystem), /dev/shm, /tmp (these two only
 *          if they are in memory) where a file can be made. Before that, in the directory of a default name: dead files
 *          of this user and program beyond the newest config->keep are removed, and when files_max or bytes_max of this user would
 *          be passed, the oldest dead ones of any program. Still too many: no file. Nothing under a pattern of
 *          HEAPTAP_OUT is ever removed; there files_max only says when no more are made.
 *          Dead: a buffer (magic) of this PID namespace and boot whose process (pid and start_ticks) is gone; or of another
 *          boot, if both it and this process say that no other kernel can reach their files (HT_FLAG_ONE_KERNEL): else it may be
 *          another machine's, or a container's that was shown a boot id of its own. A file that is not certainly dead and ours is
 *          never touched.
 *          A name that exists gets .1, .2, up to .999. Names that cannot be ours (other owners, links, FIFOs, no
 *          buffers) change nothing.
 * forked:  the process is a fork child: never takes a name without its PID.
 * Context: signals blocked, one caller at a time; uses static scratch, no libc.
 */
bool outfile_create(const struct config *config, uint32_t pid, bool forked, struct outfile *out);

/*
 * start_ticks of ht_header for a process of this PID namespace; 0: unknown, also when /proc is that of another one.
 * Uses static scratch.
 */
uint64_t outfile_start_ticks(uint32_t pid);
/* Inode of this process's PID namespace; 0: unknown. */
uint64_t outfile_pid_namespace(void);
/* boot_id of ht_header, padded with NULs; empty: unknown. True: it is the kernel's own, not one that a container was shown. */
bool outfile_boot_id(char id[40]);

/*
 * The budget in bytes: what was asked for; else 1/64 of the least of RAM, the cgroup's memory limit (v1 and v2, all
 * levels up) and free_bytes, between 512 KiB and 256 MiB. In any case at most half of free_bytes and of RLIMIT_FSIZE, 1/32 of
 * RLIMIT_AS and 1/16 of RLIMIT_DATA.
 */
uint64_t outfile_budget(const struct config *config, uint64_t free_bytes);
/* It would be larger without a limit of addresses or data. */
bool outfile_is_limited(uint64_t budget);
/* The most that it may be under a limit of addresses; private memory is another 1/16 (memory.h). */
INLINE uint64_t outfile_part_of(uint64_t address_limit)
{
    return address_limit / 32;
}

#endif
