/*
 * Live blocks: four to a line of 64 bytes in the file. Lines are chained; heads and links are private.
 *
 * Blocks that are near in time are near in space, so a chain is what lies in a granule of 512 bytes of address space, or in a region of 4 KiB for larger
 * blocks. A granule whose blocks do not fill a line shares one with its neighbours in the region. So a block costs some 17 to 24 bytes, large ones
 * 2 % of themselves.
 *
 * What is here is the short way, for short chains: a few lines are compared at once, without a branch between them, since no processor predicts how many
 * there are and which of them an entry is in. All else is in live.c.
 *
 * Source: research/engine.md 3.1, but for the sharing. At most one writer an address: a block is inserted after the real allocation and removed before the
 * real free.
 */
#ifndef HEAPTAP_LIVE_H
#define HEAPTAP_LIVE_H

#include "section.h"
#include "thread.h"

bool live_init(uint32_t lines_max);

#define LIVE_GRANULE_SHIFT 9u
#define LIVE_LARGE (1u << LIVE_GRANULE_SHIFT) /* what is larger is looked for by region */
#define LIVE_HEADS_SHIFT 22u
#define LIVE_LEVEL_BITS 13u /* two levels: addresses of 48 bits */
#define LIVE_LEVEL_SLOTS (1u << LIVE_LEVEL_BITS)

/* Where the chains of 4 MiB of address space begin: a line, or 0. */
struct live_heads {
    uint32_t granule[1u << (LIVE_HEADS_SHIFT - LIVE_GRANULE_SHIFT)];
    uint32_t region[1u << (LIVE_HEADS_SHIFT - HT_REGION_SHIFT)];
};
extern struct live_heads **live_root[LIVE_LEVEL_SLOTS];

/* The line that follows each line: one that was there before it, so there are no cycles. Line 0 stands for none; its entries neither match nor have room. */
extern uint32_t *live_following;

struct live_heads *live_make_heads(uintptr_t address);
bool live_insert_slow(struct thread *t, struct live_heads *heads, uintptr_t address, const struct live_block *block,
                      struct live_block *stale);
bool live_remove_slow(uintptr_t address, struct live_block *block);

INLINE struct ht_line *live_line(uint32_t id)
{
    return SECTION_RECORD(struct ht_line, HT_LINES, id);
}

INLINE uint32_t live_tag(enum ht_tag_state state, uintptr_t address)
{
    return (uint32_t)state | (uint32_t)(address & ((1u << HT_REGION_SHIFT) - 1)) << 3;
}

/* NULL: nothing was ever inserted there. */
INLINE struct live_heads *live_heads_of(uintptr_t address)
{
    uint64_t at = (uint64_t)address >> LIVE_HEADS_SHIFT;
    if (UNLIKELY(at >> (2 * LIVE_LEVEL_BITS)))
        return NULL;
    struct live_heads **middle = __atomic_load_n(&live_root[at >> LIVE_LEVEL_BITS], __ATOMIC_ACQUIRE);
    return LIKELY(middle) ? __atomic_load_n(&middle[at % LIVE_LEVEL_SLOTS], __ATOMIC_ACQUIRE) : NULL;
}

INLINE uint32_t *live_granule(struct live_heads *heads, uintptr_t address)
{
    return &heads->granule[(address >> LIVE_GRANULE_SHIFT) % ARRAY_LEN(heads->granule)];
}

INLINE uint32_t *live_region(struct live_heads *heads, uintptr_t address)
{
    return &heads->region[(address >> HT_REGION_SHIFT) % ARRAY_LEN(heads->region)];
}

/*
 * The heads around an address, made if they are not there; NULL: no memory. Fetches what an insertion of a block of this size looks at first.
 * Context: the thread's own hook; lock-free; seldom a system call.
 */
INLINE struct live_heads *live_reach(uintptr_t address, uint64_t size)
{
    struct live_heads *heads = live_heads_of(address);
    if (UNLIKELY(!heads))
        return live_make_heads(address);
    uint32_t id = word_get(UNLIKELY(size > LIVE_LARGE) ? live_region(heads, address) : live_granule(heads, address));
    __builtin_prefetch(live_line(id), 1);
    return heads;
}

INLINE unsigned live_equal(uint32_t id, uint32_t tag)
{
    return arch_equal4(live_line(id)->tag, tag);
}

/* Line and entry number of the lowest of eight bits: four for each line. */
INLINE struct ht_line *live_pick(uint32_t first, uint32_t second, unsigned bits, unsigned *entry)
{
    unsigned number = (unsigned)__builtin_ctz(bits);
    *entry = number % HT_LINE_ENTRIES;
    return live_line(first ^ ((first ^ second) & (0u - number / HT_LINE_ENTRIES)));
}

