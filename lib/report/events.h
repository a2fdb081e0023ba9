/*
 * The ring in order: blocks by their claim, within a block as written. An iterator over what is there, and over the gaps in each slot's numbering.
 */
#ifndef HEAPTAP_EVENTS_H
#define HEAPTAP_EVENTS_H

#include "reader.h"

#define EVENTS_NO_NUMBER UINT64_MAX /* events of the shared slot have no number */

enum events_item_type {
    EVENTS_END,
    EVENTS_EVENT,
    EVENTS_GAP /* `lost` events of `slot` before the next one are not in the ring any more */
};

struct events_item {
    uint32_t slot;
    uint64_t claim;   /* of the block */
    uint64_t number;  /* of the event in its slot, or EVENTS_NO_NUMBER */
    uint64_t time_ns; /* since start: the latest clock mark of this block before it */
    uint64_t lost;    /* EVENTS_GAP */
    uint32_t type;    /* enum ht_event_type; TIME: time_ns is the new time. HIGH never comes out: it is in size */
    uint32_t flags;   /* HT_EVENT_REALLOC, HT_EVENT_STALE */
    uint64_t address, size;
    uint32_t site;
};

struct events {
    const struct reader *reader;
    uint32_t *order; /* blocks, by claim */
    uint32_t block_count, block;
    uint32_t position;
    uint64_t time_ns;
    uint64_t *next_number; /* by slot */
    uint32_t slot_count, shared_slot;
    uint64_t *high;   /* by slot: upper half of the next event's size */
    uint64_t present; /* raw events seen so far, HIGH included: what slot.events counts */
    uint64_t gaps;    /* events lost in gaps so far */
};

bool events_open(struct events *events, const struct reader *reader, struct err *err);
void events_close(struct events *events);
enum events_item_type events_next(struct events *events, struct events_item *item);

/* The last time that any block tells, in ns since start; 0: none. */
uint64_t events_last_time(const struct reader *reader);

/* Raw events in one block, as slot.events counts them. */
uint32_t events_in_block(const struct reader *reader, const struct ht_block *block);

#endif
