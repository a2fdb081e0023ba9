#include "slots.h"

#include "addresses.h"
#include "memory.h"
#include "sys.h"

#define SLOTS_MAX 65
#define RESERVING UINT32_MAX /* no thread's id: its slot is about to be nobody's again */

static struct slot slots[SLOTS_MAX];
static uint32_t slot_count; /* without the shared one, which comes last */

/* Of each slot that ever had an owner, and in the last row of the shared one; a fork child uses its parent's, which are zero again. */
static struct {
    struct ht_cell **at;
    uint32_t count;
} groups[SLOTS_MAX];

/* Whole pages of them. */
static uint32_t group_count(void)
{
    uint32_t count = section[HT_SITES].capacity / HT_SITES_PER_CHUNK + 1;
    return (uint32_t)align_up(count, 4096 / sizeof(struct ht_cell *));
}

/* There may be fewer sites than there were (session_make_room), but never more than now. */
static bool has_groups(uint32_t row)
{
    return groups[row].count >= group_count();
}

static bool make_groups(uint32_t i)
{
    uint32_t row = slots[i].shared ? SLOTS_MAX - 1 : i;
    if (!has_groups(row) && addresses_hold_still()) {
        memory_make_rows(&groups[row].at, &groups[row].count, group_count(), sizeof(struct ht_cell *));
        addresses_let_go_still();
    }
    slots[i].group = has_groups(row) ? groups[row].at : NULL;
    return slots[i].group != NULL;
}

bool slots_init(uint32_t count)
{
    if (!section_reach(&section[HT_SLOTS], count + 1))
        return false;
    slot_count = count;
    section[HT_SLOTS].claimed = count + 1;
    word_raise(&section[HT_SLOTS].file->used, count + 1);
    for (uint32_t i = 0; i <= count; i++)
        slots[i] = (struct slot){.file = SECTION_RECORD(struct ht_slot, HT_SLOTS, i),
                                 .group = has_groups(i) ? groups[i].at : NULL,
                                 .index = i,
                                 .shared = i == count};
    return make_groups(count);
}

COLD void slots_reserve(uint32_t spare)
{
    for (uint32_t i = 0; i < slot_count && spare > 0; i++)
        if (!word_get(&slots[i].file->owner) && word_swap(&slots[i].file->owner, 0, RESERVING)) {
            spare -= make_groups(i);
            word_publish(&slots[i].file->owner, 0);
        }
}

struct slot *slots_shared(void)
{
    return &slots[slot_count];
}

static struct slot *take(uint32_t i, uint32_t tid)
{
    struct ht_slot *file = slots[i].file;
    uint32_t owner = word_get(&file->owner);
    if (owner && (owner == tid || sys_frozen() || sys_thread_exists(sys_pid(), owner)))
        return NULL;
    if (!word_swap(&file->owner, owner, tid))
        return NULL;
    if (owner)
        word_add(&file->adoptions, 1);
    sys_thread_name(file->name);
    return &slots[i];
}

struct slot *slots_find(uint32_t tid)
{
    static uint32_t cursor;
    uint32_t first = word_add(&cursor, 1);
    /* Fresh slots first: an adopted one mixes two threads' counters, which is right in sum but less telling. */
    for (uint32_t i = 0; i < slot_count; i++)
        if (!word_get(&slots[i].file->owner) && take(i, tid))
            return &slots[i];
    for (uint32_t i = 0; i < slot_count; i++) {
        struct slot *slot = take((first + i) % slot_count, tid);
        if (slot)
            return slot;
    }
    return slots_shared();
}

COLD struct slot *slots_prepare(struct slot *slot)
{
    if (make_groups(slot->index))
        return slot;
    word_publish(&slot->file->owner, 0);
    return slots_shared();
}

COLD void slot_count_slow(struct slot *slot, struct ht_count *events, struct ht_count *sum, uint64_t bytes)
{
    if (!slot->shared)
        count_settle(events); /* slot_count_event may not have done so yet */
    slot_add(slot, events, 1);
    slot_add(slot, sum, bytes);
}

struct ht_cell *slot_cell_new(struct slot *slot, uint32_t site)
{
    uint32_t group = site / HT_SITES_PER_CHUNK;
    struct section *cells = &section[HT_CELLS];
    struct ht_cell *none = NULL;
    if (site >= section[HT_SITES].capacity)
        return NULL;
    uint32_t id = word_get(&section[HT_CHUNKS].claimed); /* asked first, or each refusal would cost a chunk */
    if (id >= word_get(&cells->capacity)) {
        section_say_full(cells);
        section_say_full(&section[HT_CHUNKS]);
        return NULL;
    }
    if (id < word_acquire(&cells->allocated))
        id = section_claim(&section[HT_CHUNKS], 1);
    if (id == SECTION_FULL)
        return NULL;
    if (id >= word_acquire(&cells->allocated)) {
        word_raise(&cells->wanted, id + 1);
        word_raise(&section[HT_CHUNKS].wanted, id + 1);
        return NULL;
    }
    word_raise(&section[HT_CELLS].file->used, id + 1);
    struct ht_chunk *chunk = SECTION_RECORD(struct ht_chunk, HT_CHUNKS, id);
    chunk->group = group;
    if (!slot->shared) {
        word_publish(&chunk->slot, slot->index + 1);
        __atomic_store_n(&slot->group[group], cell_at(id + 1, 0), __ATOMIC_RELEASE);
    } else if (__atomic_compare_exchange_n(&slot->group[group], &none, cell_at(id + 1, 0), false, __ATOMIC_ACQ_REL,
                                           __ATOMIC_ACQUIRE)) {
        /* Only the winner's chunk is published: no two chunks may name the same pair. */
        word_publish(&chunk->slot, slot->index + 1);
    }
    return slot_cell_known(slot, site);
}

/* Of the shared slot, no count is private. Where the thread was just going from one block to the next, what the last one held may be missing. */
static uint64_t events_of(const struct slot *slot)
{
    const struct ht_block *block = slot->shared ? NULL : slot->block;
    return slot->first + (block && slot->next ? (uint64_t)(slot->next - block->event) : 0);
}

uint64_t slots_events(void)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i <= slot_count; i++) /* private, so as they were at a fork: the parent's file goes on */
        sum += events_of(&slots[i]);
    return sum;
}