/* The size of an entry that is live. A branch on which entry it is would not be predictable. */
INLINE uint64_t live_size(const struct ht_line *line, unsigned entry)
{
    uint64_t size = line->size[entry];
    bool high = HT_TAG_STATE(word_get(&line->tag[1])) == HT_TAG_HIGH;
    if (UNLIKELY(high & (entry == 0)))
        size |= (uint64_t)line->size[1] << 32;
    return size;
}

INLINE void live_take(struct ht_line *line, unsigned entry, struct live_block *block)
{
    word_acquire(&line->tag[entry]); /* what was stored before it is there */
    block->size = live_size(line, entry);
    block->site = line->site[entry];
    block->birth = line->birth[entry];
    if (UNLIKELY(block->size >> 32)) { /* entry 0 must not be filled again while entry 1 would be read with it */
        word_publish(&line->tag[0], HT_TAG_BUSY);
        word_publish(&line->tag[1], 0);
    }
    word_publish(&line->tag[entry], 0);
}

/* Makes an empty entry this thread's own. Other threads fill entries of this region too; what was empty may be taken by now. */
INLINE bool live_claim(struct ht_line *line, unsigned entry, uintptr_t address)
{
    return word_swap(&line->tag[entry], 0, live_tag(HT_TAG_BUSY, address));
}

INLINE void live_fill(struct ht_line *line, unsigned entry, uintptr_t address, const struct live_block *block)
{
    line->site[entry] = block->site;
    line->size[entry] = (uint32_t)block->size;
    line->birth[entry] = block->birth;
    word_publish(&line->tag[entry], live_tag(HT_TAG_LIVE, address));
}

/* The short way of live_insert. False: take the slow one. */
INLINE bool live_insert_short(struct live_heads *heads, uintptr_t address, const struct live_block *block)
{
    if (UNLIKELY(!heads))
        return false;
    uint32_t first = word_acquire(live_granule(heads, address)), other = word_acquire(live_region(heads, address));
    if (UNLIKELY(block->size > LIVE_LARGE)) {
        uint32_t granule = first;
        first = other;
        other = granule;
    }
    uint32_t second = live_following[first], third = live_following[second];
    uint64_t unusual = live_following[third] | live_following[other] | block->size >> 32;
    struct arch_sixteen tags = arch_load16(live_line(first)->tag, live_line(second)->tag, live_line(third)->tag,
                                           live_line(other)->tag);
    unsigned same = arch_equal16(tags, live_tag(HT_TAG_LIVE, address)), empty = arch_equal16(tags, 0) & 0xfff;
    if (LIKELY(!(unusual | same)) && LIKELY(empty)) {
        unsigned number = (unsigned)__builtin_ctz(empty), entry = number % HT_LINE_ENTRIES;
        uint32_t id = UNLIKELY(number >= 2 * HT_LINE_ENTRIES) ? third : number >= HT_LINE_ENTRIES ? second : first;
        struct ht_line *line = live_line(id);
        if (LIKELY(live_claim(line, entry, address))) {
            live_fill(line, entry, address, block);
            return true;
        }
    }
    return false;
}

/*
 * Puts a block in, below heads that are its address's. False: the table is full. If the address was live (a free was missed), what was there is taken out first
 * and stored in *stale, which is left alone otherwise.
 * Context: the thread's own hook; lock-free; a system call when the table grows.
 */
INLINE bool live_insert(struct thread *t, struct live_heads *heads, uintptr_t address, const struct live_block *block,
                        struct live_block *stale)
{
    return LIKELY(live_insert_short(heads, address, block)) ||
           (heads && live_insert_slow(t, heads, address, block, stale));
}

/* The short way of live_remove. False: take the slow one. */
INLINE bool live_remove_short(uintptr_t address, struct live_block *block)
{
    struct live_heads *heads = live_heads_of(address);
    if (UNLIKELY(!heads))
        return false;
    uint32_t first = word_acquire(live_granule(heads, address)), second = live_following[first];
    uint32_t wanted = live_tag(HT_TAG_LIVE, address);
    unsigned same = live_equal(first, wanted) | live_equal(second, wanted) << HT_LINE_ENTRIES, entry;
    if (UNLIKELY(!same))
        return false;
    struct ht_line *line = live_pick(first, second, same, &entry);
    live_take(line, entry, block);
    return true;
}

/* Takes a block out. False: it is not there. Context: as above. */
INLINE bool live_remove(uintptr_t address, struct live_block *block)
{
    return LIKELY(live_remove_short(address, block)) || live_remove_slow(address, block);
}

bool live_contains(uintptr_t address);

/* True if a block that found no room may find some after section_grow. */
bool live_may_grow(void);

#endif
