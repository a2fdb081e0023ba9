/*
 * Live blocks: four to a line of 64 bytes in the file. Lines are chained; heads and links are private.
 *
 * Blocks that are near in time are near in space, so a chain is what lies in a granule of 512 bytes of address space, or in a page of 4 KiB for
 * larger blocks, of which no more than eight begin there: two lines. One whose blocks do not fill a line shares one with its neighbours in the region
 * of 16 KiB that a line is of. So a block costs some 17 to 23 bytes; one of 1 KiB or more, 2 % of itself at the most.
 *
 * What is here is the short way, for small blocks in short chains: a few lines are compared at once, without a branch between them, since no
 * processor predicts how many there are and which of them an entry is in. All else is in live.c.
 *
 * Source: research/engine.md 3.1, but for the sharing. At most one writer an address: a block is inserted after the real allocation and removed
 * before the real free.
 */
#ifndef HEAPTAP_LIVE_H
#define HEAPTAP_LIVE_H

#include "section.h"
#include "thread.h"

bool live_init(uint32_t lines_max);

/* Gives back the links of lines beyond so many, which are no more than the section's capacity. Context: as memory_cut; one caller at a time. */
void live_cut(uint32_t lines_max, bool wait);

/* Makes sure that blocks in a few parts of the address space that had none can be inserted without a system call. */
void live_reserve(void);

#define LIVE_GRANULE_SHIFT 9u
#define LIVE_PAGE_SHIFT 12u
#define LIVE_LARGE (1u << LIVE_GRANULE_SHIFT) /* what is larger is looked for by page */
#if UINTPTR_MAX >> 31 >> 1
#define LIVE_ADDRESS_BITS 48u
#define LIVE_HEADS_SHIFT 29u
#else
#define LIVE_ADDRESS_BITS 32u
#define LIVE_HEADS_SHIFT 22u
#endif

/*
 * A chain in a word: its first line, and above how many entries it has. The lines behind those, down the links, are of the same region but other
 * chains': to look at them is no error. 0: it is empty.
 */
#define LIVE_LINE_BITS 26u
#define LIVE_LINES_MAX (1u << LIVE_LINE_BITS)
#define LIVE_FIRST(chain) ((chain) & (LIVE_LINES_MAX - 1))
#define LIVE_ENTRIES(chain) ((chain) >> LIVE_LINE_BITS)
#define LIVE_CHAIN(first, entries) ((first) | (uint32_t)(entries) << LIVE_LINE_BITS)
#define LIVE_ENTRIES_MAX (15u * HT_LINE_ENTRIES) /* that many, or more */
#define LIVE_SHORT (3u * HT_LINE_ENTRIES)        /* no longer chain of small blocks is searched without a branch, */
#define LIVE_SHORT_LARGE (2u * HT_LINE_ENTRIES)  /* and of large ones */

/* The chains of a part of the address space. Only what is stored to is there. */
struct live_heads {
    uint32_t granule[1u << (LIVE_HEADS_SHIFT - LIVE_GRANULE_SHIFT)];
    uint32_t page[1u << (LIVE_HEADS_SHIFT - LIVE_PAGE_SHIFT)];
};
/*
 * The heads of each part; NULL: not made. Not a static array: a garbage collector below us would take it for a root and look through it each time. Fork
 * children find the same heads, whose memory is zero there.
 */
#define LIVE_ROOTS (1u << (LIVE_ADDRESS_BITS - LIVE_HEADS_SHIFT))
extern struct live_heads **live_root;

/*
 * The line that follows each line: one that was there before it, so there are no cycles. Line 0 stands for none; its entries neither match nor have
 * room.
 */
extern uint32_t *live_following;

/* What an insertion has to say, as bits. */
enum live_result {
    LIVE_DONE = 0,
    LIVE_FULL = 1, /* it was not done: there is no room */
    LIVE_STALE = 2 /* the address was live (a free was missed): what was there is taken out, and told */
};

struct live_heads *live_make_heads(uintptr_t address);
/* Any block, whatever the chains are like. */
unsigned live_insert_slow(struct thread *t, struct live_heads *heads, uintptr_t address, uint64_t size, uint32_t site);
/* A small one that is known not to be there, and whose chain has no room. */
unsigned live_insert_new(struct thread *t, struct live_heads *heads, uintptr_t address, uint32_t size, uint32_t site);
/* Its site is 0: it is not there. */
struct live_block live_remove_slow(uintptr_t address);

INLINE struct ht_line *live_line(size_t id)
{
    return SECTION_RECORD(struct ht_line, HT_LINES, id);
}

INLINE uint32_t live_tag(enum ht_tag_state state, uintptr_t address)
{
    return ((uint32_t)state + ((uint32_t)address << 3)) & ((1u << (HT_REGION_SHIFT + 3)) - 1);
}

/* NULL: nothing was ever inserted there. */
INLINE struct live_heads *live_heads_of(uintptr_t address)
{
    uintptr_t at = address >> LIVE_HEADS_SHIFT;
    return LIKELY(at < LIVE_ROOTS) ? __atomic_load_n(&live_root[at], __ATOMIC_ACQUIRE) : NULL;
}

