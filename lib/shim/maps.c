#include "maps.h"

#include "memory.h"
#include "sys.h"
#include <common/arch.h>
#include "section.h"

#define SPINS 64u /* before the processor is offered to the one inside, who may have lost it there */

/* Where each row's mapping lies; size 0: free. */
static struct range {
    uintptr_t start, size;
} * ranges;
static uint32_t rows, used;
static uint32_t first_free; /* no row before this one is free */
static uint32_t lock;       /* its owner, or 0 */
static uint32_t left;       /* an owner who was waited for in vain, in a hook that was left, perhaps; or 0 */

static uint32_t capacity; /* of `ranges` */
static long process;      /* whose threads the owners are; a vfork child is another one */

void maps_init(uint32_t count)
{
    bool there = memory_make_rows(&ranges, &capacity, count, sizeof *ranges);
    rows = there ? count : 0;
    used = first_free = 0;
    process = sys_pid();
    word_set(&lock, 0);
}

COLD void maps_cut(uint32_t count, bool wait)
{
    memory_cut_rows(ranges, &capacity, count, sizeof *ranges, wait);
}

static bool enter(uint32_t owner)
{
    struct sys_wait wait = {0};
    uint32_t there = 0;
    do {
        for (uint32_t i = 0; i < SPINS; i++) {
            there = word_acquire(&lock);
            if (!there ? word_swap(&lock, 0, owner) : there == owner)
                return true;
            arch_pause();
        }
        if (there && !sys_thread_exists(process, there) && word_swap(&lock, there, owner))
            return true;
    } while ((!there || there != word_get(&left)) && sys_wait(&wait, SYS_WAIT_MS));
    word_set(&left, there);
    return false;
}

static void leave(void)
{
    word_set(&left, 0);
    word_publish(&lock, 0);
}

void maps_let_go(uint32_t owner)
{
    if (word_swap(&lock, owner, 0))
        word_set(&left, 0);
}

static uint32_t free_row(void)
{
    for (; first_free < used; first_free++)
        if (!ranges[first_free].size)
            return first_free;
    if (used == rows || !section_reach(&section[HT_MAPS], used + 1))
        return SECTION_FULL;
    word_raise(&section[HT_MAPS].file->used, used + 1);
    return used++;
}

bool maps_insert(uint32_t owner, const struct map *map)
{
    if (!enter(owner))
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
    leave();
    return id != SECTION_FULL;
}

bool maps_take(uint32_t owner, uintptr_t start, uintptr_t size, struct map *map, bool *busy)
{
    bool found = false;
    *busy = !enter(owner);
    if (*busy)
        return false;
    for (uint32_t i = used; i-- > 0 && !found;) {
        struct range *range = &ranges[i];
        if (!range->size || range->start >= start + size || start >= range->start + range->size)
            continue;
        struct ht_map *row = SECTION_RECORD(struct ht_map, HT_MAPS, i);
        *map = (struct map){range->start, range->size, row->site, row->birth};
        found = row->site != 0; /* 0: who filled the row never came to the end of it */
        word_publish(&row->site, 0);
        range->size = 0;
        first_free = MIN(first_free, i);
    }
    leave();
    return found;
}
