#include "verify.h"
#include "events.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check {
    const struct reader *reader;
    struct verify *result;
    void (*tell)(void *arg, const char *line);
    void *arg;
    uint64_t *addresses; /* V6 */
    size_t address_count;
    struct balance *balance; /* V5, by site id */
    uint64_t slack;          /* events that may be half done */
};

struct balance {
    uint64_t count, bytes; /* allocs - frees - live, modulo 2^64: 0 if they agree */
};

static void __attribute__((format(printf, 3, 4))) violation(struct check *check, int rule, const char *format, ...)
{
    char line[256];
    int length = snprintf(line, sizeof line, "V%d ", rule);
    check->result->total++;
    if (check->result->violations[rule]++ >= VERIFY_LINES_MAX || !check->tell)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + length, sizeof line - (size_t)length, format, arguments);
    va_end(arguments);
    check->tell(check->arg, line);
}

#define EACH(id, section)                                                                                              \
    for (uint32_t id = reader_next(check->reader, section, 0); id < reader_count(check->reader, section);              \
         id = reader_next(check->reader, section, id + 1))

static void check_tree(struct check *check)
{
    const struct reader *reader = check->reader;
    EACH(id, HT_PLACES)
    {
        const struct ht_place *place = reader_place(reader, id);
        if (place && place->module != HT_NO_MODULE && place->module != HT_CUT &&
            !reader_module(reader, place->module - 1))
            violation(check, 2, "place %u: module %u is not published", id, place->module - 1);
    }
    EACH(id, HT_NODES)
    {
        const struct ht_node *node = reader_node(reader, id);
        if (!node)
            continue;
        if (node->parent >= id || (node->parent && !reader_node(reader, node->parent)))
            violation(check, 2, "node %u: parent %u is not published before it", id, node->parent);
        const struct ht_place *place = reader_place(reader, node->place);
        if (!place)
            violation(check, 2, "node %u: place %u is not published", id, node->place);
        else if (place->module == HT_CUT && node->parent)
            violation(check, 2, "node %u: place %u is a cut, but node %u is outside of it", id, node->place,
                      node->parent);
    }
    EACH(id, HT_SITES)
    {
        const struct ht_site *site = reader_site(reader, id);
        if (!site)
            continue;
        if (site->node && !reader_node(reader, site->node))
            violation(check, 2, "site %u: node %u is not published", id, site->node);
        if (site->kind >= HT_KINDS)
            violation(check, 2, "site %u: unknown kind %u", id, site->kind);
    }
}

static void check_block(void *arg, const struct reader_block *block)
{
    struct check *check = arg;
    check->addresses[check->address_count++] = block->address;
    if (!reader_site(check->reader, block->site)) {
        violation(check, 3, "live block 0x%llx: site %u is not published", (unsigned long long)block->address,
                  block->site);
        return;
    }
    check->balance[block->site].count--;
    check->balance[block->site].bytes -= block->size;
}

