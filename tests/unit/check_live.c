/* The live table against a plain one: every block is there once, with what it was put in with, at any address and of any size. */
#include "stage.h"

#include <shim/live.h>
#include <shim/memory.h>
#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>

#define GIB4 (UINT64_C(1) << 32)
#define BASE ((uintptr_t)UINT64_C(0x7f1234560000))

static struct thread *t;

static void begin(uint32_t lines)
{
    for (size_t i = 0; live_root && i < LIVE_ROOTS; i++)
        if (live_root[i]) {
            memory_unmap(live_root[i], sizeof *live_root[i]);
            live_root[i] = NULL;
        }
    stage_tables(lines);
    ck_assert(live_init(lines));
    t = stage_thread(0);
}

enum result { INSERTED, REPLACED, FULL };

static enum result put(struct thread *thread, uintptr_t address, const struct live_block *block, struct live_block *old)
{
    struct live_heads *heads = live_reach(address);
    thread->birth = block->birth;
    unsigned result = live_insert(thread, heads, address, block->size, block->site);
    old->site = 0;
    if (result & LIVE_STALE)
        *old = thread->stale;
    if (result & LIVE_FULL) {
        section_grow();
        result = live_insert(thread, heads, address, block->size, block->site);
        ck_assert_often(!(result & LIVE_STALE));
    }
    return result & LIVE_FULL ? FULL : old->site ? REPLACED : INSERTED;
}

static enum result insert(uintptr_t address, uint64_t size, uint32_t site, struct live_block *old)
{
    return put(t, address, &(struct live_block){size, site, (uint16_t)(site * 3)}, old);
}

/* Packed, without its lowest three bits. */
static bool is_birth(uint32_t birth, uint32_t site)
{
    return birth == (uint16_t)(site * 3) || birth == ((uint16_t)(site * 3) & ~7u);
}

static bool removes(uintptr_t address, uint64_t size, uint32_t site)
{
    struct live_block block = {0};
    return live_remove(address, &block) && block.size == size && block.site == site && is_birth(block.birth, site);
}

/* A block as the file shows it. */
struct shown {
    uint64_t address, size;
    uint32_t site, birth;
};

static bool show_packed(const struct ht_pack *pack, unsigned entry, struct shown *shown)
{
    uint32_t word = pack->word[entry], site = word & 0xfffff, place = pack->place[entry];
    if (!site || !place)
        return false;
    *shown = (struct shown){(place >> 13 << 8 | pack->low[entry]) * 8, word >> 20, site, ((place & 0x1fff) - 1) << 3};
    return true;
}

static bool show_wide(const struct ht_line *line, unsigned entry, struct shown *shown)
{
    if (entry >= HT_LINE_ENTRIES || HT_TAG_STATE(line->tag[entry]) != HT_TAG_LIVE)
        return false;
    bool high = entry == 0 && HT_TAG_STATE(line->tag[1]) == HT_TAG_HIGH;
    *shown = (struct shown){HT_TAG_OFFSET(line->tag[entry]),
                            line->size[entry] | (high ? (uint64_t)line->size[1] << 32 : 0), line->site[entry],
                            line->birth[entry]};
    return true;
}

/* Reads the file as a reader would: no index, no links. Returns how many blocks there are. */
static uint32_t show(struct shown *shown, uint32_t max)
{
    uint32_t count = 0;
    for (uint32_t id = 1; id < section[HT_LINES].file->used; id++) {
        const struct ht_line *line = SECTION_RECORD(const struct ht_line, HT_LINES, id);
        uint64_t region = line->region_lo | (uint64_t)line->region_hi << 32;
        for (unsigned entry = 0; entry < 8; entry++) {
            struct shown one;
            if (!(line->kind ? show_packed(live_pack(id), entry, &one) : show_wide(line, entry, &one)))
                continue;
            one.address |= region << HT_REGION_SHIFT;
            ck_assert_uint_lt(count, max);
            shown[count++] = one;
        }
    }
    return count;
}

