/*
 * The counters. Each thread counts with plain stores in a slot of the file; slots of ended threads are adopted and go on, never folded or
 * cleared. Threads beyond the pool share the last slot with atomic adds.
 */
#ifndef HEAPTAP_SLOTS_H
#define HEAPTAP_SLOTS_H

#include "section.h"
#include <common/arch.h>

/* The private half of a slot. Survives fork as it was: the child reads the fork point from it (slots_events). */
struct slot {
    _Alignas(128) struct ht_slot *file; /* no two slots in one line, nor in two that are fetched together */
    struct ht_cell **group;             /* by site / 64: their counters, or NULL. The slot's first owner makes it */
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
    uint64_t first;                    /* events written before `block` */
};

bool slots_init(uint32_t count);

/* The slot for a new thread. Never NULL. Context: cold; may ask the kernel which owners are gone. */
struct slot *slots_find(uint32_t tid);
struct slot *slots_prepare(struct slot *slot); /* that never had an owner */
INLINE struct slot *slots_attach(uint32_t tid)
{
    struct slot *slot = slots_find(tid);
    return slot->group ? slot : slots_prepare(slot);
}
struct slot *slots_shared(void);

/* Makes sure that a few threads can get one without a system call. */
void slots_reserve(uint32_t spare);

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

/* An event was written; its count is settled once a block. Not in the shared slot. */
INLINE void slot_event(struct slot *slot)
{
    arch_add(&slot->file->events.lo, 1);
}

/*
 * An event of `bytes`, 1 to 2^31 - 1, in two counters of a cell. Between two changes of bit 31 of the events, that of the bytes has changed, too: then both
 * are settled.
 */
INLINE void slot_count_event(struct ht_count *events, struct ht_count *sum, uint32_t bytes)
{
    arch_add(&events->lo, 1);
    if (UNLIKELY(arch_add_turns(&sum->lo, bytes))) {
        count_settle(sum);
        count_settle(events);
    }
}

void slot_count_slow(struct slot *slot, struct ht_count *events, struct ht_count *sum, uint64_t bytes);

/* The same of any size, and in the shared slot, too. */
INLINE void slot_count_any(struct slot *slot, struct ht_count *events, struct ht_count *sum, uint64_t bytes)
{
    if (LIKELY(!slot->shared && bytes - 1 < 0x7fffffff))
        slot_count_event(events, sum, (uint32_t)bytes);
    else
        slot_count_slow(slot, events, sum, bytes);
}

/* Counters of a site in a chunk (index + 1). */
INLINE struct ht_cell *cell_at(uint32_t chunk, uint32_t site)
{
    return SECTION_RECORD(struct ht_cell, HT_CELLS,
                          (size_t)(chunk - 1) * HT_SITES_PER_CHUNK + site % HT_SITES_PER_CHUNK);
}

/* For slot_cell: gives the slot a chunk for the site. NULL: no room, at least until section_grow, or no such site. */
struct ht_cell *slot_cell_new(struct slot *slot, uint32_t site);

/* Counters of a site that this process has made, in this slot; NULL: none yet. */
INLINE struct ht_cell *slot_cell_own(struct slot *slot, uint32_t site)
{
    /* Relaxed: counters are zero from the start, there is nothing that has to be there before they are found. */
    struct ht_cell *group = __atomic_load_n(&slot->group[site / HT_SITES_PER_CHUNK], __ATOMIC_RELAXED);
    return LIKELY(group) ? group + site % HT_SITES_PER_CHUNK : NULL;
}

/* The same of any number; NULL also: no such site. The live table's site ids come back from the file, which is not trusted. */
INLINE struct ht_cell *slot_cell_known(struct slot *slot, uint32_t site)
{
    return LIKELY(site < section[HT_SITES].capacity) ? slot_cell_own(slot, site) : NULL;
}

/* The same, made if they are not there. NULL: no room, or no such site. */
INLINE struct ht_cell *slot_cell(struct slot *slot, uint32_t site)
{
    struct ht_cell *cell = slot_cell_known(slot, site);
    return LIKELY(cell) ? cell : slot_cell_new(slot, site);
}

/* Ring events written through all slots but the shared one so far. */
uint64_t slots_events(void);

#endif
