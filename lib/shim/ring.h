/*
 * The ring of the last events. Source: research/engine.md 3.5. Each slot fills a block of its own; claiming the next is one atomic add in a few hundred
 * events. A block that a slot is still filling is passed over, so that no writer is ever overtaken, and the last events of a quiet thread stay.
 */
#ifndef HEAPTAP_RING_H
#define HEAPTAP_RING_H

#include "slots.h"
#include "thread.h"

void ring_init(uint32_t blocks);

void ring_write_slow(struct thread *t, enum ht_event_type type, unsigned flags, uintptr_t address, uint64_t size,
                     uint32_t site);

INLINE uint32_t ring_head(enum ht_event_type type, unsigned flags, uintptr_t address)
{
    return (uint32_t)type | flags << 4 | (uint32_t)((uint64_t)address >> 32 & 0xffff) << 16;
}

/* The thread's coarse time has moved on: its next event is preceded by one that says so. */
INLINE void ring_time_moved(struct slot *slot)
{
    if (LIKELY(!slot->shared))
        slot->limit = slot->next;
}

/* The last hook that wrote to this slot was left, perhaps between two of its stores. Context: the slot's owner. */
void ring_settle(struct slot *slot);

/* Writes one event (two, for a size of 4 GiB or more; and one with the time when that has moved on). Context: the thread's own hook. */
INLINE void ring_write(struct thread *t, enum ht_event_type type, unsigned flags, uintptr_t address, uint64_t size,
                       uint32_t site)
{
    struct slot *slot = t->slot;
    struct ht_event *at = slot->next;
    if (UNLIKELY(at >= slot->limit || size >> 32)) {
        ring_write_slow(t, type, flags, address, size, site);
        return;
    }
    slot->next = at + 1;
    at->addr_lo = (uint32_t)address;
    at->size = (uint32_t)size;
    at->site = site;
    word_publish(&at->head, ring_head(type, flags, address) | slot->block_lap);
    slot_event(slot);
}

#endif
