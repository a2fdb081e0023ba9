#include "live.h"

#include "memory.h"

#include "sys.h"
#include <linux/mman.h>

#define LINES_PER_RUN 64u /* a thread takes 4 KiB of lines at a time: no false sharing */
#define GRANULES (1u << (HT_REGION_SHIFT - LIVE_GRANULE_SHIFT)) /* of a region */

struct live_heads *live_root[1u << (LIVE_ADDRESS_BITS - LIVE_HEADS_SHIFT)];
uint32_t *live_following;

/* Memory of which little may ever be used: a huge page would be more than all else. */
static void *map_sparse(size_t bytes)
{
    void *memory = memory_map(bytes);
    if (memory)
        sys_advise(memory, bytes, MADV_NOHUGEPAGE);
    return memory;
}

bool live_init(uint32_t lines_max)
{
    static uint32_t capacity;
    if (!live_following || capacity < lines_max) {
        live_following = map_sparse((size_t)lines_max * sizeof *live_following);
        capacity = lines_max;
    }
    section[HT_LINES].claimed = 0;
    if (!live_following || !section_reach(&section[HT_LINES], 1))
        return false;
    for (unsigned i = 0; i < HT_LINE_ENTRIES; i++)
        word_set(&live_line(0)->tag[i], HT_TAG_BUSY);
    return true;
}

