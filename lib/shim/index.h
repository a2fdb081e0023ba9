/*
 * A lock-free set of 32-bit ids, found by hash: insert only, private memory, grows by adding levels, each twice as large as the one before.
 * Lookups go from the newest level to the oldest, half of all ids being in the newest. Two threads that insert the same key at once may both
 * succeed, with two ids: callers must not care.
 *
 * The key is the caller's: it passes its hash, and a function that tells whether an id has the key (inlined at the call).
 */
#ifndef HEAPTAP_INDEX_H
#define HEAPTAP_INDEX_H

#include "memory.h"

#define INDEX_FIRST_BITS 10
#define INDEX_LEVELS 16
#define INDEX_PROBES 8

struct index {
    uint32_t *level[INDEX_LEVELS]; /* slots of 2^(INDEX_FIRST_BITS + i); 0: empty */
    uint32_t top;                  /* levels there are */
    uint32_t wanted;               /* levels that somebody found too few */
};

typedef bool index_match(uint32_t id, const void *key);

/* Id with this key, or 0. Context: any thread, signal-safe. */
INLINE uint32_t index_find(const struct index *index, uint32_t hash, index_match *match, const void *key)
{
    for (uint32_t i = word_acquire(&index->top); i-- > 0;) {
        uint32_t mask = (1u << (INDEX_FIRST_BITS + i)) - 1;
        const uint32_t *slots = __atomic_load_n(&index->level[i], __ATOMIC_RELAXED);
        for (uint32_t probe = 0; probe < INDEX_PROBES; probe++) {
            uint32_t id = word_acquire(&slots[(hash + probe) & mask]);
            if (!id)
                break;
            if (match(id, key))
                return id;
        }
    }
    return 0;
}

/*
 * Puts in an id that was not found, after its record was written. Returns the id that others find: usually `id`, or that of another thread that was
 * first; 0: no room, until index_grow. Context: as above.
 */
uint32_t index_insert(struct index *index, uint32_t hash, uint32_t id, index_match *match, const void *key);

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
