/* The ring: what is missing is exactly what is counted, whoever wrote, and no block that is being filled is taken away. */
#include "stage.h"

#include <shim/memory.h>
#include <shim/ring.h>
#include <unistd.h>

#define SLOTS 4u

static void begin(uint32_t blocks)
{
    stage_tables(4096);
    ck_assert(slots_init(SLOTS));
    stage_table(HT_RING, HT_BLOCK_BYTES, 65536, blocks, (uint64_t)blocks * HT_BLOCK_BYTES);
    ring_init(blocks);
    stage_header.ring_blocks = blocks;
}

static struct thread *writer(void)
{
    struct thread *t = stage_thread(0);
    t->slot = slots_attach((uint32_t)gettid());
    return t;
}

static struct ht_block *block_at(uint32_t i)
{
    return SECTION_RECORD(struct ht_block, HT_RING, i);
}

static uint64_t value(const struct ht_count *count)
{
    return count_value(count->hi, count->lo);
}

static uint64_t claim_of(const struct ht_block *block)
{
    return ((uint64_t)block->seq_hi << 32 | block->seq) - 1;
}

/* Events of a block that are its own. */
static uint32_t events_in(const struct ht_block *block)
{
    uint32_t count = 0;
    for (unsigned i = 0; block->seq && i < HT_BLOCK_EVENTS; i++)
        count += block->event[i].head &&
                 HT_EVENT_LAP(block->event[i].head) == (claim_of(block) / stage_header.ring_blocks & 0xff);
    return count;
}

struct sums {
    uint64_t written, lost, dropped, present;
};

static struct sums sum_up(void)
{
    struct sums sums = {0};
    for (uint32_t i = 0; i <= SLOTS; i++) {
        const struct ht_slot *slot = SECTION_RECORD(const struct ht_slot, HT_SLOTS, i);
        sums.written += value(&slot->events);
        sums.lost += value(&slot->lost[HT_LOST_OVERWRITTEN]);
        sums.dropped += value(&slot->lost[HT_LOST_RING_DROPPED]);
    }
    for (uint32_t i = 0; i < section[HT_RING].file->used; i++)
        sums.present += events_in(block_at(i));
    ck_assert_uint_eq(sums.written, sums.present + sums.lost); /* V7 */
    return sums;
}

START_TEST(an_event_as_it_was_written)
{
    begin(4);
    struct thread *t = writer();
    ring_write(t, HT_EVENT_ALLOC, HT_EVENT_REALLOC, (uintptr_t)UINT64_C(0x7f8912345678), UINT64_C(0x500000003), 99);
    t->now_ns = UINT64_C(0x1234567890);
    ring_time_moved(t->slot);
    ring_write(t, HT_EVENT_FREE, 0, 0x1000, 5, 77);
    static const struct ht_event expected[] = {
        {0, 5, 0, HT_EVENT_HIGH},
        {0x12345678, 3, 99, HT_EVENT_ALLOC | HT_EVENT_REALLOC << 4 | 0x7f89u << 16},
        {0, 0x34567890, 0x12, HT_EVENT_TIME},
        {0x1000, 5, 77, HT_EVENT_FREE},
        {0, 0, 0, 0}};
    ck_assert_mem_eq(block_at(0)->event, expected, sizeof expected);
    ck_assert_uint_eq(block_at(0)->seq, 1);
    ck_assert_uint_ne(block_at(0)->open, 0);
    ck_assert_uint_eq(sum_up().written, 4);
}
END_TEST

START_TEST(no_ring)
{
    begin(0);
    ring_write(writer(), HT_EVENT_ALLOC, 0, 16, 1, 1);
    ck_assert_uint_eq(sum_up().written, 0);
}
END_TEST

/* Events of a slot are numbered; what is not in the ring is counted. */
START_TEST(many_laps_of_one_thread)
{
    begin(7);
    struct thread *t = writer();
    const uint32_t total = 7 * HT_BLOCK_EVENTS * 300 + 17; /* laps do not fit eight bits */
    for (uint32_t n = 0; n < total; n++)
        ring_write(t, HT_EVENT_ALLOC, 0, 16, 1, n);
    struct sums sums = sum_up();
    ck_assert_uint_eq(sums.written, total);
    ck_assert_uint_eq(sums.present, 6 * HT_BLOCK_EVENTS + 17);
    for (uint32_t i = 0; i < 7; i++)
        for (uint32_t n = 0; n < events_in(block_at(i)); n++)
            ck_assert_uint_eq(block_at(i)->event[n].site, block_at(i)->first_lo + n);
}
END_TEST

