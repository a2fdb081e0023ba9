#include "live.h"

#include "memory.h"

#define LINES_PER_RUN 64u /* a thread takes 4 KiB of lines at a time: no false sharing */
#define GRANULES (1u << (HT_REGION_SHIFT - LIVE_GRANULE_SHIFT)) /* of a region */

struct live_heads **live_root[LIVE_LEVEL_SLOTS];
uint32_t *live_following;

bool live_init(uint32_t lines_max)
{
    static uint32_t capacity;
    for (uint32_t i = 0; live_following && i < LIVE_LEVEL_SLOTS; i++) /* in a fork child */
        live_root[i] = NULL;
    if (!live_following || capacity < lines_max) {
        live_following = memory_map((size_t)lines_max * sizeof *live_following);
        capacity = lines_max;
    }
    section[HT_LINES].claimed = 0;
    if (!live_following || !section_reach(&section[HT_LINES], 1))
        return false;
    for (unsigned i = 0; i < HT_LINE_ENTRIES; i++)
        word_set(&live_line(0)->tag[i], HT_TAG_BUSY);
    return true;
}

/* What *slot points to, made if it is not there. NULL: no memory. */
static COLD void *make_level(void *slot, size_t bytes)
{
    void **at = slot;
    void *there = __atomic_load_n(at, __ATOMIC_ACQUIRE);
    if (there)
        return there;
    void *fresh = memory_piece(bytes);
    if (fresh && __atomic_compare_exchange_n(at, &there, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        there = fresh;
    return there;
}

COLD struct live_heads *live_make_heads(uintptr_t address)
{
    uint64_t at = (uint64_t)address >> LIVE_HEADS_SHIFT;
    if (at >> (2 * LIVE_LEVEL_BITS))
        return NULL;
    struct live_heads **middle = make_level(&live_root[at >> LIVE_LEVEL_BITS],
                                            LIVE_LEVEL_SLOTS * sizeof(struct live_heads *));
    return middle ? make_level(&middle[at % LIVE_LEVEL_SLOTS], sizeof(struct live_heads)) : NULL;
}

/* ---- One chain ---- */

/* Empty entries in which a block of this size may begin, as bits: one of 4 GiB or more needs entries 0 and 1. */
static unsigned room_in(uint32_t id, uint64_t size)
{
    unsigned empty = live_equal(id, 0);
    return size >> 32 && (empty & 3) != 3 ? 0 : size >> 32 ? 1 : empty;
}

static void set_high(struct ht_line *line, uint64_t size)
{
    line->size[1] = (uint32_t)(size >> 32);
    word_publish(&line->tag[1], HT_TAG_HIGH);
}

/* Fills an entry that was seen to be empty. False: another thread was faster. */
static bool put(uint32_t id, unsigned entry, uintptr_t address, const struct live_block *block)
{
    struct ht_line *line = live_line(id);
    if (!live_claim(line, entry, address))
        return false;
    if (block->size >> 32) {
        if (!word_swap(&line->tag[1], 0, HT_TAG_BUSY)) {
            word_publish(&line->tag[entry], 0);
            return false;
        }
        set_high(line, block->size);
    }
    live_fill(line, entry, address, block);
    return true;
}

static bool put_in_chain(const uint32_t *head, uintptr_t address, const struct live_block *block)
{
    for (uint32_t id = word_acquire(head); id; id = live_following[id]) {
        unsigned room = room_in(id, block->size);
        if (room && put(id, (unsigned)__builtin_ctz(room), address, block))
            return true;
    }
    return false;
}

/* A live address's entry in one chain; 0: it is not there. */
static uint32_t search(const uint32_t *head, uintptr_t address, unsigned *entry)
{
    const uint32_t wanted = live_tag(HT_TAG_LIVE, address);
    for (uint32_t id = word_acquire(head); id; id = live_following[id]) {
        unsigned same = live_equal(id, wanted);
        if (same) {
            *entry = (unsigned)__builtin_ctz(same);
            return id;
        }
    }
    return 0;
}

/* The same, whatever the block's size was. */
static uint32_t find(struct live_heads *heads, uintptr_t address, unsigned *entry)
{
    if (!heads)
        return 0;
    uint32_t id = search(live_granule(heads, address), address, entry);
    return id ? id : search(live_region(heads, address), address, entry);
}

/* ---- A block whose chain has no room ---- */

/*
 * A line with room that another chain of the same region begins with, or has second, becomes the first of this chain: if no line of this chain is lost by
 * that, and it does not get longer than two lines.
 */
static bool borrow(uint32_t *head, const uint32_t *other, uint64_t size)
{
    uint32_t own = word_acquire(head), first = word_acquire(other);
    for (int place = 0; first && place < 2; place++, first = live_following[first]) {
        uint32_t second = live_following[first];
        if ((!own || own == second) && !live_following[second] && room_in(first, size))
            return word_swap(head, own, first);
    }
    return false;
}

/* Blocks come up one behind the other, mostly: the granule before is asked first. */
static bool borrow_from_neighbours(struct live_heads *heads, uint32_t *head, uintptr_t address, uint64_t size)
{
    const uint32_t *granule = live_granule(heads, address), *region = live_region(heads, address);
    uint32_t place = address >> LIVE_GRANULE_SHIFT & (GRANULES - 1);
    return (place > 0 && borrow(head, granule - 1, size)) ||
           (place < GRANULES - 1 && borrow(head, granule + 1, size)) ||
           (region != head ? borrow(head, region, size) : borrow(head, granule, size));
}

/* A line of this thread's run. */
static uint32_t new_line(struct thread *t)
{
    if (t->line_next == t->line_end) {
        uint32_t run = section_claim(&section[HT_LINES], LINES_PER_RUN);
        if (run == SECTION_FULL)
            return SECTION_FULL;
        t->line_next = MAX(run, 1u); /* line 0 stands for none */
        t->line_end = run + LINES_PER_RUN;
    }
    return t->line_next++;
}

static bool put_in_new_line(struct thread *t, uint32_t *head, uintptr_t address, const struct live_block *block)
{
    uint32_t id = new_line(t);
    if (id == SECTION_FULL)
        return false;
    struct ht_line *line = live_line(id);
    uint64_t region = (uint64_t)address >> HT_REGION_SHIFT;
    line->region_lo = (uint32_t)region;
    line->region_hi = (uint16_t)(region >> 32);
    if (block->size >> 32)
        set_high(line, block->size);
    live_fill(line, 0, address, block);
    uint32_t first = word_get(head);
    do {
        live_following[id] = first;
    } while (!__atomic_compare_exchange_n(head, &first, id, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    return true;
}

/* ---- The long way ---- */

COLD bool live_insert_slow(struct thread *t, struct live_heads *heads, uintptr_t address,
                           const struct live_block *block, struct live_block *stale)
{
    uint32_t *head = block->size > LIVE_LARGE ? live_region(heads, address) : live_granule(heads, address);
    unsigned entry;
    uint32_t id = find(heads, address, &entry);
    if (id)
        live_take(live_line(id), entry, stale);
    if (put_in_chain(head, address, block))
        return true;
    if (borrow_from_neighbours(heads, head, address, block->size) && put_in_chain(head, address, block))
        return true;
    return put_in_new_line(t, head, address, block);
}

COLD bool live_remove_slow(uintptr_t address, struct live_block *block)
{
    unsigned entry;
    uint32_t id = find(live_heads_of(address), address, &entry);
    if (id)
        live_take(live_line(id), entry, block);
    return id != 0;
}

bool live_contains(uintptr_t address)
{
    unsigned entry;
    return find(live_heads_of(address), address, &entry) != 0;
}

bool live_may_grow(void)
{
    return section_may_grow(&section[HT_LINES], LINES_PER_RUN);
}
