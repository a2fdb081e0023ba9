/*
 * A lock-free set of 32-bit ids, found by hash: insert only, private memory. A key's id lies in one of four neighbouring lines of eight slots, mostly in the
 * first, or in one of the next few: then a level of twice the size is wanted, which is when two fifths to four fifths of the slots are taken. It is there at once, and takes
 * the ids of the levels below over when somebody has the time; until then these are searched too. A slot holds the hash, so that records are seldom looked at in
 * vain. Two threads that insert the same key at once may both succeed, with two ids: callers must not care.
 *
 * The key is the caller's, by value or as an address: it passes its hash, and a function that tells whether an id has the key (inlined at the call).
 */
#ifndef HEAPTAP_INDEX_H
#define HEAPTAP_INDEX_H

#include "memory.h"
#include <common/arch.h>

#define INDEX_FIRST_LINES 64u /* 4 KiB */
#define INDEX_LEVELS 20u
#define INDEX_LINE 8u
#define INDEX_NEAR 4u /* lines */
#define INDEX_FAR 8u

struct index_slot {
    uint32_t id; /* publishes; 0: empty, and so are those behind it in its line */
    uint32_t hash;
};
typedef struct index_slot index_line[INDEX_LINE];

struct index {
    index_line *level[INDEX_LEVELS]; /* of INDEX_FIRST_LINES << i lines */
    uint32_t top, bottom;            /* levels from bottom to top - 1 are in use */
    uint32_t wanted;                 /* levels that somebody found too few */
    uint32_t moving;                 /* a thread moves ids up */
};

typedef bool index_match(uint32_t id, uint64_t key);

/* Bit 2 * i + 1: slot i has this hash. */
INLINE unsigned index_same(const struct index_slot *line, uint32_t hash)
{
    const uint32_t *words = &line->id;
    unsigned first = arch_equal4(words, hash) | arch_equal4(words + 4, hash) << 4;
    unsigned second = arch_equal4(words + 8, hash) | arch_equal4(words + 12, hash) << 4;
    return (first | second << 8) & 0xaaaau;
}

/* The short way: the first id with this hash in the first line of the newest level, or 0. The caller sees whether it has the key. */
INLINE uint32_t index_first(const struct index *index, uint32_t hash)
{
    uint32_t top = word_acquire(&index->top) - 1;
    if (UNLIKELY(top >= INDEX_LEVELS))
        return 0;
    const index_line *lines = __atomic_load_n(&index->level[top], __ATOMIC_RELAXED);
    const struct index_slot *line = lines[hash & ((INDEX_FIRST_LINES << top) - 1)];
    unsigned same = index_same(line, hash);
    return LIKELY(same) ? word_acquire(&line[(unsigned)__builtin_ctz(same) / 2].id) : 0;
}

/* Fetches what index_find looks at first. */
INLINE void index_fetch(const struct index *index, uint32_t hash)
{
    uint32_t top = word_get(&index->top) - 1;
    if (LIKELY(top < INDEX_LEVELS))
        __builtin_prefetch(
            __atomic_load_n(&index->level[top], __ATOMIC_RELAXED)[hash & ((INDEX_FIRST_LINES << top) - 1)]);
}

/* Id with this key, or 0. Context: any thread, signal-safe. */
INLINE uint32_t index_find(const struct index *index, uint32_t hash, index_match *match, uint64_t key)
{
    for (uint32_t top = word_acquire(&index->top), bottom = word_get(&index->bottom); top > bottom; top--) {
        const index_line *lines = __atomic_load_n(&index->level[top - 1], __ATOMIC_RELAXED);
        uint32_t mask = (INDEX_FIRST_LINES << (top - 1)) - 1;
        for (uint32_t n = 0; n < INDEX_FAR; n++) {
            const struct index_slot *line = lines[(hash + n) & mask];
            for (unsigned same = index_same(line, hash); same; same &= same - 1) {
                uint32_t id = word_acquire(&line[(unsigned)__builtin_ctz(same) / 2].id);
                if (id && match(id, key))
                    return id;
            }
            if (!word_acquire(&line[INDEX_LINE - 1].id))
                break;
        }
    }
    return 0;
}

/*
 * Puts in an id that was not found, after its record was written. Returns the id that others find: usually `id`, or that of another thread that was
 * first; 0: no room, until index_grow. Context: as above.
 */
uint32_t index_insert(struct index *index, uint32_t hash, uint32_t id, index_match *match, uint64_t key);

/* Would it be put in? What would not is not worth a record. False: index_grow may help. Context: as above. */
bool index_has_room(struct index *index, uint32_t hash);

/* Makes the newest level large enough for so many places, if there is memory. Context: as index_grow. */
void index_reserve(struct index *index, uint32_t places);

/* True if index_grow is to be called. */
INLINE bool index_wants(const struct index *index)
{
    return word_get(&index->wanted) > word_get(&index->top);
}

/* Adds a level if one was wanted and there is memory. Context: any thread, signal-safe; system calls. */
void index_grow(struct index *index);

/* Empties it after memory was wiped. */
void index_reset(struct index *index);

INLINE uint32_t hash_pair(uint32_t a, uint32_t b)
{
    uint64_t x = ((uint64_t)a << 32 | b) * 0x9e3779b97f4a7c15ull;
    return (uint32_t)(x >> 32) ^ (uint32_t)(x >> 11);
}

#endif
