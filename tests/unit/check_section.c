/* A table grows in steps, ends where the filesystem does, and no store into what it handed out raises SIGBUS. */
#include "stage.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define MODULES (&section[HT_MODULES])

/* Claims until the table is full; stores into every byte of what was handed out. Returns how many records those are. */
static uint32_t fill(struct section *s, uint32_t n)
{
    uint32_t count = 0, at;
    while ((at = section_claim_growing(s, n)) != SECTION_FULL) {
        ck_assert_often(at == count);
        count += n;
        ck_assert_often(s->file->used >= count);
        ck_assert_often(s->file->full == 0);
        memset(s->base + (size_t)at * s->record_bytes, 0xff, (size_t)n * s->record_bytes);
    }
    ck_assert_often(s->file->full == 1);
    return count;
}

START_TEST(hands_out_all_there_is)
{
    static const uint32_t records[] = {8, 24, 1024, 2048, 4096, 12288};
    for (size_t i = 0; i < ARRAY_LEN(records); i++)
        for (uint32_t n = 1; n < 4; n++) {
            stage_table(HT_MODULES, records[i], 16384, 100, 100 * records[i]);
            ck_assert_uint_eq(fill(MODULES, n), 100 / n * n);
        }
}
END_TEST

START_TEST(allocates_in_steps)
{
    stage_table(HT_MODULES, 64, 65536, 1 << 16, 1 << 22);
    ck_assert_uint_eq(fill(MODULES, 1), 1 << 16);
    ck_assert_uint_le(stage_calls(SYS_madvise), (1 << 22) / 65536 + 1);
    stage_table(HT_MODULES, 64, 0, 100, 1 << 20); /* no step: as much as is needed */
    ck_assert(section_reach(MODULES, 1));
    ck_assert_uint_eq(MODULES->allocated, 64);
    ck_assert(section_reach(MODULES, 64));
    ck_assert(section_reach(MODULES, 100));
    ck_assert(!section_reach(MODULES, 101));
    ck_assert_uint_eq(MODULES->capacity, 100);
}
END_TEST

/* As some kernels for 64-bit Arm have them. */
START_TEST(pages_of_64_kib)
{
    stage_page_bytes = HT_SECTION_ALIGN;
    stage_table(HT_MODULES, 64, 16384, 1 << 14, 1 << 20);
    ck_assert_uint_eq(fill(MODULES, 1), 1 << 14);
}
END_TEST

START_TEST(more_than_there_is_at_once)
{
    stage_table(HT_MODULES, 64, 0, 10, 4096);
    ck_assert_uint_eq(section_claim_growing(MODULES, 11), SECTION_FULL);
    ck_assert_uint_eq(section_claim_growing(MODULES, UINT32_MAX), SECTION_FULL);
    ck_assert_uint_eq(section_claim_growing(MODULES, 10), 0);
    ck_assert_uint_eq(MODULES->file->used, 10);
}
END_TEST

START_TEST(ends_with_the_filesystem)
{
    static const uint32_t records[] = {8, 24, 1024, 2048, 12288};
    for (size_t i = 0; i < ARRAY_LEN(records); i++)
        for (uint64_t pages = 0; pages < 40; pages += 3) {
            stage_table(HT_MODULES, records[i], 16384, 1 << 16, pages * 4096);
            ck_assert_uint_eq(fill(MODULES, 1), pages * 4096 / records[i]); /* to the last page that there is */
            ck_assert_uint_lt(MODULES->capacity, 1 << 16);
            ck_assert_uint_le(MODULES->allocated, MODULES->capacity);
        }
}
END_TEST

START_TEST(a_refused_step_ends_the_table)
{
    stage_table(HT_MODULES, 64, 4096, 1000, 64000);
    for (uint32_t i = 0; i < 100; i++)
        ck_assert_uint_eq(section_claim_growing(MODULES, 1), i);
    uint32_t there = MODULES->allocated;
    stage_refuse(SYS_madvise, 0, ENOMEM, 0);
    while (section_claim_growing(MODULES, 1) != SECTION_FULL) {
    }
    stage_allow();
    ck_assert_uint_eq(MODULES->capacity, there);
    ck_assert_uint_eq(section_claim_growing(MODULES, 1), SECTION_FULL);
    ck_assert_uint_eq(MODULES->file->used, there);
    memset(MODULES->base, 0xff, (size_t)there * 64);
}
END_TEST

START_TEST(one_refusal_of_a_step_is_not_the_end)
{
    stage_table(HT_MODULES, 64, 4096, 1000, 64000);
    stage_refuse(SYS_madvise, 1, ENOMEM, 0); /* the whole step; what is just needed can be had */
    ck_assert_uint_eq(fill(MODULES, 1), 1000);
}
END_TEST

static uint8_t taken[1 << 16];

static void claim_many(unsigned i)
{
    uint32_t at;
    while ((at = section_claim_growing(MODULES, 1 + i % 3)) != SECTION_FULL)
        for (uint32_t n = 0; n < 1 + i % 3; n++) {
            memset(MODULES->base + (size_t)(at + n) * 24, (int)i, 24);
            __atomic_fetch_add(&taken[at + n], 1, __ATOMIC_RELAXED);
        }
}

static uint32_t taken_once(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < ARRAY_LEN(taken); i++) {
        ck_assert_often(taken[i] <= 1);
        count += taken[i];
    }
    return count;
}

START_TEST(threads_never_get_the_same_record)
{
    stage_table(HT_MODULES, 24, 4096, 1 << 16, 24 << 16);
    stage_crowd(6, claim_many);
    ck_assert_uint_ge(taken_once(), (1 << 16) - 2);
    ck_assert_uint_eq(MODULES->file->used, taken_once() < 1 << 16 ? MODULES->claimed : 1 << 16);
}
END_TEST

START_TEST(threads_when_the_filesystem_is_full)
{
    stage_table(HT_MODULES, 24, 16384, 1 << 16, 100 * 4096);
    stage_crowd(6, claim_many);
    uint32_t count = taken_once();
    ck_assert_uint_le(count, 100 * 4096 / 24);
    ck_assert_uint_gt(count, 95 * 4096 / 24);
    ck_assert_uint_eq(MODULES->file->full, 1);
}
END_TEST

SUITE("section", hands_out_all_there_is, allocates_in_steps, pages_of_64_kib, more_than_there_is_at_once,
      ends_with_the_filesystem, a_refused_step_ends_the_table, one_refusal_of_a_step_is_not_the_end,
      threads_never_get_the_same_record, threads_when_the_filesystem_is_full)
