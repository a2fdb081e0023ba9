#include "index.h"

/* Adds the level above `top`, unless another thread just did. */
static void add_level(struct index *index, uint32_t top)
{
    if (top >= INDEX_LEVELS)
        return;
    size_t bytes = sizeof(uint32_t) << (INDEX_FIRST_BITS + top);
    uint32_t *slots = __atomic_load_n(&index->level[top], __ATOMIC_ACQUIRE);
    if (!slots) {
        uint32_t *none = NULL;
        slots = memory_map(bytes);
        if (!slots)
            return;
        if (!__atomic_compare_exchange_n(&index->level[top], &none, slots, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            memory_unmap(slots, bytes);
    }
    word_swap(&index->top, top, top + 1);
}

COLD void index_grow(struct index *index)
{
    uint32_t top = word_acquire(&index->top);
    if (word_get(&index->wanted) > top)
        add_level(index, top);
}

uint32_t index_insert(struct index *index, uint32_t hash, uint32_t id, index_match *match, const void *key)
{
    uint32_t top = word_acquire(&index->top);
    uint32_t mask = top ? (1u << (INDEX_FIRST_BITS + top - 1)) - 1 : 0;
    uint32_t *slots = top ? __atomic_load_n(&index->level[top - 1], __ATOMIC_RELAXED) : NULL;
    for (uint32_t probe = 0; slots && probe < INDEX_PROBES; probe++) {
        uint32_t *slot = &slots[(hash + probe) & mask];
        uint32_t seen = word_acquire(slot);
        if (!seen && word_swap(slot, 0, id))
            return id;
        seen = word_acquire(slot);
        if (match(seen, key))
            return seen;
    }
    word_raise(&index->wanted, top + 1);
    return 0;
}

void index_reset(struct index *index)
{
    /* The levels are zero again and are used again in turn; only the first is searched until it overflows. */
    word_set(&index->top, index->level[0] ? 1 : 0);
    word_set(&index->wanted, 0);
}
