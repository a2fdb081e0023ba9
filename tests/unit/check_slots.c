/* Slots: fresh ones first, those of ended threads next, the shared one last; and counters that add up whoever counted. */
#include "stage.h"

#include <shim/memory.h>
#include <shim/slots.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLOTS 4

static void begin(uint32_t sites)
{
    stage_tables(sites);
    ck_assert(slots_init(SLOTS));
}

static struct ht_slot *file_of(uint32_t i)
{
    return SECTION_RECORD(struct ht_slot, HT_SLOTS, i);
}

/* A thread id that certainly belonged to a thread of this process that is gone. */
static uint32_t gone;

static void note_tid(unsigned i)
{
    (void)i;
    gone = (uint32_t)gettid();
}

static struct ht_cell *cell_in(struct slot *slot, uint32_t site)
{
    struct ht_cell *cell = slot_cell(slot, site);
    for (int tries = 0; !cell && tries < 100; tries++) { /* what has grown may be others' already */
        section_grow();
        cell = slot_cell(slot, site);
    }
    return cell;
}

/* Joined, and no longer known to the kernel: an emulator's own half of a thread ends a little later. */
static void end_a_thread(void)
{
    stage_crowd(1, note_tid);
    for (int i = 0; i < 10000 && !tgkill(getpid(), (pid_t)gone, 0); i++)
        sched_yield();
}

START_TEST(fresh_slots_first)
{
    begin(1000);
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct slot *slot = slots_attach((uint32_t)getpid());
        ck_assert_uint_eq(slot->index, i);
        ck_assert(!slot->shared);
        ck_assert_uint_eq(slot->file->owner, (uint32_t)getpid());
        ck_assert_uint_eq(slot->file->adoptions, 0);
        ck_assert(*slot->file->name);
    }
    ck_assert_ptr_eq(slots_attach((uint32_t)getpid()), slots_shared());
    ck_assert(slots_shared()->shared);
    ck_assert_uint_eq(section[HT_SLOTS].file->used, SLOTS + 1);
}
END_TEST

START_TEST(slots_of_ended_threads_are_adopted)
{
    begin(1000);
    end_a_thread();
    for (uint32_t i = 0; i < SLOTS; i++)
        slots_attach(i == 2 ? gone : (uint32_t)getpid());
    slot_lose(slots_attach(1), HT_LOST_PAUSED, 1); /* adopts */
    ck_assert_uint_eq(file_of(2)->owner, 1);
    ck_assert_uint_eq(file_of(2)->adoptions, 1);
    ck_assert_uint_eq(file_of(2)->lost[HT_LOST_PAUSED].lo, 1);
    struct slot *next = slots_attach((uint32_t)getpid()); /* thread 1 is not of this process */
    ck_assert_uint_eq(next->index, 2);
    slot_lose(next, HT_LOST_PAUSED, 1);
    ck_assert_uint_eq(file_of(2)->lost[HT_LOST_PAUSED].lo, 2); /* goes on, is not cleared */
    ck_assert_uint_eq(file_of(2)->adoptions, 2);
}
END_TEST

START_TEST(what_cannot_be_asked_is_not_adopted)
{
    begin(1000);
    end_a_thread();
    for (uint32_t i = 0; i < SLOTS; i++)
        slots_attach(gone);
    sys_freeze();
    ck_assert_ptr_eq(slots_attach(1), slots_shared());
    sys_thaw();
    stage_refuse(SYS_tgkill, 0, EPERM, 0);
    ck_assert_ptr_eq(slots_attach(1), slots_shared());
    stage_allow();
    ck_assert(slots_attach(1) != slots_shared());
}
END_TEST

START_TEST(cells)
{
    begin(1000);
    struct slot *a = slots_attach((uint32_t)getpid()), *b = slots_attach((uint32_t)getpid());
    struct ht_cell *cell = cell_in(a, 70);
    ck_assert_ptr_eq(cell_in(a, 70), cell);
    ck_assert_ptr_eq(cell_in(a, 71), cell + 1);
    ck_assert_ptr_eq(cell_in(a, 64), cell - 6);
    ck_assert_ptr_ne(cell_in(a, 63), cell - 7);
    slot_add(b, &cell_in(b, 70)->allocs, 5);
    ck_assert_uint_eq(cell->allocs.lo, 0);
    ck_assert_uint_eq(section[HT_CHUNKS].file->used, 3);
    ck_assert_uint_eq(section[HT_CELLS].file->used, 3);
    for (uint32_t id = 0; id < 3; id++) { /* V4 */
        const struct ht_chunk *chunk = SECTION_RECORD(const struct ht_chunk, HT_CHUNKS, id);
        static const struct ht_chunk expected[] = {{1, 1}, {0, 1}, {1, 2}};
        ck_assert_mem_eq(chunk, &expected[id], sizeof *chunk);
    }
}
END_TEST

