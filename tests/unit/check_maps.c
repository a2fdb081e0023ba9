/* Live mappings: every overlap is found, once, and rows are used again. */
#include "stage.h"

#include <shim/maps.h>
#include <shim/memory.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096u
#define ME ((uint32_t)gettid())
#define NOBODY 0x7ffffff0u

static void begin(uint32_t rows)
{
    stage_tables(rows);
    maps_init(rows);
}

static bool insert(uintptr_t page, uintptr_t pages, uint32_t site)
{
    return maps_insert(ME, &(struct map){page * PAGE, pages * PAGE, site, 5});
}

/* Site of a mapping that overlaps these pages, taken out; 0: none. */
static uint32_t take(uintptr_t page, uintptr_t pages, struct map *map)
{
    bool busy = true;
    bool found = maps_take(ME, page * PAGE, pages * PAGE, map, &busy);
    ck_assert(!busy);
    return found ? map->site : 0;
}

START_TEST(overlaps)
{
    struct map map;
    static const struct {
        uintptr_t page, pages;
        bool overlaps;
    } cases[] = {{5, 5, false},  {5, 6, true},   {0, 100, true}, {10, 5, true}, {12, 1, true}, {14, 9, true},
                 {15, 9, false}, {16, 1, false}, {9, 1, false},  {10, 1, true}, {14, 1, true}};
    begin(10);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert(insert(10, 5, 42));
        ck_assert_uint_eq(take(cases[i].page, cases[i].pages, &map), cases[i].overlaps ? 42 : 0);
        if (!cases[i].overlaps)
            ck_assert_uint_eq(take(10, 1, &map), 42);
        ck_assert_uint_eq(map.start, 10 * PAGE);
        ck_assert_uint_eq(map.size, 5 * PAGE);
        ck_assert_uint_eq(map.birth, 5);
        ck_assert_uint_eq(take(0, 1000, &map), 0);
    }
    ck_assert_uint_eq(section[HT_MAPS].file->used, 1); /* the same row each time */
}
END_TEST

START_TEST(the_file_says_the_same)
{
    begin(10);
    uintptr_t start = (uintptr_t)UINT64_C(0x7ffe12345000), size = (uintptr_t)UINT64_C(0x2345678000);
    ck_assert(maps_insert(ME, &(struct map){start, size, 7, 0x1234}));
    const struct ht_map *row = SECTION_RECORD(const struct ht_map, HT_MAPS, 0);
    static const struct ht_map expected = {7, 0x1234, 0x12345000, 0x7ffe, 0x45678000, 0x23, {0, 0}};
    ck_assert_mem_eq(row, &expected, sizeof *row);
    struct map map;
    ck_assert_uint_eq(take(start / PAGE, 1, &map), 7);
    ck_assert_uint_eq(row->site, 0);
}
END_TEST

START_TEST(full_and_free_again)
{
    struct map map;
    begin(100);
    for (uint32_t i = 0; i < 100; i++)
        ck_assert(insert(i * 2, 1, i + 1));
    ck_assert(!insert(1000, 1, 1000));
    ck_assert_uint_eq(take(100, 1, &map), 51);
    ck_assert(insert(1000, 1, 1000));
    uint32_t sum = 0, site;
    while ((site = take(0, 2000, &map)))
        sum += site;
    ck_assert_uint_eq(sum, 100 * 101 / 2 - 51 + 1000);
    stage_table(HT_MAPS, sizeof(struct ht_map), 0, 1000, PAGE); /* the filesystem ends before the table */
    maps_init(1000);
    uint32_t rows = 0;
    while (insert(rows, 1, 1))
        rows++;
    ck_assert_uint_eq(rows, PAGE / sizeof(struct ht_map));
}
END_TEST

static sigjmp_buf back;

static void leave_it(int signal)
{
    (void)signal;
    siglongjmp(back, 1);
}

/* A hook that is left where it has the lock: at the store in a row. */
static void leave_with_the_lock(uint32_t owner)
{
    signal(SIGSEGV, leave_it);
    ck_assert_int_eq(mprotect(section[HT_MAPS].base, PAGE, PROT_READ), 0);
    if (sigsetjmp(back, 1) == 0) {
        maps_insert(owner, &(struct map){77 * PAGE, PAGE, 7, 5});
        ck_abort_msg("the row can be stored to");
    }
    ck_assert_int_eq(mprotect(section[HT_MAPS].base, PAGE, PROT_READ | PROT_WRITE), 0);
}

START_TEST(left_with_the_lock)
{
    struct map map;
    bool busy;
    begin(10);
    ck_assert(insert(1, 1, 1));
    leave_with_the_lock(ME);
    maps_take(NOBODY, PAGE, PAGE, &map, &busy);
    ck_assert(busy); /* whoever has it lives, and may be at work */
    unsigned naps = stage_calls(SYS_nanosleep);
    ck_assert_uint_gt(naps, 0); /* without a processor, perhaps */
    for (int i = 0; i < 10; i++)
        maps_take(NOBODY, PAGE, PAGE, &map, &busy);
    ck_assert(busy && stage_calls(SYS_nanosleep) == naps); /* not for long again */
    maps_let_go(NOBODY);
    ck_assert(insert(2, 1, 2)); /* its own */
    leave_with_the_lock(ME);
    maps_let_go(ME);
    ck_assert(maps_insert(NOBODY, &(struct map){3 * PAGE, PAGE, 3, 5}));
    leave_with_the_lock(NOBODY);
    ck_assert(insert(4, 1, 4)); /* whoever has it is no more */
    uint32_t sum = 0, site;
    while ((site = take(0, 1000, &map)))
        sum += site;
    ck_assert_uint_eq(sum, 1 + 2 + 3 + 4); /* and nothing of what was left half done */
}
END_TEST

#define PAGES 64
#define THREADS 6u

/* As a hook would, but however busy the table is. */
static bool take_at_last(uintptr_t start, uintptr_t size, struct map *map)
{
    bool found, busy = true;
    do
        found = maps_take(ME, start, size, map, &busy);
    while (busy);
    return found;
}

/* Each thread maps and unmaps pages of its own, next to each other's; a table of pages tells what must be there. */
static void come_and_go(unsigned thread)
{
    uint32_t random = thread + 1, owner[PAGES] = {0};
    uintptr_t first = (uintptr_t)thread * PAGES;
    struct map map;
    for (uint32_t round = 1; round <= 800; round++) {
        uint32_t at = stage_random(&random) % PAGES, pages = stage_random(&random) % (PAGES - at) + 1;
        while (take_at_last((first + at) * PAGE, (uintptr_t)pages * PAGE, &map)) {
            uint32_t seen = (uint32_t)(map.start / PAGE - first), end = seen + (uint32_t)(map.size / PAGE);
            ck_assert_often(end <= PAGES && end > at && seen < at + pages);
            for (uint32_t page = seen; page < end; page++) {
                ck_assert_often(owner[page] == map.site);
                owner[page] = 0;
            }
        }
        for (uint32_t page = at; page < at + pages; page++) {
            ck_assert_often(owner[page] == 0);
            owner[page] = round;
        }
        while (!insert(first + at, pages, round)) { /* busy: there are rows enough */
        }
    }
}

START_TEST(threads_with_neighbouring_pages)
{
    begin(PAGES * THREADS);
    stage_crowd(THREADS, come_and_go);
}
END_TEST

SUITE("maps", left_with_the_lock, overlaps, the_file_says_the_same, full_and_free_again,
      threads_with_neighbouring_pages)
