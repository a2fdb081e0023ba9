#include "ring.h"

#include "memory.h"

static uint32_t blocks;
static uint32_t *lap_before; /* private, of each block: the lap in which it was claimed last, + 1; 0: never */
static unsigned long claims; /* on a 32-bit machine they wrap after 10^12 events */

void ring_init(uint32_t count)
{
    static uint32_t capacity;
    bool there = memory_make_rows(&lap_before, &capacity, count, sizeof *lap_before);
    blocks = there ? count : 0;
    __atomic_store_n(&claims, 0, __ATOMIC_RELAXED);
    section[HT_RING].claimed = 0;
}

INLINE struct ht_block *block_at(unsigned long claim)
{
    return SECTION_RECORD(struct ht_block, HT_RING, claim % blocks);
}

/* Ring blocks are claimed by number, not by section_claim: they are used again. Allocates the block's page the first time round. */
static struct ht_block *reach(unsigned long claim)
{
    uint32_t row = (uint32_t)(claim % blocks);
    if (!section_reach(&section[HT_RING], row + 1))
        return NULL;
    word_raise(&section[HT_RING].file->used, row + 1);
    return block_at(claim);
}

/*
 * Gives up what a block holds. It is full: no block is given up before. Its events go on to carry the lap before, by which a reader knows that they are
 * no more; unless the block was passed over so often that the eight bits of a lap have come round.
 */