COLD struct live_heads *live_make_heads(uintptr_t address)
{
    uintptr_t at = address >> LIVE_HEADS_SHIFT;
    struct live_heads *there = NULL, *fresh = at < ARRAY_LEN(live_root) ? map_sparse(sizeof *fresh) : NULL;
    if (!fresh || __atomic_compare_exchange_n(&live_root[at], &there, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return fresh;
    memory_unmap(fresh, sizeof *fresh); /* another thread was faster */
    return there;
}

/* ---- One chain ---- */

/* An entry; line 0: none. */
struct place {
    uint32_t line;
    size_t entry;
};

/* The first entry of a chain that has this tag: a live block's, or 0. */
INLINE struct place find_tag(const uint32_t *head, uint32_t tag)
{
    for (uint32_t id = word_acquire(head); id; id = live_following[id]) {
        unsigned same = arch_equal4(live_line(id)->tag, tag);
        if (same)
            return (struct place){id, (unsigned)__builtin_ctz(same)};
    }
    return (struct place){0, 0};
}

/* A live address's entry, whatever the block's size was. */
INLINE struct place find(struct live_heads *heads, uintptr_t address)
{
    uint32_t wanted = live_tag(HT_TAG_LIVE, address);
    struct place place = find_tag(live_granule(heads, address), wanted);
    return place.line ? place : find_tag(live_region(heads, address), wanted);
}

static struct live_block take(struct place place)
{
    struct ht_line *line = live_line(place.line);
    word_acquire(&line->tag[place.entry]); /* what was stored before it is there */
    struct live_block block = {line->size[place.entry], line->site[place.entry], line->birth[place.entry]};
    if (UNLIKELY(HT_TAG_STATE(word_get(&line->tag[1])) == HT_TAG_HIGH) && place.entry == 0) {
        block.size |= (uint64_t)line->size[1] << 32;
        word_publish(&line->tag[0], HT_TAG_BUSY); /* it must not be filled again while entry 1 would be read with it */
        word_publish(&line->tag[1], 0);
    }
    word_publish(&line->tag[place.entry], 0);
    return block;
}

static void set_high(struct ht_line *line, uint64_t size)
{
    line->size[1] = (uint32_t)(size >> 32);
    word_publish(&line->tag[1], HT_TAG_HIGH);
}

/* Fills an entry that was seen to be empty. False: another thread was faster. */
static bool put(struct place place, uintptr_t address, uint32_t size, uint32_t site, uint16_t birth)
{
    struct ht_line *line = live_line(place.line);
    if (!live_claim(line, place.entry))
        return false;
    live_fill(line, place.entry, address, size, site, birth);
    return true;
}

static bool put_in_chain(const uint32_t *head, uintptr_t address, uint32_t size, uint32_t site, uint16_t birth)
{
    struct place place;
    while ((place = find_tag(head, 0)).line)
        if (put(place, address, size, site, birth))
            return true;
    return false;
}

/* A block of 4 GiB or more needs entries 0 and 1. */
static COLD bool put_high_in_chain(const uint32_t *head, uintptr_t address, uint64_t size, uint32_t site,
                                  uint16_t birth)
{
    for (uint32_t id = word_acquire(head); id; id = live_following[id]) {
        struct ht_line *line = live_line(id);
        if ((arch_equal4(line->tag, 0) & 3) != 3 || !live_claim(line, 0))
            continue;
        if (live_claim(line, 1)) {
            set_high(line, size);
            live_fill(line, 0, address, (uint32_t)size, site, birth);
            return true;
        }
        word_publish(&line->tag[0], 0);
    }
    return false;
}

/* ---- A block whose chain has no room ---- */

/*
 * Puts a block in a line that another granule of the same region begins with, which becomes the first of this chain: if no line of this chain is lost by
 * that, and it does not get longer than two lines.
 */
static bool share(uint32_t *head, uint32_t id, uintptr_t address, uint32_t size, uint32_t site, uint16_t birth)
{
    uint32_t own = word_acquire(head), second = live_following[id];
    struct ht_line *line = live_line(id);
    unsigned empty = arch_equal4(line->tag, 0), entry = (unsigned)__builtin_ctz(empty | 1u << HT_LINE_ENTRIES);
    if (!empty || (own && own != second) || live_following[second] || !live_claim(line, entry))
        return false;
    if (!word_swap(head, own, id)) {
        word_publish(&line->tag[entry], 0);
        return false;
    }
    live_fill(line, entry, address, size, site, birth);
    return true;
}

/* A line of this thread's run. */
static uint32_t new_line(struct thread *t)
{
    if (UNLIKELY(t->line_next == t->line_end)) {
        uint32_t run = section_claim(&section[HT_LINES], LINES_PER_RUN);
        if (run == SECTION_FULL)
            return SECTION_FULL;
        t->line_next = MAX(run, 1u); /* line 0 stands for none */
        t->line_end = run + LINES_PER_RUN;
    }
    return t->line_next++;
}

static unsigned put_in_new_line(struct thread *t, uint32_t *head, uintptr_t address, uint64_t size, uint32_t site,
                                uint16_t birth)
{
    uint32_t id = new_line(t);
    if (UNLIKELY(id == SECTION_FULL))
        return LIVE_FULL;
    struct ht_line *line = live_line(id);
    uint64_t region = (uint64_t)address >> HT_REGION_SHIFT;
    line->region_lo = (uint32_t)region;
    line->region_hi = (uint16_t)(region >> 32);
    if (UNLIKELY(size >> 32))
        set_high(line, size);
    live_fill(line, 0, address, (uint32_t)size, site, birth);
    uint32_t first = word_get(head);
    do {
        live_following[id] = first;
    } while (!__atomic_compare_exchange_n(head, &first, id, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    return LIVE_DONE;
}

/* Blocks come up one behind the other, mostly: the line that this thread began last is asked first, then the granule before. */
unsigned live_insert_new(struct thread *t, struct live_heads *heads, uintptr_t address, uint32_t size, uint32_t site,
                         uint16_t birth)
{
    uint32_t *head = live_granule(heads, address);
    uintptr_t region = address >> HT_REGION_SHIFT;
    uint32_t place = address >> LIVE_GRANULE_SHIFT & (GRANULES - 1);
    if ((region == t->line_region && share(head, t->line_begun, address, size, site, birth)) ||
        (place > 0 && share(head, word_acquire(head - 1), address, size, site, birth)) ||
        (place < GRANULES - 1 && share(head, word_acquire(head + 1), address, size, site, birth)))
        return LIVE_DONE;
    unsigned result = put_in_new_line(t, head, address, size, site, birth);
    if (result == LIVE_DONE) {
        t->line_region = region;
        t->line_begun = t->line_next - 1;
    }
    return result;
}

/* ---- The long way ---- */

unsigned live_insert_slow(struct thread *t, struct live_heads *heads, uintptr_t address, uint64_t size, uint32_t site,
                          uint16_t birth)
{
    struct place place = find(heads, address);
    unsigned result = place.line ? LIVE_STALE : LIVE_DONE;
    if (UNLIKELY(place.line))
        t->stale = take(place);
    if (size <= LIVE_LARGE) {
        if (!put_in_chain(live_granule(heads, address), address, (uint32_t)size, site, birth))
            result |= live_insert_new(t, heads, address, (uint32_t)size, site, birth);
    } else {
        uint32_t *head = live_region(heads, address);
        if (size >> 32 ? !put_high_in_chain(head, address, size, site, birth) :
                         !put_in_chain(head, address, (uint32_t)size, site, birth))
            result |= put_in_new_line(t, head, address, size, site, birth);
    }
    return result;
}

struct live_block live_remove_slow(uintptr_t address)
{
    struct place place = find(live_heads_of(address), address);
    return place.line ? take(place) : (struct live_block){0};
}

bool live_contains(uintptr_t address)
{
    struct live_heads *heads = live_heads_of(address);
    return heads && find(heads, address).line;
}

bool live_may_grow(void)
{
    return section_may_grow(&section[HT_LINES], LINES_PER_RUN);
}