START_TEST(puts_in_and_takes_out)
{
    struct live_block old;
    begin(1024);
    ck_assert(!live_contains(BASE));
    ck_assert(!live_remove(BASE, &old));
    ck_assert_int_eq(insert(BASE, 100, 7, &old), INSERTED);
    ck_assert(live_contains(BASE));
    ck_assert(!live_contains(BASE + 1));
    ck_assert(!live_contains(BASE + 512));
    ck_assert(removes(BASE, 100, 7));
    ck_assert(!live_contains(BASE));
    ck_assert(!live_remove(BASE, &old));
}
END_TEST

START_TEST(every_offset_and_odd_addresses)
{
    struct live_block old;
    struct shown shown[1024];
    begin(1024);
    for (uint32_t i = 0; i < 600; i++) /* one byte apart, over the end of a region */
        ck_assert_int_eq(insert(BASE + i, i, i + 1, &old), INSERTED);
    ck_assert_uint_eq(show(shown, 1024), 600);
    for (uint32_t i = 0; i < 600; i++) {
        ck_assert_uint_eq(shown[i].address, BASE + shown[i].size);
        ck_assert_uint_eq(shown[i].site, shown[i].size + 1);
        ck_assert(is_birth(shown[i].birth, shown[i].site));
    }
    for (uint32_t i = 0; i < 600; i++)
        ck_assert(removes(BASE + i, i, i + 1));
    ck_assert_uint_eq(show(shown, 1024), 0);
}
END_TEST

START_TEST(addresses_from_end_to_end)
{
    struct live_block old;
    struct shown shown[100];
    begin(1024);
    for (unsigned bit = 0; bit < 48; bit++)
        ck_assert_int_eq(insert((uintptr_t)1 << bit, bit, bit + 1, &old), INSERTED);
    ck_assert_int_eq(insert(((uintptr_t)1 << 48) - 1, 48, 49, &old), INSERTED);
    ck_assert_uint_eq(show(shown, 100), 49);
    /* Beyond 48 bits there is no place; nothing else is touched. */
    for (unsigned bit = 48; bit < 64; bit++) {
        ck_assert_int_eq(insert((uintptr_t)1 << bit | 1, 1, 1, &old), FULL);
        ck_assert(!live_contains((uintptr_t)1 << bit | 1));
        ck_assert(!live_remove((uintptr_t)1 << bit | 1, &old));
    }
    for (unsigned bit = 0; bit < 48; bit++)
        ck_assert(removes((uintptr_t)1 << bit, bit, bit + 1));
    ck_assert_uint_eq(show(shown, 100), 1);
    ck_assert_uint_eq(shown[0].address, ((uintptr_t)1 << 48) - 1);
}
END_TEST

START_TEST(an_address_that_comes_again)
{
    struct live_block old;
    struct shown shown[4];
    static const uint64_t sizes[] = {10, 3 * GIB4 + 5, 7 * GIB4, 20};
    begin(1024);
    ck_assert_int_eq(insert(BASE + 64, sizes[0], 1, &old), INSERTED);
    for (uint32_t i = 1; i < 4; i++) {
        ck_assert_int_eq(insert(BASE + 64, sizes[i], i + 1, &old), REPLACED);
        ck_assert_uint_eq(old.size, sizes[i - 1]);
        ck_assert_uint_eq(old.site, i);
        ck_assert(is_birth(old.birth, i));
        ck_assert_uint_eq(show(shown, 4), 1);
        ck_assert_uint_eq(shown[0].size, sizes[i]);
    }
    ck_assert(removes(BASE + 64, 20, 4));
    ck_assert(!live_contains(BASE + 64));
}
END_TEST

START_TEST(blocks_of_four_gib_and_more)
{
    struct live_block old;
    struct shown shown[4];
    begin(1024);
    for (uint32_t round = 0; round < 500; round++) { /* lines are used again */
        ck_assert_int_eq(insert(BASE, GIB4 * (round + 1) + round, 1, &old), INSERTED);
        ck_assert_int_eq(insert(BASE + 16, GIB4 - 1, 2, &old), INSERTED);
        ck_assert_int_eq(insert(BASE + 32, GIB4, 3, &old), INSERTED);
        ck_assert_uint_eq(show(shown, 4), 3);
        ck_assert_often(removes(BASE, GIB4 * (round + 1) + round, 1));
        ck_assert_int_eq(insert(BASE, 5, 4, &old), INSERTED);
        ck_assert_often(removes(BASE + 16, GIB4 - 1, 2));
        ck_assert_often(removes(BASE, 5, 4));
        ck_assert_often(removes(BASE + 32, GIB4, 3));
    }
    ck_assert_often(section[HT_LINES].file->used <= 64);
}
END_TEST