START_TEST(a_quiet_thread_keeps_its_block)
{
    begin(4);
    struct thread *quiet = writer(), *busy = writer();
    ring_write(quiet, HT_EVENT_ALLOC, 0, 16, 1, 4711);
    for (uint32_t n = 0; n < 20 * HT_BLOCK_EVENTS; n++)
        ring_write(busy, HT_EVENT_ALLOC, 0, 16, 1, n);
    ck_assert_uint_eq(block_at(0)->slot, quiet->slot->index);
    ck_assert_uint_eq(block_at(0)->event[0].site, 4711);
    ck_assert_uint_eq(events_in(block_at(0)), 1);
    ring_write(quiet, HT_EVENT_ALLOC, 0, 16, 1, 4712);
    ck_assert_uint_eq(block_at(0)->event[1].site, 4712);
    sum_up();
}
END_TEST

START_TEST(more_threads_than_blocks)
{
    begin(2);
    struct thread *t[3] = {writer(), writer(), writer()};
    for (int i = 0; i < 3; i++)
        ring_write(t[i], HT_EVENT_ALLOC, 0, 16, 1, (uint32_t)i);
    struct sums sums = sum_up();
    ck_assert_uint_eq(sums.written, 2);
    ck_assert_uint_eq(sums.dropped, 1);
    for (unsigned n = 1; n <= HT_BLOCK_EVENTS; n++) /* the last one closes the first block and takes it again */
        ring_write(t[0], HT_EVENT_ALLOC, 0, 16, 1, n);
    ck_assert_uint_eq(sum_up().lost, HT_BLOCK_EVENTS);
}
END_TEST

START_TEST(the_filesystem_is_full)
{
    begin(8);
    stage_table(HT_RING, HT_BLOCK_BYTES, 65536, 8, 3 * HT_BLOCK_BYTES);
    struct thread *t = writer();
    for (uint32_t n = 0; n < 30 * HT_BLOCK_EVENTS; n++)
        ring_write(t, HT_EVENT_ALLOC, 0, 16, 1, n);
    struct sums sums = sum_up();
    ck_assert_uint_eq(sums.written, 30 * HT_BLOCK_EVENTS);
    ck_assert_uint_eq(sums.present, 3 * HT_BLOCK_EVENTS);
}
END_TEST

/* A ring of so many blocks in a file that has no room for more than the first ones. */
static void begin_short(uint32_t blocks, uint32_t there)
{
    begin(blocks);
    stage_table(HT_RING, HT_BLOCK_BYTES, 65536, blocks, (uint64_t)there * HT_BLOCK_BYTES);
}

static void fill_block(struct thread *t)
{
    for (uint32_t n = 0; n < HT_BLOCK_EVENTS; n++)
        ring_write(t, HT_EVENT_ALLOC, 0, 16, 1, n);
}

/* The numbers of the blocks that are missing are claimed by nobody, but for one in each lap. */
START_TEST(what_the_file_lacks_is_passed_over_at_once)
{
    begin_short(1000, 3);
    struct thread *t = writer();
    for (uint32_t k = 0; k < 30; k++) {
        fill_block(t);
        ck_assert_uint_eq(claim_of(block_at(k % 3)), (uint64_t)k / 3 * 1000 + k % 3);
    }
    ck_assert_uint_eq(section[HT_RING].file->used, 3);
    ck_assert_uint_eq(sum_up().dropped, 0);
}
END_TEST

/* The one block that is free may be the last that is looked at. */
START_TEST(a_search_goes_once_round)
{
    begin_short(1000, 3);
    struct thread *before = writer(), *t = writer(), *behind = writer();
    ring_write(before, HT_EVENT_ALLOC, 0, 16, 1, 1);
    ring_write(t, HT_EVENT_ALLOC, 0, 16, 1, 1);
    ring_write(behind, HT_EVENT_ALLOC, 0, 16, 1, 1);
    for (uint32_t lap = 1; lap < 5; lap++) {
        fill_block(t); /* closes its block, and takes it again */
        ck_assert_uint_eq(claim_of(block_at(1)), lap * 1000 + 1);
        ck_assert_uint_eq(block_at(1)->slot, t->slot->index);
    }
    ck_assert_uint_eq(sum_up().dropped, 0);
}
END_TEST