INLINE uint32_t *live_granule(struct live_heads *heads, uintptr_t address)
{
    return &heads->granule[(address >> LIVE_GRANULE_SHIFT) % ARRAY_LEN(heads->granule)];
}

INLINE uint32_t *live_page(struct live_heads *heads, uintptr_t address)
{
    return &heads->page[(address >> LIVE_PAGE_SHIFT) % ARRAY_LEN(heads->page)];
}

/*
 * The heads around an address, made if they are not there; NULL: no memory. Fetches what an insertion looks at first.
 * Context: the thread's own hook; lock-free; seldom a system call.
 */
INLINE struct live_heads *live_reach(uintptr_t address)
{
    struct live_heads *heads = live_heads_of(address);
    if (UNLIKELY(!heads))
        return live_make_heads(address);
    __builtin_prefetch(live_line(LIVE_FIRST(word_get(live_granule(heads, address)))), 1);
    return heads;
}

/* Makes an empty entry this thread's own. Other threads fill entries of this region too; what was empty may be taken by now. */
INLINE bool live_claim(struct ht_line *line, size_t entry)
{
    return word_swap(&line->tag[entry], 0, HT_TAG_BUSY);
}

INLINE void live_fill(const struct thread *t, struct ht_line *line, size_t entry, uintptr_t address, uint32_t size,
                      uint32_t site)
{
    line->site[entry] = site;
    line->size[entry] = size;
    line->birth[entry] = t->birth;
    word_publish(&line->tag[entry], live_tag(HT_TAG_LIVE, address));
}

/*
 * Puts a block in that is of t->birth, below heads that are its address's. What the address had before, if it was live, is stored in t->stale.
 * Context: the thread's own hook; lock-free; no system call: where there is no room there may be some after section_grow.
 */
INLINE unsigned live_insert(struct thread *t, struct live_heads *heads, uintptr_t address, uint64_t size, uint32_t site)
{
    if (UNLIKELY(!heads))
        return LIVE_FULL;
    if (UNLIKELY(size > LIVE_LARGE))
        return live_insert_slow(t, heads, address, size, site);
    uint32_t chain = word_acquire(live_granule(heads, address)), large = word_acquire(live_page(heads, address));
    if (UNLIKELY(LIVE_ENTRIES(chain) > LIVE_SHORT) || UNLIKELY(LIVE_ENTRIES(large) > LIVE_SHORT_LARGE))
        return live_insert_slow(t, heads, address, size, site);
    if (UNLIKELY(!chain) && !large)
        return live_insert_new(t, heads, address, (uint32_t)size, site);
    size_t first = LIVE_FIRST(chain), second = live_following[first], third = live_following[second];
    size_t fourth = LIVE_FIRST(large), fifth = live_following[fourth];
    unsigned found = arch_search(live_line(first)->tag, live_line(second)->tag, live_line(third)->tag,
                                 live_line(fourth)->tag, live_line(fifth)->tag, live_tag(HT_TAG_LIVE, address));
    if (UNLIKELY(found >= 1u << LIVE_SHORT)) /* it is there */
        return live_insert_slow(t, heads, address, size, site);
    size_t number = (unsigned)__builtin_ctz(found | 1u << LIVE_SHORT), entry = number % HT_LINE_ENTRIES;
    if (number >= LIVE_ENTRIES(chain))
        return live_insert_new(t, heads, address, (uint32_t)size, site);
    size_t place = number / HT_LINE_ENTRIES, id = UNLIKELY(place > 1) ? third : place ? second : first;
    struct ht_line *line = live_line(id);
    if (UNLIKELY(!live_claim(line, entry)))
        return live_insert_slow(t, heads, address, size, site);
    live_fill(t, line, entry, address, (uint32_t)size, site);
    return LIVE_DONE;
}

/* Takes a block out. False: it is not there. Context: as above. */
INLINE bool live_remove(uintptr_t address, struct live_block *block)
{
    struct live_heads *heads = live_heads_of(address);
    if (UNLIKELY(!heads))
        return false;
    size_t first = LIVE_FIRST(word_acquire(live_granule(heads, address))), second = live_following[first];
    uint32_t wanted = live_tag(HT_TAG_LIVE, address);
    unsigned same = arch_equal4(live_line(first)->tag, wanted) | arch_equal4(live_line(second)->tag, wanted)
                                                                     << HT_LINE_ENTRIES;
    if (UNLIKELY(!same)) {
        *block = live_remove_slow(address);
        return block->site != 0;
    }
    size_t number = (unsigned)__builtin_ctz(same), entry = number % HT_LINE_ENTRIES;
    struct ht_line *line = live_line(number >= HT_LINE_ENTRIES ? second : first);
    word_acquire(&line->tag[entry]); /* what was stored before it is there */
    *block = (struct live_block){line->size[entry], line->site[entry], line->birth[entry]};
    word_publish(&line->tag[entry], 0);
    return true;
}

bool live_contains(uintptr_t address);

/* True if a block that found no room may find some after section_grow. */
bool live_may_grow(void);

#endif