START_TEST(no_room_for_cells)
{
    begin(1000);
    struct slot *slot = slots_attach((uint32_t)getpid());
    ck_assert_ptr_nonnull(cell_in(slot, 1));
    stage_table(HT_CELLS, sizeof(struct ht_cell) * HT_SITES_PER_CHUNK, 0, 1000, 4096); /* two chunks' */
    ck_assert_ptr_nonnull(cell_in(slot, 64));
    ck_assert_ptr_null(cell_in(slot, 128));
    ck_assert_ptr_null(cell_in(slot, 128));
    ck_assert_ptr_nonnull(cell_in(slot, 64));
    stage_table(HT_CHUNKS, sizeof(struct ht_chunk), 0, 0, 0);
    ck_assert_ptr_null(cell_in(slot, 128));
}
END_TEST

START_TEST(tables_as_large_as_there_may_be_sites)
{
    begin(100000);
    size_t empty = memory_bytes();
    ck_assert(!slots_attach(1)->shared);
    size_t one = memory_bytes() - empty;
    section[HT_SITES].capacity = 1000;
    ck_assert(!slots_attach(2)->shared);
    ck_assert_uint_eq(memory_bytes() - empty, one + 4096);
    stage_tables(100000); /* a fork child, whose sites may be as many as its parent's once were */
    ck_assert(slots_init(SLOTS));
    size_t before = memory_bytes();
    struct slot *slot = slots_attach(3), *next = slots_attach(4);
    ck_assert(!slot->shared && !next->shared && slot != next);
    ck_assert_uint_eq(memory_bytes() - before, one - 4096); /* in place of the smaller one */
    ck_assert(!slot_cell_own(slot, 99999) && !slot_cell_own(next, 99999));
}
END_TEST

START_TEST(no_room_for_slots)
{
    stage_tables(1000);
    stage_refuse(SYS_mmap, 0, ENOMEM, 0);
    ck_assert(!slots_init(SLOTS));
    stage_allow();
    stage_table(HT_SLOTS, sizeof(struct ht_slot), 0, SLOTS + 1, 0);
    ck_assert(!slots_init(SLOTS));
}
END_TEST

#define THREADS 8u
#define ROUNDS 20000u

static void count_many(unsigned thread)
{
    struct slot *slot = slots_attach((uint32_t)gettid());
    uint32_t random = thread + 1;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct ht_cell *cell = cell_in(slot, stage_random(&random) % 1000);
        slot_add(slot, &cell->allocs, 1);
        slot_add(slot, &cell->alloc_bytes, 0x7fffffffu); /* carries all the time */
    }
    if (slot->shared)
        slot_lose(slot, HT_LOST_SHARED_SLOT, ROUNDS);
}

static uint64_t value(const struct ht_count *count)
{
    return count_value(count->hi, count->lo);
}

START_TEST(every_count_counts)
{
    begin(1000);
    stage_crowd(THREADS, count_many);
    uint64_t allocs = 0, bytes = 0;
    bool named[SLOTS + 1][1000 / 64 + 1] = {{false}};
    for (uint32_t id = 0; id < section[HT_CHUNKS].file->used; id++) {
        const struct ht_chunk *chunk = SECTION_RECORD(const struct ht_chunk, HT_CHUNKS, id);
        if (!chunk->slot) /* lost the race for the shared slot */
            continue;
        ck_assert(!named[chunk->slot - 1][chunk->group]);
        named[chunk->slot - 1][chunk->group] = true;
        for (uint32_t site = 0; site < 64; site++) {
            allocs += value(&cell_at(id + 1, site)->allocs);
            bytes += value(&cell_at(id + 1, site)->alloc_bytes);
        }
    }
    ck_assert_uint_eq(allocs, THREADS * ROUNDS);
    ck_assert_uint_eq(bytes, THREADS * ROUNDS * UINT64_C(0x7fffffff));
    ck_assert_uint_eq(value(&slots_shared()->file->lost[HT_LOST_SHARED_SLOT]) % ROUNDS, 0);
}
END_TEST

/* The events are settled when the bytes are; at each instant both have the value that they should. */
START_TEST(events_carry_with_their_bytes)
{
    for (uint32_t before = 0; before < 64; before++) {
        uint64_t events = UINT64_C(0x17fffffff) - before, sum = (UINT64_C(0x2fffffff) << 32) - before;
        struct ht_count a = {(uint32_t)events, (uint32_t)(events >> 31)}, b = {(uint32_t)sum, (uint32_t)(sum >> 31)};
        uint32_t random = before + 1;
        for (unsigned i = 0; i < 200; i++) {
            uint32_t bytes = i < 100 ? 1 + stage_random(&random) % 512 : 0x7fffffff;
            slot_count_event(&a, &b, bytes);
            events++;
            sum += bytes;
            ck_assert_uint_eq(value(&a), events);
            ck_assert_uint_eq(value(&b), sum);
        }
        ck_assert_uint_eq(a.hi, events >> 31);
        count_settle(&a);
        ck_assert_uint_eq(value(&a), events);
    }
}
END_TEST

SUITE("slots", fresh_slots_first, slots_of_ended_threads_are_adopted, what_cannot_be_asked_is_not_adopted, cells,
      no_room_for_cells, tables_as_large_as_there_may_be_sites, no_room_for_slots, every_count_counts,
      events_carry_with_their_bytes)
