/*
 * What libcount.so writes and count_print reads: one file a process image, COUNT_DIR/count.PID.N, mapped shared, so that it is there also after
 * _exit and SIGKILL. Shares nothing with heaptap: the two are compared.
 */
#ifndef COUNT_H
#define COUNT_H

#include <stdatomic.h>
#include <stdint.h>

struct count_file {
    uint32_t pid;
    uint32_t forked;       /* began with a fork, not with exec */
    _Atomic uint32_t full; /* the table of live blocks was full: the figures are worthless */
    uint32_t reserved;
    char exe[240];
    _Atomic uint64_t allocs, alloc_bytes;
    _Atomic uint64_t frees, free_bytes; /* of blocks allocated in this image */
    _Atomic uint64_t strangers;         /* frees of others: from before the fork */
    _Atomic uint64_t live, live_bytes;
    _Atomic uint64_t maps, map_bytes; /* mmap calls that succeeded, whole pages */
    _Atomic uint64_t unmaps;
};

#endif
