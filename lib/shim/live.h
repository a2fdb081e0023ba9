/*
 * Live blocks: four to a line of 64 bytes in the file, lines chained per 512 bytes of address space; heads and links are private.
 *
 * Source: research/engine.md 3.1. At most one writer an address: a block is inserted after the real allocation and removed before the real free.
 */
#ifndef HEAPTAP_LIVE_H
#define HEAPTAP_LIVE_H

#include "thread.h"

bool live_init(uint32_t lines_max);

struct live_block {
    uint64_t size;
    uint32_t site;
    uint16_t birth;
};

enum live_result {
    LIVE_INSERTED,
    LIVE_REPLACED, /* the address was live: a free was missed; *old is what was there */
    LIVE_FULL      /* nothing was changed */
};

/* Context: the thread's own hook; lock-free; a system call when the table grows. */
enum live_result live_insert(struct thread *t, uintptr_t address, const struct live_block *block,
                             struct live_block *old);

/* Fetches what an insertion or removal at this address will look at first. */
void live_prefetch(uintptr_t address);

/* Takes a block out. False: it is not there. */
bool live_remove(uintptr_t address, struct live_block *block);

bool live_contains(uintptr_t address);

#endif
