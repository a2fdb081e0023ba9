/*
 * What a hook tells the recording: an allocation was made, a block is about to go. The one place that knows the order of the stores:
 * live table, counters, ring; so that a process killed between any two of them leaves its file at most one event off in each thread.
 *
 * Context of all: the thread's own hook, between thread_enter and thread_leave. t->walk.at is the state of the hook's caller.
 */
#ifndef HEAPTAP_RECORD_H
#define HEAPTAP_RECORD_H

#include "live.h"
#include "maps.h"

/* A block was allocated. flags: HT_EVENT_REALLOC or 0. */
void record_alloc(struct thread *t, const void *p, uint64_t size, unsigned flags);

/* Takes a block out of the live table, before the real free. False: it is not there. */
bool record_take(const void *p, struct live_block *block);
/* It is gone: counts it. */
void record_freed(struct thread *t, const void *p, const struct live_block *block, unsigned flags);
/* It is still there (realloc failed): as if nothing had happened. */
void record_put_back(struct thread *t, const void *p, const struct live_block *block);
/* A block was freed that was not there: inherited, or never seen. */
void record_unknown_free(struct thread *t);

/* record_take and record_freed or record_unknown_free in one. */
void record_free(struct thread *t, const void *p);

/* True if p is live: somebody else has recorded it. */
bool record_is_live(const void *p);

/* A mapping of whole pages was made; it replaces what was there (record_unmap came first). */
void record_map(struct thread *t, const void *p, uint64_t size, enum ht_kind kind);

/* Takes out into t->taken what [p, p + size) overlaps, at most MAPS_TAKEN_MAX mappings a call; true if there may be more. Parts that stay are put back by record_unmapped. */
bool record_take_maps(struct thread *t, const void *p, uint64_t size);
void record_unmapped(struct thread *t, const void *p, uint64_t size);
void record_put_back_maps(struct thread *t);

#endif
