/* What a file does not use of its addresses can be given back: nobody stores there, or has the kernel do anything there, from then on, and what is in use stays. */
#include "stage.h"

#include <shim/addresses.h>
#include <shim/file_map.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define RECORD 64u
#define RECORDS 4096u /* 256 KiB, of each section */
#define SECTION_BYTES ((size_t)RECORD * RECORDS)
#define FILE_BYTES (HT_SECTION_ALIGN + (HT_RING + 1) * SECTION_BYTES)
#define USED 100u /* records, that are allocated: with a step, one page more */

static int fd;
static struct sys_signals signals;
static uint32_t capacity[HT_SECTIONS_MAX];

static void lay_out(char *base)
{
    for (uint32_t id = 0; id <= HT_RING; id++) {
        section[id] = (struct section){.base = base + HT_SECTION_ALIGN + id * SECTION_BYTES,
                                       .file = &stage_header.section[id],
                                       .record_bytes = RECORD,
                                       .step_bytes = 4096,
                                       .capacity = RECORDS};
        ck_assert(section_reach(&section[id], USED));
        memset(section[id].base, (int)id + 1, USED * RECORD);
    }
}

static char *begin(void)
{
    fd = memfd_create("file", 0);
    ck_assert(fd >= 0 && ftruncate(fd, (off_t)FILE_BYTES) == 0);
    ck_assert(!file_map_is_open());
    char *base = file_map_open(fd, FILE_BYTES);
    ck_assert(base && file_map_is_open());
    memset(base, 99, sizeof(struct ht_header));
    lay_out(base);
    for (uint32_t id = 0; id <= HT_RING; id++)
        capacity[id] = 2048;
    return base;
}

static bool is_mapped(const char *at)
{
    unsigned char in;
    return mincore((void *)((uintptr_t)at & ~(uintptr_t)4095), 1, &in) == 0;
}

/* Bytes that are said to be the shim's; each of them is mapped, if they are of this process. */
static size_t listed(void)
{
    struct memory_range range;
    size_t bytes = 0;
    for (uintptr_t at = 0; file_map_next(at, &range); at = range.end) {
        ck_assert(range.start < range.end && range.start >= at);
        for (uintptr_t page = range.start; page < range.end; page += 4096)
            ck_assert_often(is_mapped((const char *)page));
        bytes += range.end - range.start;
    }
    return bytes;
}

static void check_contents(void)
{
    for (uint32_t id = 0; id <= HT_RING; id++)
        for (uint32_t i = 0; i < USED * RECORD; i++)
            ck_assert_often(section[id].base[i] == (char)(id + 1));
}

START_TEST(unused_ends_are_given_back)
{
    char *base = begin();
    ck_assert_uint_eq(listed(), FILE_BYTES);
    ck_assert(file_map_cut(capacity, true));
    ck_assert_uint_eq(listed(), HT_SECTION_ALIGN + (HT_RING + 1) * SECTION_BYTES / 2);
    ck_assert(is_mapped(base));
    for (uint32_t id = 0; id <= HT_RING; id++) {
        ck_assert_uint_eq(section[id].capacity, 2048);
        ck_assert(is_mapped(section[id].base + SECTION_BYTES / 2 - 1) &&
                  !is_mapped(section[id].base + SECTION_BYTES / 2));
        ck_assert(!is_mapped(section[id].base + SECTION_BYTES - 1));
        ck_assert(section_reach(&section[id], 2048) && !section_reach(&section[id], 2049));
        memset(section[id].base + USED * RECORD, 0, (2048 - USED) * RECORD);
    }
    check_contents();
}
END_TEST

START_TEST(what_is_allocated_stays)
{
    begin();
    ck_assert(section_reach(&section[HT_LINES], 3000));
    memset(capacity, 0, sizeof capacity);
    ck_assert(file_map_cut(capacity, true));
    for (uint32_t id = 0; id <= HT_RING; id++)
        ck_assert(section[id].capacity == section[id].allocated);
    ck_assert_uint_ge(section[HT_LINES].capacity, 3000);
    check_contents();
    memset(section[HT_LINES].base, 1, 3000 * RECORD);
    ck_assert_uint_eq(listed(), HT_SECTION_ALIGN * (1 + HT_RING) +
                                    align_up(section[HT_LINES].capacity * RECORD, HT_SECTION_ALIGN));
    size_t before = listed(); /* once more, there is nothing to give back; and it never becomes more */
    ck_assert(file_map_cut(capacity, true));
    capacity[HT_RING] = RECORDS;
    ck_assert(file_map_cut(capacity, true));
    ck_assert_uint_eq(listed(), before);
}
END_TEST

static void stay_whole(size_t bytes, uint32_t records)
{
    ck_assert_uint_eq(listed(), bytes);
    for (uint32_t id = 0; id <= HT_RING; id++)
        ck_assert_uint_eq(section[id].capacity, records);
}