START_TEST(full)
{
    struct live_block old;
    uint32_t count = 0;
    static struct shown shown[1024];
    begin(128);
    while (insert(BASE + 512 * count, count % 500, count + 1, &old) == INSERTED)
        count++;
    ck_assert_uint_eq(count, 127 * HT_PACK_ENTRIES); /* line 0 holds nothing */
    ck_assert_uint_eq(section[HT_LINES].file->full, 1);
    ck_assert_int_eq(insert(BASE + 8, 1, 2, &old), FULL);
    ck_assert_uint_eq(old.site, 0);
    ck_assert_int_eq(insert(BASE + 512, 50, 60, &old), REPLACED); /* needs no room */
    ck_assert_uint_eq(old.size, 1);
    ck_assert_int_eq(insert(BASE + 512, GIB4, 9, &old), FULL); /* the old block is no more all the same */
    ck_assert_uint_eq(old.size, 50);
    ck_assert(!live_contains(BASE + 512));
    ck_assert_uint_eq(show(shown, 1024), count - 1);
}
END_TEST

START_TEST(the_filesystem_is_full)
{
    struct live_block old;
    uint32_t count = 0;
    begin(4096);
    stage_table(HT_LINES, sizeof(struct ht_line), 16384, 4096, 40960);
    ck_assert(live_init(4096));
    while (insert(BASE + 512 * count, count % 500, count + 1, &old) == INSERTED)
        count++;
    ck_assert_uint_eq(count, 639 * HT_PACK_ENTRIES);
    while (count--)
        ck_assert(removes(BASE + 512 * count, count % 500, count + 1));
}
END_TEST

/* Blocks side by side, as an allocator hands them out: the lines they take, and that each is found again. */
START_TEST(blocks_side_by_side)
{
    static const struct {
        uint32_t size, chunk, lines_max; /* lines for a thousand blocks */
    } cases[] = {{24, 32, 130},   {40, 48, 140},   {64, 80, 135},   {88, 96, 140},     {104, 112, 140},
                 {200, 208, 140}, {256, 272, 140}, {400, 416, 140}, {440, 448, 140},   {500, 512, 140},
                 {512, 528, 140}, {600, 608, 150}, {800, 816, 150}, {1024, 1040, 140}, {4096, 4112, 350}};
    struct live_block old;
    static struct shown shown[1001];
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        begin(4096);
        for (uint32_t n = 0; n < 1000; n++)
            ck_assert_int_eq(insert(BASE + 16 + (uintptr_t)n * cases[i].chunk, cases[i].size, n + 1, &old), INSERTED);
        ck_assert_uint_eq(show(shown, 1001), 1000);
        uint32_t lines = 0;
        for (uint32_t id = 1; id < 4096; id++)
            lines += live_pack(id)->word[0] != 0;
        ck_assert_msg(lines <= cases[i].lines_max, "%u bytes: %u lines", cases[i].size, lines);
        for (uint32_t n = 0; n < 1000; n++)
            ck_assert(removes(BASE + 16 + (uintptr_t)n * cases[i].chunk, cases[i].size, n + 1));
    }
}
END_TEST

/* A free was missed, and the address comes again with a block of another size, which is looked for elsewhere. */
START_TEST(sizes_change_sides)
{
    static const uint64_t sizes[] = {100, 5000, 512, 513, GIB4, 1};
    struct live_block old;
    struct shown shown[8];
    begin(1024);
    for (uint32_t neighbour = 0; neighbour < 3; neighbour++) /* not alone in its region */
        insert(BASE + 1024 + neighbour * 600, neighbour * 600, 100, &old);
    for (uint32_t i = 0; i < ARRAY_LEN(sizes); i++) {
        ck_assert_int_eq(insert(BASE + 32, sizes[i], i + 1, &old), i ? REPLACED : INSERTED);
        ck_assert(!i || old.size == sizes[i - 1]);
        ck_assert_uint_eq(show(shown, 8), 4);
    }
    ck_assert(removes(BASE + 32, 1, ARRAY_LEN(sizes)));
}
END_TEST

