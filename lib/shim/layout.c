#include "layout.h"

#include "section.h"
#include "session.h"

#define RING_MAX (512u << 10) /* unless asked for: what is written round and round should stay in the second cache */

struct plan {
    uint32_t record_bytes, step_bytes;
    uint64_t bytes;
};

static void plan(uint64_t budget, struct plan *to)
{
    uint64_t ring = config.ring_bytes ? config.ring_bytes : MIN(MAX(budget / 32, 16u << 10), RING_MAX);
    ring = MIN(ring, MAX(budget / 4 * 3, HT_BLOCK_BYTES));
    /* An eighth of the budget is left for private memory: rules, indices, links of the live table. */
    uint64_t lines = budget / 8 * 7;
    to[HT_MODULES] = (struct plan){sizeof(struct ht_module), 16u << 10, MAX(budget / 64, 64u << 10)};
    to[HT_PLACES] = (struct plan){sizeof(struct ht_place), 16u << 10, MAX(budget / 32, 32u << 10)};
    to[HT_NODES] = (struct plan){sizeof(struct ht_node), 32u << 10, MAX(budget / 8, 64u << 10)};
    to[HT_SITES] = (struct plan){sizeof(struct ht_site), 16u << 10, MAX(budget / 32, 16u << 10)};
    to[HT_CHUNKS] = (struct plan){sizeof(struct ht_chunk), 4u << 10, MAX(budget / 2048, 512u)};
    to[HT_CELLS] = (struct plan){sizeof(struct ht_cell) * HT_SITES_PER_CHUNK, 64u << 10, to[HT_CHUNKS].bytes * 256};
    to[HT_MAPS] = (struct plan){sizeof(struct ht_map), 4u << 10, MAX(budget / 256, 8u << 10)};
    to[HT_RING] = (struct plan){HT_BLOCK_BYTES, 64u << 10, align_up(ring, HT_BLOCK_BYTES)};
    uint32_t slots = (uint32_t)MAX(MIN(ring / HT_BLOCK_BYTES / 4, 64u), 4u);
    to[HT_SLOTS] = (struct plan){sizeof(struct ht_slot), 0, (slots + 1) * sizeof(struct ht_slot)};
    for (uint32_t id = 0; id < HT_LINES; id++)
        lines -= MIN(lines, to[id].bytes);
    lines -= MIN(lines, to[HT_MAPS].bytes + to[HT_RING].bytes);
    to[HT_LINES] = (struct plan){sizeof(struct ht_line), 256u << 10, MAX(lines, 64u << 10) & ~4095ull};
}

static uint32_t records_of(const struct plan *plan)
{
    return (uint32_t)MIN(plan->bytes / plan->record_bytes, 0x7fffffffu);
}

uint64_t layout_sections(uint64_t budget)
{
    static struct plan to[HT_SECTIONS_MAX];
    uint64_t at = HT_SECTION_ALIGN;
    plan(budget, to);
    for (uint32_t id = 0; id <= HT_RING; id++) {
        uint32_t records = records_of(&to[id]);
        section[id] = (struct section){.record_bytes = to[id].record_bytes,
                                       .step_bytes = to[id].step_bytes,
                                       .capacity = records,
                                       .base = (char *)(uintptr_t)at};
        at = align_up(at + (uint64_t)records * to[id].record_bytes, HT_SECTION_ALIGN);
    }
    return at;
}

void layout_capacity(uint64_t budget, uint32_t capacity[])
{
    static struct plan to[HT_SECTIONS_MAX];
    plan(budget, to);
    for (uint32_t id = 0; id <= HT_RING; id++)
        capacity[id] = records_of(&to[id]);
}
