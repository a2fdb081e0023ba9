/*
 * The ring of the last events. Source: research/engine.md 3.5. Each slot fills a block of its own; claiming the next is one atomic add in a few hundred
 * events. A block that a slot is still filling is passed over, so that no writer is ever overtaken, and the last events of a quiet thread stay.
 */
#ifndef HEAPTAP_RING_H
#define HEAPTAP_RING_H

#include "slots.h"
#include "thread.h"

void ring_init(uint32_t blocks);

/* Writes one event (two, for a size of 4 GiB or more). Context: the thread's own hook. */
void ring_write(struct thread *t, enum ht_event_type type, unsigned flags, uintptr_t address, uint64_t size,
                uint32_t site);

#endif