START_TEST(no_memory)
{
    struct live_block old;
    stage_tables(1024);
    stage_refuse(SYS_mmap, 0, ENOMEM, 0);
    ck_assert(!live_init(1024));
    stage_allow();
    begin(1024);
    stage_refuse(SYS_mmap, 0, ENOMEM, 0);
    ck_assert_int_eq(insert(BASE, 1, 1, &old), FULL);
    ck_assert(!live_contains(BASE));
    stage_allow();
    ck_assert_int_eq(insert(BASE, 1, 1, &old), INSERTED);
}
END_TEST

/* Blocks in new parts of the address space, when no system call may be made any more. */
START_TEST(frozen)
{
    struct live_block old;
    unsigned inserted = 0;
    begin(1024);
    live_reserve();
    live_reserve(); /* once more is no more */
    ck_assert_int_eq(insert(BASE, 1, 1, &old), INSERTED);
    sys_freeze();
    unsigned calls = stage_calls(SYS_mmap);
    while (insert((uintptr_t)1 << (LIVE_HEADS_SHIFT + inserted), 1, 1, &old) == INSERTED)
        inserted++;
    ck_assert_uint_eq(inserted, 4);
    ck_assert_uint_eq(stage_calls(SYS_mmap), calls);
    sys_thaw();
    ck_assert_int_eq(insert((uintptr_t)1 << (LIVE_HEADS_SHIFT + inserted), 1, 1, &old), INSERTED);
    for (unsigned i = 0; i <= inserted; i++)
        ck_assert(removes((uintptr_t)1 << (LIVE_HEADS_SHIFT + i), 1, 1));
}
END_TEST

/* The plain table: by (address - BASE) / 4. */
#define CELLS 4096
struct plain {
    uint64_t size;
    uint32_t site; /* 0: not there */
};

/* Inserts and removes at random below `cells`; what comes back must be what the plain table says. */
static void compare_with(struct plain *plain, uintptr_t base, uint32_t cells, uint32_t stride, uint32_t large_of_1000,
                         uint32_t rounds, uint32_t seed, struct thread *thread)
{
    for (uint32_t round = 1; round <= rounds; round++) {
        uint32_t at = stage_random(&seed) % cells, choice = stage_random(&seed);
        struct live_block block = {0}, old = {0};
        if (choice % 64 < 30) {
            uint64_t size = choice % 1000 == 0              ? GIB4 + choice
                            : choice % 1000 > large_of_1000 ? choice % LIVE_LARGE
                            : choice & 1 ? choice / 2 % 4200 /* packed, nearly all of them, by page */
                                         : choice;
            block = (struct live_block){size, round, (uint16_t)(round % 50000)}; /* no birth is later */
            enum result result = put(thread, base + (uintptr_t)at * stride, &block, &old);
            ck_assert_often(result == (plain[at].site ? REPLACED : INSERTED));
            plain[at] = (struct plain){block.size, round};
        } else {
            bool found = live_remove(base + (uintptr_t)at * stride, &block);
            ck_assert_often(found == (plain[at].site != 0));
            ck_assert_often(!found || (block.size == plain[at].size && block.site == plain[at].site));
            plain[at].site = 0;
        }
    }
}

static void long_run(uint32_t stride, uint32_t large_of_1000)
{
    static struct plain plain[CELLS];
    static struct shown shown[CELLS];
    uint32_t expected = 0;
    memset(plain, 0, sizeof plain);
    begin(8192);
    compare_with(plain, BASE, CELLS, stride, large_of_1000, 100000, 1, t);
    uint32_t count = show(shown, CELLS);
    for (uint32_t i = 0; i < CELLS; i++)
        expected += plain[i].site != 0;
    ck_assert_uint_eq(count, expected);
    for (uint32_t i = 0; i < count; i++) {
        const struct plain *at = &plain[(shown[i].address - BASE) / stride];
        ck_assert(at->site == shown[i].site && at->size == shown[i].size);
    }
}

START_TEST(a_long_run_at_random)
{
    long_run(4, 1000); /* large ones, more than there is room for in an address space */
    long_run(4, 0);
    long_run(48, 0); /* small ones as they are */
    long_run(48, 50);
    long_run(144, 300);
}
END_TEST