START_TEST(not_while_somebody_holds_them)
{
    begin();
    addresses_hold(&signals);
    addresses_hold(&signals);
    addresses_let_go(&signals);
    ck_assert(!file_map_cut(capacity, false) && !file_map_cut(capacity, true));
    stay_whole(FILE_BYTES, RECORDS);
    addresses_let_go(&signals);
    addresses_let_go(&signals); /* once too often, as in a fork child, does no harm */
    ck_assert(file_map_cut(capacity, false));
    size_t left = listed();
    addresses_hold(&signals);
    capacity[HT_LINES] = 1024;
    ck_assert(!file_map_cut(capacity, true));
    stay_whole(left, 2048);
    addresses_anew();
    ck_assert(file_map_cut(capacity, true));
}
END_TEST

/* As a signal handler does that comes while a table grows. */
static void cut_meanwhile(long n)
{
    if (n != SYS_madvise)
        return;
    stage_before = NULL;
    ck_assert(!file_map_cut(capacity, false));
}

START_TEST(not_while_a_table_grows)
{
    begin();
    stage_before = cut_meanwhile;
    ck_assert(section_reach(&section[HT_LINES], 3500));
    ck_assert_ptr_null(stage_before);
    stay_whole(FILE_BYTES, RECORDS);
    memset(section[HT_LINES].base, 1, 3500 * RECORD);
}
END_TEST

/* As another thread does, as late as can be. */
static void grow_meanwhile(long n)
{
    struct memory_range range;
    if (n != SYS_munmap)
        return;
    stage_before = NULL;
    for (uint32_t id = 0; id <= HT_RING; id++)
        ck_assert(!section_reach(&section[id], 2049));
    for (uintptr_t at = 0; file_map_next(at, &range); at = range.end)
        ck_assert_uint_le(range.end - range.start, SECTION_BYTES / 2);
}

START_TEST(no_table_grows_while_they_are_given_back)
{
    begin();
    stage_before = grow_meanwhile;
    ck_assert(file_map_cut(capacity, true));
    ck_assert_ptr_null(stage_before);
}
END_TEST

START_TEST(the_next_file_leaves_alone_what_lies_between)
{
    char *base = begin();
    ck_assert(file_map_cut(capacity, true));
    char *hole = section[HT_NODES].base + SECTION_BYTES / 2;
    ck_assert(mmap(hole, SECTION_BYTES / 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
              hole);
    memset(hole, 7, SECTION_BYTES / 2);
    char *nodes = section[HT_NODES].base, *next = file_map_open(fd, FILE_BYTES / 2);
    ck_assert(next && next != base);
    ck_assert_uint_eq(listed(), FILE_BYTES / 2);
    ck_assert(!is_mapped(base) && !is_mapped(nodes));
    for (size_t i = 0; i < SECTION_BYTES / 2; i++)
        ck_assert_often(hole[i] == 7);
    /* In one piece, the next one lies where this one does. */
    ck_assert_ptr_eq(file_map_open(fd, FILE_BYTES / 4), next);
    ck_assert_uint_eq(listed(), FILE_BYTES / 4);
    ck_assert(!is_mapped(next + FILE_BYTES / 2 - 4096));
    stage_refuse(SYS_mmap, 1, ENOMEM, 0);
    ck_assert_ptr_null(file_map_open(fd, FILE_BYTES));
    ck_assert_uint_eq(listed(), FILE_BYTES / 4);
}
END_TEST

START_TEST(all_of_it_is_left)
{
    char *base = begin();
    ck_assert(file_map_cut(capacity, true));
    for (uint32_t id = 0; id <= HT_RING; id++) /* laid out anew, and not yet mapped */
        section[id].base = (char *)(uintptr_t)(HT_SECTION_ALIGN * (id + 1));
    file_map_leave();
    ck_assert(!file_map_is_open() && !is_mapped(base) && !is_mapped(base + FILE_BYTES - SECTION_BYTES));
    ck_assert_uint_eq(listed(), 0);
    file_map_leave();
    file_map_copy();
    ck_assert_uint_eq(listed(), 0);
}
END_TEST

static void copy(bool in_pieces)
{
    char *base = begin();
    ck_assert(!in_pieces || file_map_cut(capacity, true));
    size_t bytes = listed();
    char *hole = section[HT_LINES].base + SECTION_BYTES - 4096;
    file_map_copy();
    ck_assert_uint_eq(listed(), bytes);
    ck_assert(is_mapped(hole) == !in_pieces);
    check_contents();
    memset(section[HT_LINES].base, 50, USED * RECORD);
    file_map_copy(); /* not again */
    char there[2] = "";
    ck_assert(section[HT_LINES].base[0] == 50 && base[0] == 99 &&
              pread(fd, there, 1, section[HT_LINES].base - base) == 1 && there[0] == HT_LINES + 1);
    file_map_drop();
    ck_assert_uint_eq(listed(), bytes);
    ck_assert(section[HT_LINES].base[0] == 0 && base[0] == 0 && is_mapped(hole) == !in_pieces);
}

START_TEST(memory_in_place_of_the_file)
{
    copy(false);
}
END_TEST

START_TEST(memory_in_place_of_its_pieces)
{
    copy(true);
}
END_TEST

SUITE("file_map", unused_ends_are_given_back, what_is_allocated_stays, not_while_somebody_holds_them,
      not_while_a_table_grows, no_table_grows_while_they_are_given_back, the_next_file_leaves_alone_what_lies_between,
      all_of_it_is_left, memory_in_place_of_the_file, memory_in_place_of_its_pieces)