/* And no further: what finds no block is lost, and the next search begins where this one ended. */
START_TEST(a_search_ends)
{
    begin(2);
    struct thread *t[3] = {writer(), writer(), writer()};
    for (int i = 0; i < 3; i++)
        ring_write(t[i], HT_EVENT_ALLOC, 0, 16, 1, 1);
    ck_assert_uint_eq(sum_up().dropped, 1);
    fill_block(t[0]); /* its first event was in claim 0; those of the search were 2 and 3 */
    ck_assert_uint_eq(claim_of(block_at(0)), 4);
    ck_assert_uint_eq(sum_up().dropped, 1);
}
END_TEST

START_TEST(a_search_ends_where_the_file_does)
{
    begin_short(1000, 3);
    struct thread *t[4] = {writer(), writer(), writer(), writer()};
    for (int i = 0; i < 4; i++)
        ring_write(t[i], HT_EVENT_ALLOC, 0, 16, 1, 1);
    ck_assert_uint_eq(sum_up().dropped, 1);
    fill_block(
        t[0]); /* the search took 3, which is missing, 1000 to 1002, which are open, and 1003, which is missing again */
    ck_assert_uint_eq(claim_of(block_at(0)), 2000);
    ck_assert_uint_eq(sum_up().dropped, 1);
}
END_TEST

/* A block is passed over until the eight bits of a lap have come round: what it holds is not taken for new. */
START_TEST(a_block_passed_over_for_long)
{
    begin(2);
    struct thread *quiet = writer(), *busy = writer();
    ring_write(quiet, HT_EVENT_ALLOC, 0, 16, 1, 1);
    for (uint32_t n = 0; n < 256 * HT_BLOCK_EVENTS; n++)
        ring_write(busy, HT_EVENT_ALLOC, 0, 16, 1, n);
    ck_assert_uint_eq(claim_of(block_at(1)), 256 * 2 - 1);
    for (uint32_t n = 0; n < HT_BLOCK_EVENTS; n++) /* closes its block, and takes it again in lap 256 */
        ring_write(quiet, HT_EVENT_ALLOC, 0, 16, 1, n);
    for (uint32_t n = 0; n < 3; n++) {
        ck_assert_uint_le(events_in(block_at(0)), 1 + n);
        ring_write(quiet, HT_EVENT_ALLOC, 0, 16, 1, n);
    }
    sum_up();
}
END_TEST

/* A hook was left (longjmp out of a handler, cancellation) anywhere between two stores: the next event stays inside a block of this slot. */
START_TEST(left_between_two_stores)
{
    begin(8);
    struct thread *t = writer(), *other = writer();
    ring_write(t, HT_EVENT_ALLOC, 0, 16, 1, 1);
    ring_write(other, HT_EVENT_ALLOC, 0, 16, 1, 4711);
    struct slot *slot = t->slot;
    for (int i = 0; i < 5; i++) {
        struct ht_event *begin_ = slot->block->event;
        struct ht_event *const places[] = {NULL, begin_ - 1, begin_ + 3, begin_ + HT_BLOCK_EVENTS,
                                           begin_ + HT_BLOCK_EVENTS + 7};
        slot->next = places[i];
        slot->limit = places[i] ? places[i] - (i & 1) : NULL;
        ring_settle(slot);
        for (uint32_t n = 0; n < 3 * HT_BLOCK_EVENTS; n++) {
            ring_write(t, HT_EVENT_ALLOC, 0, 16, 1, n);
            ck_assert_often(slot->next > slot->block->event && slot->next <= slot->block->event + HT_BLOCK_EVENTS);
        }
        ck_assert_uint_eq(block_at(1)->slot, other->slot->index);
        ck_assert_uint_eq(block_at(1)->event[0].site, 4711);
    }
    slot->block = NULL; /* it was just about to get another one */
    ring_settle(slot);
    ring_write(t, HT_EVENT_ALLOC, 0, 16, 1, 5);
    ck_assert_ptr_nonnull(slot->block);
}
END_TEST