#define THREADS 6u

/* Threads share each region: every THREADS-th address is a thread's own. */
static void come_and_go(unsigned i)
{
    static struct plain plain[THREADS][256];
    struct thread *own = stage_thread(0);
    compare_with(plain[i], BASE + i * 4, 256, THREADS * 4, i % 3 * 500, 20000, i + 1, own);
    for (uint32_t at = 0; at < 256; at++) {
        struct live_block block;
        if (plain[i][at].site)
            ck_assert(live_remove(BASE + i * 4 + (uintptr_t)at * THREADS * 4, &block));
    }
    free(own);
}

START_TEST(threads_in_the_same_regions)
{
    static struct shown shown[1];
    begin(16384);
    stage_crowd(THREADS, come_and_go);
    ck_assert_uint_eq(show(shown, 1), 0);
    /* At most 128 blocks a region; a few lines more where threads found no room at the same instant. */
    ck_assert_uint_le(section[HT_LINES].file->used, 13 * 128 * 2);
}
END_TEST

/* A block goes from thread to thread: put in by one, taken out by the next. */
static uintptr_t passed[1024];
static uint32_t pass_count, taken;

static void pass_on(unsigned i)
{
    struct thread *own = stage_thread(0);
    struct live_block old, block;
    for (uint32_t n = 0; n < 1024; n++) {
        if (i == 0) {
            block = (struct live_block){n, n + 1, 0};
            ck_assert_int_eq(put(own, BASE + n * 16, &block, &old), INSERTED);
            passed[n] = BASE + n * 16;
            word_publish(&pass_count, n + 1);
        } else {
            while (word_acquire(&pass_count) <= n)
                sched_yield();
            ck_assert_often(live_remove(passed[n], &block) && block.size == n && block.site == n + 1);
            word_add(&taken, 1);
        }
    }
    free(own);
}

START_TEST(freed_by_another_thread)
{
    begin(4096);
    stage_crowd(2, pass_on);
    ck_assert_uint_eq(taken, 1024);
}
END_TEST

/* Another thread is in the middle of taking out a block of the same line that lies 2 KiB further on: what is left of its address there is like ours. */
START_TEST(a_neighbour_that_is_being_emptied)
{
    struct live_block old;
    begin(1024);
    insert(BASE + 2048, 16, 7, &old);
    insert(BASE, 24, 8, &old);
    struct ht_pack *pack = live_pack(1);
    ck_assert_uint_eq(HT_PACK_SITE(pack->word[0]), 7);
    ck_assert_uint_eq(HT_PACK_SITE(pack->word[1]), 8);
    ck_assert_uint_eq(pack->low[0], pack->low[1]);
    pack->place[0] = 0;
    ck_assert(removes(BASE, 24, 8));
    ck_assert_uint_eq(HT_PACK_SITE(pack->word[0]), 7);
}
END_TEST

/* A hook was left between any two stores: where its thread's lines end, and which it began last, is not believed any more (thread.c, forget). */
START_TEST(a_run_that_is_given_up)
{
    begin(100000);
    struct thread *other = stage_thread(0);
    struct live_block old;
    for (uint32_t i = 0; !t->line_end || t->line_next != t->line_end; i++)
        insert(BASE + 0x100000 * i, 16, 1, &old);
    put(other, BASE + 0x70000000, &(struct live_block){16, 7, 21}, &old); /* its run follows */
    t->line_next = t->line_end = t->line_begun = 0;
    insert(BASE + 0x78000000, 16, 9, &old);
    ck_assert(live_contains(BASE + 0x70000000));
    ck_assert(removes(BASE + 0x70000000, 16, 7));
    ck_assert(removes(BASE + 0x78000000, 16, 9));
}
END_TEST

SUITE("live", a_run_that_is_given_up, puts_in_and_takes_out, every_offset_and_odd_addresses, addresses_from_end_to_end,
      an_address_that_comes_again, blocks_of_four_gib_and_more, full, the_filesystem_is_full, blocks_side_by_side,
      sizes_change_sides, a_neighbour_that_is_being_emptied, no_memory, frozen, a_long_run_at_random,
      threads_in_the_same_regions, freed_by_another_thread)
