/*
 * Live blocks, in lines of 64 bytes of the file. Lines are chained; heads and links are private.
 *
 * Blocks that are near in time are near in space, so a chain is what lies in a granule of 512 bytes of address space, or in a page of 4 KiB for
 * larger blocks, of which no more than eight begin there. Those have eight to a line; what is odd or larger than a page has four, in chains of its own (format.h says
 * what is packed). A granule or page whose blocks do not fill a line shares one with its neighbours in the region of 16 KiB that a line is of.
 *
 * What is here is the short way, for small blocks in short chains: two lines are compared at once, without a branch between them, since no
 * processor predicts how many there are and which of them an entry is in. All else is in live.c.
 *
 * Source: research/engine.md 3.1, but for the packing and the sharing. At most one writer an address: a block is inserted after the real allocation and removed
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
 * A chain in a word: its first line, and above how many lines it has. Those behind them, down the links, are of the same region but other
 * chains': to look at them is no error. 0: it is empty.
 */
#define LIVE_LINE_BITS 26u
#define LIVE_LINES_MAX (1u << LIVE_LINE_BITS)
#define LIVE_FIRST(chain) ((chain) & (LIVE_LINES_MAX - 1))
#define LIVE_LENGTH(chain) ((chain) >> LIVE_LINE_BITS)
#define LIVE_CHAIN(first, lines) ((first) | (uint32_t)(lines) << LIVE_LINE_BITS)
#define LIVE_LENGTH_MAX 63u /* so many lines, or more */
#define LIVE_SHORT 2u       /* no longer chain is searched without a branch */