#define ROUNDS 40000u

static void write_many(unsigned i)
{
    struct thread *t = writer();
    for (uint32_t n = 0; n < ROUNDS; n++) {
        if (t->now_ns != n / 50)
            ring_time_moved(t->slot);
        t->now_ns = n / 50;
        ring_write(t, HT_EVENT_ALLOC, 0, 16, i, n);
    }
    free(t);
}

/* In a slot of one thread, numbers go up without a gap inside a block, whatever the others do. */
static void check_order(void)
{
    for (uint32_t i = 0; i < section[HT_RING].file->used; i++) {
        const struct ht_block *block = block_at(i);
        if (!block->seq || block->slot == SLOTS)
            continue;
        int64_t last = -1;
        for (uint32_t n = 0; n < events_in(block); n++) {
            const struct ht_event *event = &block->event[n];
            if (HT_EVENT_TYPE(event->head) != HT_EVENT_ALLOC)
                continue;
            ck_assert(last < 0 || event->site == (uint32_t)last + 1);
            last = event->site;
        }
    }
}

START_TEST(threads_over_many_laps)
{
    begin(16);
    stage_crowd(SLOTS, write_many);
    struct sums sums = sum_up();
    ck_assert_uint_eq(sums.dropped, 0);
    ck_assert_uint_ge(sums.written, SLOTS * ROUNDS);
    check_order();
}
END_TEST

START_TEST(threads_in_a_short_file)
{
    begin_short(1000, 6);
    stage_crowd(SLOTS, write_many);
    struct sums sums = sum_up();
    ck_assert_uint_ge(sums.written + sums.dropped, SLOTS * ROUNDS);
    ck_assert_uint_gt(sums.written, ROUNDS);
    ck_assert_uint_eq(section[HT_RING].file->used, 6);
    check_order();
}
END_TEST

START_TEST(threads_that_share_a_slot)
{
    begin(16);
    for (unsigned i = 0; i < SLOTS; i++)
        free(writer());
    stage_crowd(6, write_many);
    struct sums sums = sum_up();
    ck_assert_uint_ge(sums.written + sums.dropped, 6 * ROUNDS);
    ck_assert_uint_gt(sums.written, ROUNDS);
    for (uint32_t i = 0; i < section[HT_RING].file->used; i++) {
        const struct ht_block *block = block_at(i);
        ck_assert(!block->seq || block->slot == SLOTS);
        if (block->seq && !block->open)
            ck_assert_uint_eq(events_in(block), HT_BLOCK_EVENTS);
    }
}
END_TEST

START_TEST(threads_of_both_kinds)
{
    begin(8);
    free(writer());
    free(writer());
    stage_crowd(8, write_many);
    sum_up();
    check_order();
}
END_TEST

/* What a fork child says of its parent: events of private slots, whatever the shared one does. */
START_TEST(where_a_fork_is)
{
    begin(8);
    struct thread *own = writer(), *guest = stage_thread(0);
    ring_write(own, HT_EVENT_ALLOC, 0, 0x1000, 5, 77);
    ck_assert_uint_eq(slots_events(), 1);
    guest->slot = slots_shared();
    ring_write(guest, HT_EVENT_ALLOC, 0, 0x2000, 5, 77);
    ck_assert_uint_eq(slots_events(), 1);
    for (int i = 0; i < 1000; i++)
        ring_write(own, HT_EVENT_ALLOC, 0, 0x1000, 5, 77);
    ck_assert_uint_eq(slots_events(), 1001);
}
END_TEST

SUITE("ring", where_a_fork_is, an_event_as_it_was_written, no_ring, many_laps_of_one_thread,
      a_quiet_thread_keeps_its_block, a_block_passed_over_for_long, left_between_two_stores, more_threads_than_blocks,
      the_filesystem_is_full, what_the_file_lacks_is_passed_over_at_once, a_search_goes_once_round, a_search_ends,
      a_search_ends_where_the_file_does, threads_over_many_laps, threads_in_a_short_file, threads_that_share_a_slot,
      threads_of_both_kinds)