static void give_up(struct slot *slot, struct ht_block *block, uint32_t row, uint32_t lap)
{
    uint32_t before = lap_before[row];
    lap_before[row] = lap + 1;
    word_publish(&block->seq, 0);
    /* Nobody sees an event gone, or a new one, while the block still has its number. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    if (before)
        slot_lose(slot, HT_LOST_OVERWRITTEN, HT_BLOCK_EVENTS);
    if (before && !((lap + 1 - before) & 0xff))
        for (unsigned i = 0; i < HT_BLOCK_EVENTS; i++)
            word_set(&block->event[i].head, 0);
}

/* Where the file could not grow there are fewer blocks than numbers in a lap: the rest of the lap is passed over. */
static void pass_over(unsigned long claim)
{
    unsigned long next = claim + 1;
    __atomic_compare_exchange_n(&claims, &next, claim - claim % blocks + blocks, false, __ATOMIC_RELAXED,
                                __ATOMIC_RELAXED);
}

/* Claims the next block for a slot; NULL: every block is open, or the file could not grow. */
static struct ht_block *claim_block(struct thread *t, struct slot *slot, uint32_t *lap)
{
    for (uint32_t tries = 0; tries < MIN(blocks, word_get(&section[HT_RING].capacity) + 2); tries++) {
        unsigned long claim = __atomic_fetch_add(&claims, 1, __ATOMIC_RELAXED);
        struct ht_block *block = reach(claim);
        if (!block)
            pass_over(claim);
        if (!block || !(uint32_t)(claim + 1))
            continue;
        if (!word_swap(&block->open, 0, 1))
            continue;
        give_up(slot, block, (uint32_t)(claim % blocks), (uint32_t)(claim / blocks));
        block->slot = slot->index;
        block->first_lo = (uint32_t)slot->first;
        block->first_hi = (uint32_t)(slot->first >> 32);
        block->time_lo = (uint32_t)t->now_ns;
        block->time_hi = (uint32_t)(t->now_ns >> 32);
        if (slot->shared)
            word_set(&block->open, HT_BLOCK_EVENTS); /* counts down: write_shared */
        block->seq_hi = (uint32_t)((uint64_t)(claim + 1) >> 32);
        word_publish(&block->seq, (uint32_t)(claim + 1));
        *lap = ((uint32_t)(claim / blocks) & 0xff) << 8;
        return block;
    }
    return NULL;
}

static void put(struct slot *slot, struct ht_event *at, const struct ht_event *event, uint32_t lap)
{
    at->addr_lo = event->addr_lo;
    at->size = event->size;
    at->site = event->site;
    word_publish(&at->head, event->head | lap);
    if (LIKELY(!slot->shared))
        slot_event(slot);
    else
        count_add_shared(&slot->file->events, 1);
}

/*
 * The shared slot: threads take numbered places in its block. `shared_position` is 1 + places handed out in its low byte, 0 while there is no block, and
 * above that the number of the block, so that a thread that was held up finds that its block is another one. The block is closed by whoever
 * writes its last event. Only one thread opens a block at a time; the others look a bounded number of times, then drop what they have.
 */
#define POSITION(word) ((word)&0xffu)
#define NEXT_BLOCK 0x100u
#define SHARED_TRIES 256 /* some microseconds: what opening a block takes */
_Static_assert(HT_BLOCK_EVENTS < 0xff, "a position is a byte");

static bool open_shared(struct thread *t, struct slot *slot, uint32_t seen)
{
    if (!word_swap(&slot->opening, 0, 1)) {
        arch_pause();
        return true; /* another thread is at it: look again */
    }
    uint32_t lap;
    bool done = word_acquire(&slot->shared_position) != seen;
    struct ht_block *fresh = done ? NULL : claim_block(t, slot, &lap);
    if (fresh) {
        __atomic_store_n(&slot->block, fresh, __ATOMIC_RELAXED);
        word_set(&slot->block_lap, lap);
        word_publish(&slot->shared_position, (seen + NEXT_BLOCK) | 1);
    }
    word_publish(&slot->opening, 0);
    return done || fresh;
}

static COLD void write_shared(struct thread *t, struct slot *slot, const struct ht_event *event)
{
    for (int tries = 0; tries < SHARED_TRIES; tries++) {
        uint32_t seen = word_acquire(&slot->shared_position), position = POSITION(seen);
        if (!position) {
            if (!open_shared(t, slot, seen))
                break;
            continue;
        }
        struct ht_block *block = __atomic_load_n(&slot->block, __ATOMIC_RELAXED);
        uint32_t lap = word_get(&slot->block_lap);
        if (!word_swap(&slot->shared_position, seen, position == HT_BLOCK_EVENTS ? seen - position : seen + 1))
            continue;
        put(slot, &block->event[position - 1], event, lap);
        __atomic_fetch_sub(&block->open, 1, __ATOMIC_RELEASE);
        return;
    }
    slot_lose(slot, HT_LOST_RING_DROPPED, 1);
}

static void write(struct thread *t, const struct ht_event *event)
{
    struct slot *slot = t->slot;
    if (UNLIKELY(slot->shared)) {
        write_shared(t, slot, event);
        return;
    }
    struct ht_block *block = slot->block;
    if (!block || slot->next >= block->event + HT_BLOCK_EVENTS) {
        slot->next = slot->limit = NULL;
        slot->block = NULL; /* before it is given up: a hook that is left here does not give it up twice */
        count_settle(&slot->file->events);
        slot->first = count_value(slot->file->events.hi, slot->file->events.lo);
        if (block)
            word_publish(&block->open, 0);
        block = claim_block(t, slot, &slot->block_lap);
        if (!block) {
            slot_lose(slot, HT_LOST_RING_DROPPED, 1);
            return;
        }
        slot->next = block->event;
        slot->block = block;
    }
    slot->limit = block->event + HT_BLOCK_EVENTS;
    put(slot, slot->next++, event, slot->block_lap);
}

void ring_settle(struct slot *slot)
{
    if (slot->shared)
        return;
    const struct ht_block *block = slot->block;
    if (!block || slot->next < block->event || slot->next > block->event + HT_BLOCK_EVENTS)
        slot->next = block ? slot->block->event : NULL;
    slot->limit = slot->next; /* the next event takes the long way */
}

void ring_write_slow(struct thread *t, enum ht_event_type type, unsigned flags, uintptr_t address, uint64_t size,
                     uint32_t site)
{
    if (!blocks)
        return;
    if ((uint32_t)t->now_ns != word_get(&t->slot->time_lo)) {
        word_set(&t->slot->time_lo, (uint32_t)t->now_ns);
        t->event = (struct ht_event){0, (uint32_t)t->now_ns, (uint32_t)(t->now_ns >> 32), HT_EVENT_TIME};
        write(t, &t->event);
    }
    if (size >> 32) {
        t->event = (struct ht_event){0, (uint32_t)(size >> 32), 0, HT_EVENT_HIGH};
        write(t, &t->event);
    }
    t->event = (struct ht_event){(uint32_t)address, (uint32_t)size, site, ring_head(type, flags, address)};
    write(t, &t->event);
}
