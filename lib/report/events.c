#include "events.h"

#include <stdlib.h>
#include <string.h>

static uint64_t claim_of(const struct ht_block *block)
{
    return ((uint64_t)block->seq_hi << 32 | block->seq) - 1;
}

/* The lap that the events of a block carry. */
static uint32_t lap_of(const struct reader *reader, const struct ht_block *block)
{
    uint32_t blocks = reader->header.ring_blocks;
    return blocks ? (uint32_t)(claim_of(block) / blocks & 0xff) : 0;
}

static bool event_counts(uint32_t head, uint32_t lap)
{
    return HT_EVENT_TYPE(head) != HT_EVENT_NONE && HT_EVENT_LAP(head) == lap;
}

uint32_t events_in_block(const struct reader *reader, const struct ht_block *block)
{
    uint32_t count = 0, lap = lap_of(reader, block);
    for (int i = 0; i < HT_BLOCK_EVENTS && block->seq; i++)
        count += event_counts(block->event[i].head, lap);
    return count;
}

struct claimed {
    uint64_t claim;
    uint32_t block;
};

static int compare_claims(const void *a, const void *b)
{
    const struct claimed *x = a, *y = b;
    return x->claim != y->claim ? (x->claim > y->claim) - (x->claim < y->claim)
                                : (x->block > y->block) - (x->block < y->block);
}

static bool sort_blocks(struct events *events)
{
    uint32_t count = reader_count(events->reader, HT_RING), kept = 0;
    for (uint32_t i = reader_next(events->reader, HT_RING, 0); i < count;
         i = reader_next(events->reader, HT_RING, i + 1))
        kept++;
    struct claimed *sorted = malloc(((size_t)kept + 1) * sizeof *sorted);
    events->order = malloc(((size_t)kept + 1) * sizeof *events->order);
    kept = 0;
    for (uint32_t i = reader_next(events->reader, HT_RING, 0); sorted && i < count;
         i = reader_next(events->reader, HT_RING, i + 1)) {
        const struct ht_block *block = reader_record(events->reader, HT_RING, i);
        if (block->seq && block->slot < events->slot_count)
            sorted[kept++] = (struct claimed){claim_of(block), i};
    }
    if (sorted && events->order) {
        qsort(sorted, kept, sizeof *sorted, compare_claims);
        for (uint32_t i = 0; i < kept; i++)
            events->order[i] = sorted[i].block;
        events->block_count = kept;
    }
    free(sorted);
    return sorted && events->order;
}

bool events_open(struct events *events, const struct reader *reader, struct err *err)
{
    memset(events, 0, sizeof *events);
    events->reader = reader;
    events->slot_count = reader_count(reader, HT_SLOTS);
    events->shared_slot = reader->header.slot_count;
    events->next_number = calloc((size_t)events->slot_count + 1, sizeof *events->next_number);
    events->high = calloc((size_t)events->slot_count + 1, sizeof *events->high);
    if (events->next_number && events->high && sort_blocks(events))
        return true;
    events_close(events);
    return err_set(err, "%s: no memory for its events", reader->path);
}

void events_close(struct events *events)
{
    free(events->order);
    free(events->next_number);
    free(events->high);
    memset(events, 0, sizeof *events);
}

/* At the beginning of a block: what is missing since the slot's last one. */
static bool find_gap(struct events *events, const struct ht_block *block, struct events_item *item)
{
    uint64_t first = reader_u64(block->first_lo, block->first_hi);
    uint64_t *next = &events->next_number[block->slot];
    if (block->slot == events->shared_slot || first <= *next)
        return false;
    *item = (struct events_item){.slot = block->slot, .claim = claim_of(block), .number = *next, .lost = first - *next};
    item->time_ns = events->time_ns;
    events->gaps += item->lost;
    *next = first;
    events->high[block->slot] = 0;
    return true;
}

/* Fills the item from a raw event. False: it is only half of the next one. */
static bool take_event(struct events *events, const struct ht_block *block, const struct ht_event *event,
                       struct events_item *item)
{
    uint64_t *high = &events->high[block->slot];
    *item = (struct events_item){.slot = block->slot, .claim = claim_of(block), .number = EVENTS_NO_NUMBER};
    if (block->slot != events->shared_slot)
        item->number = events->next_number[block->slot]++;
    events->present++;
    item->type = HT_EVENT_TYPE(event->head);
    item->flags = HT_EVENT_FLAGS(event->head);
    if (item->type == HT_EVENT_HIGH) {
        *high = event->size;
        return false;
    }
    if (item->type == HT_EVENT_TIME) {
        events->time_ns = reader_u64(event->size, event->site);
    } else {
        item->address = reader_u64(event->addr_lo, HT_EVENT_ADDR_HI(event->head));
        item->size = reader_u64(event->size, (uint32_t)*high);
        item->site = event->site;
        *high = 0;
    }
    item->time_ns = events->time_ns;
    return true;
}

enum events_item_type events_next(struct events *events, struct events_item *item)
{
    for (; events->block < events->block_count; events->block++, events->position = 0) {
        const struct ht_block *block = reader_record(events->reader, HT_RING, events->order[events->block]);
        uint32_t lap = lap_of(events->reader, block);
        if (events->position == 0) {
            events->time_ns = reader_u64(block->time_lo, block->time_hi);
            if (find_gap(events, block, item))
                return EVENTS_GAP;
        }
        while (events->position < HT_BLOCK_EVENTS) {
            const struct ht_event *event = &block->event[events->position++];
            if (event_counts(event->head, lap) && take_event(events, block, event, item))
                return EVENTS_EVENT;
        }
    }
    return EVENTS_END;
}

uint64_t events_last_time(const struct reader *reader)
{
    uint64_t last = 0;
    uint32_t count = reader_count(reader, HT_RING);
    for (uint32_t i = reader_next(reader, HT_RING, 0); i < count; i = reader_next(reader, HT_RING, i + 1)) {
        const struct ht_block *block = reader_record(reader, HT_RING, i);
        if (!block || !block->seq)
            continue;
        uint32_t lap = lap_of(reader, block);
        last = MAX(last, reader_u64(block->time_lo, block->time_hi));
        for (uint32_t k = 0; k < HT_BLOCK_EVENTS; k++) {
            const struct ht_event *event = &block->event[k];
            if (HT_EVENT_TYPE(event->head) == HT_EVENT_TIME && event_counts(event->head, lap))
                last = MAX(last, reader_u64(event->size, event->site));
        }
    }
    return last;
}