/* The chains of a part of the address space. Only what is stored to is there. */
struct live_heads {
    uint32_t granule[1u << (LIVE_HEADS_SHIFT - LIVE_GRANULE_SHIFT)]; /* packed */
    struct live_page {
        uint32_t packed; /* of blocks larger than a granule */
        uint32_t wide;
    } page[1u << (LIVE_HEADS_SHIFT - LIVE_PAGE_SHIFT)];
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
/* A small one to be packed that is known not to be there, and whose chain has no room. */
unsigned live_insert_new(struct thread *t, struct live_heads *heads, uintptr_t address, uint32_t size, uint32_t site);
/* Its site is 0: it is not there. */
struct live_block live_remove_slow(uintptr_t address);

INLINE struct ht_line *live_line(size_t id)
{
    return SECTION_RECORD(struct ht_line, HT_LINES, id);
}

INLINE struct ht_pack *live_pack(size_t id)
{
    return SECTION_RECORD(struct ht_pack, HT_LINES, id);
}

INLINE uint32_t live_tag(enum ht_tag_state state, uintptr_t address)
{
    return ((uint32_t)state + ((uint32_t)address << 3)) & ((1u << (HT_REGION_SHIFT + 3)) - 1);
}

/* Where an address lies in its region, as packed lines have it. */
INLINE unsigned live_units(uintptr_t address)
{
    return (unsigned)(address / HT_PACK_UNIT % ((1u << HT_REGION_SHIFT) / HT_PACK_UNIT));
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

INLINE struct live_page *live_page(struct live_heads *heads, uintptr_t address)
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

/* Is the address of an entry this one? Beyond `low`, which is. */
INLINE bool live_is_of(const struct ht_pack *pack, size_t entry, uintptr_t address)
{
    uint16_t place = __atomic_load_n(&pack->place[entry], __ATOMIC_RELAXED);
    /* 0: it is about to be emptied, by another thread; of where it was there is nothing left. */
    return place && !((place ^ HT_PACK_PLACE(address, 0)) >> 13 | (address & (HT_PACK_UNIT - 1)));
}

/* Makes an empty entry this thread's own. Other threads fill entries of this region too; what was empty may be taken by now. */
INLINE bool live_claim(struct ht_pack *pack, size_t entry)
{
    return word_swap(&pack->word[entry], 0, HT_PACK_BUSY);
}

INLINE void live_fill(const struct thread *t, struct ht_pack *pack, size_t entry, uintptr_t address, uint32_t size,
                      uint32_t site)
{
    /* Atomic: others may read it meanwhile, who look for a block of their own. */
    __atomic_store_n(&pack->place[entry], HT_PACK_PLACE(address, t->birth), __ATOMIC_RELAXED);
    __atomic_store_n(&pack->low[entry], (uint8_t)live_units(address), __ATOMIC_RELAXED);
    word_publish(&pack->word[entry], HT_PACK_WORD(size, site));
}

/*
 * Takes a block out of an entry whose word it has. What is left there of the address is not that of any place in the same granule, so that one who looks for the
 * block that comes next to the same address finds one entry.
 */
INLINE struct live_block live_take(struct ht_pack *pack, size_t entry, uint32_t word)
{
    struct live_block block = {HT_PACK_SIZE(word), HT_PACK_SITE(word), HT_PACK_BIRTH(pack->place[entry])};
    __atomic_store_n(&pack->place[entry], 0, __ATOMIC_RELAXED);
    __atomic_store_n(&pack->low[entry], pack->low[entry] ^ 0x80,
                     __ATOMIC_RELEASE); /* a reader does not see the block elsewhere */
    word_publish(&pack->word[entry], 0);
    return block;
}

/* May a block of this address be in a chain of packed lines? True also: it is a long one. */
INLINE bool live_may_be_in(uint32_t chain, uintptr_t address)
{
    size_t first = LIVE_FIRST(chain), second = live_following[first];
    return LIVE_LENGTH(chain) > LIVE_SHORT ||
           arch_equal8(live_pack(first)->low, live_pack(second)->low, (uint8_t)live_units(address));
}

/* May a block live that a small one of this address would replace? It is looked for by page. */
INLINE bool live_may_be_large(const struct live_page *page, uintptr_t address)
{
    uint32_t packed = word_acquire(&page->packed), wide = word_acquire(&page->wide);
    if (LIKELY(!(packed | wide)))
        return false;
    if (UNLIKELY(LIVE_LENGTH(wide) > LIVE_SHORT) || (packed && live_may_be_in(packed, address)))
        return true;
    size_t first = LIVE_FIRST(wide), second = live_following[first];
    uint32_t tag = live_tag(HT_TAG_LIVE, address);
    return arch_equal4(live_line(first)->tag, tag) | arch_equal4(live_line(second)->tag, tag);
}

/* The short way, in a chain of packed lines, no longer than LIVE_SHORT. */
enum live_short { LIVE_PUT, LIVE_NO_ROOM, LIVE_LOOK /* it may be there */ };
INLINE enum live_short live_put_short(const struct thread *t, uint32_t chain, uintptr_t address, uint32_t size,
                                      uint32_t site)
{
    size_t first = LIVE_FIRST(chain), second = live_following[first];
    struct ht_pack *a = live_pack(first), *b = live_pack(second);
    unsigned empty = arch_zero8(a->place, b->place), there = arch_equal8(a->low, b->low, (uint8_t)live_units(address));
    if (UNLIKELY(there & ~empty)) /* or one of another part of the region, or another thread's */
        return LIVE_LOOK;
    size_t number = (unsigned)__builtin_ctz(empty | 1u << LIVE_SHORT * HT_PACK_ENTRIES),
           entry = number % HT_PACK_ENTRIES;
    if (number >= (size_t)LIVE_LENGTH(chain) * HT_PACK_ENTRIES)
        return LIVE_NO_ROOM;
    struct ht_pack *pack = number >= HT_PACK_ENTRIES ? b : a;
    if (UNLIKELY(!live_claim(pack, entry)))
        return LIVE_LOOK;
    live_fill(t, pack, entry, address, size, site);
    return LIVE_PUT;
}

/*
 * Puts a block in that is of t->birth, below heads that are its address's. What the address had before, if it was live, is stored in t->stale.
 * Context: the thread's own hook; lock-free; no system call: where there is no room there may be some after section_grow.
 */
INLINE unsigned live_insert(struct thread *t, struct live_heads *heads, uintptr_t address, uint64_t size, uint32_t site)
{
    if (UNLIKELY(!heads))
        return LIVE_FULL;
    if (UNLIKELY(size > LIVE_LARGE) || UNLIKELY(!HT_PACKS(address, size, site)))
        return live_insert_slow(t, heads, address, size, site);
    uint32_t chain = word_acquire(live_granule(heads, address));
    if (UNLIKELY(LIVE_LENGTH(chain) > LIVE_SHORT) || UNLIKELY(live_may_be_large(live_page(heads, address), address)))
        return live_insert_slow(t, heads, address, size, site);
    enum live_short result = live_put_short(t, chain, address, (uint32_t)size, site);
    if (LIKELY(result == LIVE_PUT))
        return LIVE_DONE;
    return result == LIVE_NO_ROOM ? live_insert_new(t, heads, address, (uint32_t)size, site)
                                  : live_insert_slow(t, heads, address, size, site);
}

/* Takes a block out of a chain of packed lines. False: it is not in the first two, or there are two that look like it. */
INLINE bool live_take_short(uint32_t chain, uintptr_t address, struct live_block *block)
{
    size_t first = LIVE_FIRST(chain), second = live_following[first];
    struct ht_pack *a = live_pack(first), *b = live_pack(second);
    unsigned there = arch_equal8(a->low, b->low, (uint8_t)live_units(address));
    if (UNLIKELY(!there))
        return false;
    size_t number = (unsigned)__builtin_ctz(there), entry = number % HT_PACK_ENTRIES;
    struct ht_pack *pack = number >= HT_PACK_ENTRIES ? b : a;
    uint32_t word = word_acquire(&pack->word[entry]);
    if (UNLIKELY(!HT_PACK_SITE(word)) || UNLIKELY(!live_is_of(pack, entry, address)))
        return false;
    *block = live_take(pack, entry, word);
    return true;
}

/* Takes a block out. False: it is not there. Context: as above. */
INLINE bool live_remove(uintptr_t address, struct live_block *block)
{
    struct live_heads *heads = live_heads_of(address);
    if (UNLIKELY(!heads))
        return false;
    if (LIKELY(live_take_short(word_acquire(live_granule(heads, address)), address, block)))
        return true;
    *block = live_remove_slow(address);
    return block->site != 0;
}

bool live_contains(uintptr_t address);

/* True if a block that found no room may find some after section_grow. */
bool live_may_grow(void);

#endif
