#include "maps.h"

#include "memory.h"
#include "sys.h"
#include <common/arch.h>
#include "section.h"

#define LOCK_TRIES 20000u
#define SPINS 64u /* before the processor is offered to the one inside, who may have lost it there */

/* Where each row's mapping lies; size 0: free. */
static struct range {
    uintptr_t start, size;
} * ranges;
static uint32_t rows, used;
static uint32_t lock;

void maps_init(uint32_t count)
{
    static uint32_t capacity;
    if (!ranges || capacity < count) {
        ranges = memory_map((size_t)count * sizeof *ranges);
        capacity = count;
    }
    rows = ranges ? count : 0;
    used = 0;
    word_set(&lock, 0);
}

static bool enter(void)
{
    for (uint32_t i = 0; i < LOCK_TRIES; i++) {
        if (!word_get(&lock) && word_swap(&lock, 0, 1))
            return true;
        if (i % SPINS < SPINS - 1)
            arch_pause();
        else
            sys_yield();
    }
    return false;
}

static uint32_t free_row(void)
{
    for (uint32_t i = 0; i < used; i++)
        if (!ranges[i].size)
            return i;
    if (used == rows || !section_reach(&section[HT_MAPS], used + 1))
        return SECTION_FULL;
    word_raise(&section[HT_MAPS].file->used, used + 1);
    return used++;
}

bool maps_insert(const struct map *map)
{
    if (!enter())
        return false;
    uint32_t id = free_row();
    if (id != SECTION_FULL) {
        struct ht_map *row = SECTION_RECORD(struct ht_map, HT_MAPS, id);
        uint64_t start = map->start, size = map->size;
        ranges[id] = (struct range){map->start, map->size};
        row->birth = map->birth;
        row->start_lo = (uint32_t)start;
        row->start_hi = (uint32_t)(start >> 32);
        row->size_lo = (uint32_t)size;
        row->size_hi = (uint32_t)(size >> 32);
        word_publish(&row->site, map->site);
    }
    word_publish(&lock, 0);
    return id != SECTION_FULL;
}

bool maps_take(uintptr_t start, uintptr_t size, struct map *map, bool *busy)
{
    bool found = false;
    *busy = !enter();
    if (*busy)
        return false;
    for (uint32_t i = 0; i < used && !found; i++) {
        struct range *range = &ranges[i];
        if (!range->size || range->start >= start + size || start >= range->start + range->size)
            continue;
        struct ht_map *row = SECTION_RECORD(struct ht_map, HT_MAPS, i);
        *map = (struct map){range->start, range->size, row->site, row->birth};
        word_publish(&row->site, 0);
        range->size = 0;
        found = true;
    }
    word_publish(&lock, 0);
    return found;
}