static void count_block(void *arg, const struct reader_block *block)
{
    (void)block;
    ((struct check *)arg)->address_count++;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void check_addresses(struct check *check)
{
    qsort(check->addresses, check->address_count, sizeof *check->addresses, compare_u64);
    for (size_t i = 1; i < check->address_count; i++)
        if (check->addresses[i] == check->addresses[i - 1])
            violation(check, 6, "two live blocks at 0x%llx", (unsigned long long)check->addresses[i]);
}

static void check_chunks(struct check *check)
{
    const struct reader *reader = check->reader;
    uint64_t *pairs = calloc((size_t)reader_count(reader, HT_CHUNKS) + 1, sizeof *pairs);
    size_t count = 0;
    EACH(id, HT_CHUNKS)
    {
        const struct ht_chunk *chunk = reader_record(reader, HT_CHUNKS, id);
        if (!chunk->slot)
            continue;
        if (chunk->slot > reader_count(reader, HT_SLOTS))
            violation(check, 4, "chunk %u: there is no slot %u", id, chunk->slot - 1);
        if ((uint64_t)chunk->group * HT_SITES_PER_CHUNK >= reader_count(reader, HT_SITES))
            violation(check, 4, "chunk %u: there are no sites of group %u", id, chunk->group);
        if (pairs)
            pairs[count++] = (uint64_t)chunk->slot << 32 | chunk->group;
    }
    if (pairs)
        qsort(pairs, count, sizeof *pairs, compare_u64);
    for (size_t i = 1; pairs && i < count; i++)
        if (pairs[i] == pairs[i - 1])
            violation(check, 4, "two chunks for slot %u and group %u", (uint32_t)(pairs[i] >> 32) - 1,
                      (uint32_t)pairs[i]);
    free(pairs);
}

static void add_cell(void *arg, const struct reader_cell *cell)
{
    struct check *check = arg;
    if (!reader_site(check->reader, cell->site)) {
        violation(check, 4, "counters of slot %u name site %u, which is not published", cell->slot, cell->site);
        return;
    }
    check->balance[cell->site].count += cell->allocs - cell->frees;
    check->balance[cell->site].bytes += cell->alloc_bytes - cell->free_bytes;
}

static uint64_t distance(uint64_t difference)
{
    return (int64_t)difference < 0 ? 0 - difference : difference;
}

/* Sites whose counters and live blocks differ: each half-done or lost event explains one unit of count, and one site's bytes. */
static void check_balance(struct check *check)
{
    uint64_t apart = 0;
    EACH(id, HT_SITES)
    {
        const struct balance *balance = &check->balance[id];
        uint64_t count = distance(balance->count);
        if (!count && !balance->bytes)
            continue;
        apart += MAX(count, 1u);
        if (apart > check->slack)
            violation(check, 5, "site %u: counters and live blocks differ by %lld blocks, %lld bytes", id,
                      (long long)balance->count, (long long)balance->bytes);
    }
}

static void check_ring(struct check *check)
{
    const struct reader *reader = check->reader;
    uint64_t written = 0, overwritten = 0, present = 0, slack = reader->events_after - reader->events_before;
    EACH(id, HT_SLOTS)
    {
        const struct ht_slot *slot = reader_record(reader, HT_SLOTS, id);
        written += reader_value(&slot->events);
        overwritten += reader_value(&slot->lost[HT_LOST_OVERWRITTEN]);
        slack += slot->owner || id == reader->header.slot_count;
    }
    EACH(id, HT_RING)
    {
        const struct ht_block *block = reader_record(reader, HT_RING, id);
        present += events_in_block(reader, block);
        if (!block->seq && block->open)
            slack += HT_BLOCK_EVENTS; /* being emptied: neither present nor yet counted as overwritten */
        if (!block->seq)
            continue;
        if (block->slot >= reader_count(reader, HT_SLOTS))
            violation(check, 7, "ring block %u: there is no slot %u", id, block->slot);
    }
    if (reader->process != READER_ENDED)
        slack += reader->left_out * HT_BLOCK_EVENTS;
    if (distance(written - present - overwritten) > slack)
        violation(check, 7, "%llu ring events were written, %llu are there and %llu overwritten",
                  (unsigned long long)written, (unsigned long long)present, (unsigned long long)overwritten);
}

static bool check_events(struct check *check, struct err *err)
{
    struct events events;
    struct events_item item;
    enum events_item_type type;
    if (!events_open(&events, check->reader, err))
        return false;
    while ((type = events_next(&events, &item)) != EVENTS_END) {
        bool names_site = type == EVENTS_EVENT && (item.type == HT_EVENT_ALLOC || item.type == HT_EVENT_FREE);
        if (names_site && !reader_site(check->reader, item.site))
            violation(check, 3, "ring claim %" PRIu64 ", slot %u: site %u is not published", item.claim, item.slot,
                      item.site);
        else if (type == EVENTS_EVENT && item.type > HT_EVENT_HIGH)
            violation(check, 7, "ring claim %" PRIu64 ", slot %u: unknown event type %u", item.claim, item.slot,
                      item.type);
    }
    events_close(&events);
    return true;
}

static uint64_t slack_of(const struct reader *reader)
{
    static const enum ht_loss unbalanced[] = {HT_LOST_LIVE_FULL, HT_LOST_LIVE_STALE, HT_LOST_CELL_FULL,
                                              HT_LOST_MAP_FULL};
    uint64_t slack = reader->events_after - reader->events_before + reader->left_out;
    for (uint32_t i = reader_next(reader, HT_SLOTS, 0); i < reader_count(reader, HT_SLOTS);
         i = reader_next(reader, HT_SLOTS, i + 1)) {
        const struct ht_slot *slot = reader_record(reader, HT_SLOTS, i);
        slack += slot->owner || i == reader->header.slot_count;
        for (size_t cause = 0; cause < ARRAY_LEN(unbalanced); cause++)
            slack += reader_value(&slot->lost[unbalanced[cause]]);
    }
    return slack;
}

bool verify_run(const struct reader *reader, struct verify *result, void (*tell)(void *arg, const char *line),
                void *arg, struct err *err)
{
    struct check check = {.reader = reader, .result = result, .tell = tell, .arg = arg, .slack = slack_of(reader)};
    memset(result, 0, sizeof *result);
    reader_each_block(reader, count_block, &check);
    check.addresses = malloc((check.address_count + 1) * sizeof *check.addresses);
    check.balance = calloc((size_t)reader_count(reader, HT_SITES) + 1, sizeof *check.balance);
    check.address_count = 0;
    bool done = check.addresses && check.balance;
    if (done) {
        check_tree(&check);
        reader_each_block(reader, check_block, &check);
        check_addresses(&check);
        reader_each_cell(reader, add_cell, &check);
        check_chunks(&check);
        check_balance(&check);
        check_ring(&check);
        done = check_events(&check, err);
    } else {
        err_set(err, "%s: no memory for checking it", reader->path);
    }
    free(check.addresses);
    free(check.balance);
    return done;
}
