/*
 * The counters. Each thread counts with plain stores in a slot of the file; slots of ended threads are adopted and go on, never folded or
 * cleared. Threads beyond the pool share the last slot with atomic adds.
 */
#ifndef HEAPTAP_SLOTS_H
#define HEAPTAP_SLOTS_H

#include "section.h"

/* The private half of a slot. Survives fork as it was: the child reads the fork point from it (slots_events). */
struct slot {
    _Alignas(128) struct ht_slot *file; /* no two slots in one line, nor in two that are fetched together */
    uint32_t *chunk;                    /* by site / 64: chunk index + 1 */
    uint32_t index;
    bool shared;
    /* ring.h */
    struct ht_block *block; /* being filled */
    struct ht_event *next;  /* its first free event ... */
    struct ht_event *
        limit; /* ... up to which events are written straight away: its end, or `next` when the time is to be written first. Shared slot: both NULL */
    uint32_t block_lap;                /* where it lies in ht_event.head */
    uint32_t time_lo;                  /* of the last TIME event */
    uint32_t shared_position, opening; /* shared slot only */
    uint64_t events;
};

bool slots_init(uint32_t count);

/* The slot for a new thread. Never NULL. Context: cold; may ask the kernel which owners are gone. */
struct slot *slots_attach(uint32_t tid);
struct slot *slots_shared(void);

INLINE void slot_add(struct slot *slot, struct ht_count *count, uint64_t n)
{
    if (LIKELY(!slot->shared))
        count_add(count, n);
    else
        count_add_shared(count, n);
}

INLINE void slot_lose(struct slot *slot, enum ht_loss loss, uint64_t n)
{
    slot_add(slot, &slot->file->lost[loss], n);
}

/* An event was written. Not in the shared slot. */
INLINE void slot_event(struct slot *slot)
{
    uint64_t events = ++slot->events;
    word_set(&slot->file->events.lo, (uint32_t)events);
    if (UNLIKELY(!((uint32_t)events & 0x7fffffffu))) {
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        __atomic_store_n(&slot->file->events.hi, (uint32_t)(events >> 31), __ATOMIC_RELEASE);
    }
}

/* Counters of a site in a chunk (index + 1). */
INLINE struct ht_cell *cell_at(uint32_t chunk, uint32_t site)
{
    return SECTION_RECORD(struct ht_cell, HT_CELLS,
                          (size_t)(chunk - 1) * HT_SITES_PER_CHUNK + site % HT_SITES_PER_CHUNK);
}

/* The same when the slot has no chunk for the site yet. NULL: no room, at least until section_grow. */
struct ht_cell *slot_cell_new(struct slot *slot, uint32_t site);

/* Counters of a site in this slot; NULL: no room, or no such site: the live table's site ids come back from the file, which is not trusted. */
INLINE struct ht_cell *slot_cell(struct slot *slot, uint32_t site)
{
    if (UNLIKELY(site >= section[HT_SITES].capacity))
        return NULL;
    uint32_t chunk = word_acquire(&slot->chunk[site / HT_SITES_PER_CHUNK]);
    return LIKELY(chunk) ? cell_at(chunk, site) : slot_cell_new(slot, site);
}

/* Ring events written through all slots so far. */
uint64_t slots_events(void);

#endif
