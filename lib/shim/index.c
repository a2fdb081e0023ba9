#include "index.h"

#include "sys.h"
#include <linux/mman.h>

static size_t bytes_of(uint32_t level)
{
    return sizeof(index_line) * INDEX_FIRST_LINES << level;
}

/* The first free slot of a key's lines, made the id's; *n is the line's number. `match` decides about what others put there first. 0: no room. */
INLINE uint32_t put(const struct index *index, uint32_t level, uint32_t hash, uint32_t id, index_match *match,
                    uint64_t key, uint32_t *n)
{
    index_line *lines = __atomic_load_n(&index->level[level], __ATOMIC_RELAXED);
    uint32_t mask = (INDEX_FIRST_LINES << level) - 1;
    for (*n = 0; *n < INDEX_FAR; ++*n) {
        struct index_slot *line = lines[(hash + *n) & mask];
        for (uint32_t i = 0; i < INDEX_LINE; i++) {
            uint32_t seen = word_acquire(&line[i].id);
            if (!seen && word_swap(&line[i].id, 0, id)) {
                word_set(&line[i].hash, hash); /* until then nobody finds it */
                return id;
            }
            seen = word_acquire(&line[i].id);
            if (match && match(seen, key))
                return seen;
        }
    }
    return 0;
}

/* Adds the level above `top`, unless another thread just did. */
static COLD void add_level(struct index *index, uint32_t top)
{
    if (top >= INDEX_LEVELS)
        return;
    index_line *lines = __atomic_load_n(&index->level[top], __ATOMIC_ACQUIRE);
    if (!lines) {
        index_line *none = NULL;
        lines = memory_map(bytes_of(top));
        if (!lines)
            return;
        if (!__atomic_compare_exchange_n(&index->level[top], &none, lines, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            memory_unmap(lines, bytes_of(top));
        else /* each page is about to be stored to: that costs less than a fault for each. Where it cannot be done, there are these. */
            sys_advise(lines, bytes_of(top), MADV_POPULATE_WRITE);
    }
    word_swap(&index->top, top, top + 1);
}

/* False: other threads have filled the newest level meanwhile; both stay in use until there is one more. */
static COLD bool move_up(struct index *index, uint32_t level)
{
    index_line *lines = __atomic_load_n(&index->level[level], __ATOMIC_ACQUIRE);
    uint32_t distance;
    for (uint32_t n = 0; n < INDEX_FIRST_LINES << level; n++) {
        uint32_t top = word_acquire(&index->top) - 1;
        for (uint32_t i = 0; i < INDEX_LINE && word_acquire(&lines[n][i].id); i++)
            if (!put(index, top, word_get(&lines[n][i].hash), word_acquire(&lines[n][i].id), NULL, 0, &distance)) {
                word_raise(&index->wanted, top + 2);
                return false;
            }
    }
    word_publish(&index->bottom, level + 1);
    memory_empty(lines, bytes_of(level)); /* who still looks there finds nothing */
    return true;
}

COLD void index_grow(struct index *index)
{
    uint32_t top = word_acquire(&index->top);
    if (word_get(&index->wanted) > top)
        add_level(index, top);
    if (index_wants(index) ||
        !word_swap(&index->moving, 0, 1)) /* without room, all that moves would be copies of copies */
        return;
    while (index->bottom + 1 < word_acquire(&index->top) && move_up(index, index->bottom)) {
    }
    word_publish(&index->moving, 0);
}

bool index_has_room(struct index *index, uint32_t hash)
{
    uint32_t top = word_acquire(&index->top);
    const index_line *lines = top ? __atomic_load_n(&index->level[top - 1], __ATOMIC_RELAXED) : NULL;
    for (uint32_t n = 0; lines && n < INDEX_FAR; n++)
        if (!word_get(&lines[(hash + n) & ((INDEX_FIRST_LINES << (top - 1)) - 1)][INDEX_LINE - 1].id))
            return true;
    word_raise(&index->wanted, top + 1);
    return false;
}

void index_reserve(struct index *index, uint32_t ids)
{
    for (uint32_t top = word_acquire(&index->top); top < INDEX_LEVELS; top = word_acquire(&index->top)) {
        if (top && INDEX_FIRST_LINES * INDEX_LINE << (top - 1) >= ids)
            return;
        word_raise(&index->wanted, top + 1);
        index_grow(index);
        if (word_acquire(&index->top) == top) /* no memory */
            return;
    }
}

uint32_t index_insert(struct index *index, uint32_t hash, uint32_t id, index_match *match, uint64_t key)
{
    uint32_t top = word_acquire(&index->top), distance = INDEX_FAR;
    uint32_t there = top ? put(index, top - 1, hash, id, match, key, &distance) : 0;
    if (UNLIKELY(distance >= INDEX_NEAR))
        word_raise(&index->wanted, top + 1);
    return there;
}

void index_reset(struct index *index)
{
    /* The levels are zero again and are used again in turn. */
    word_set(&index->top, index->level[0] ? 1 : 0);
    word_set(&index->bottom, 0);
    word_set(&index->wanted, 0);
    word_set(&index->moving, 0);
}
