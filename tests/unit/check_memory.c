/* The shim's own memory: zero, apart, empty in a fork child, and no piece is handed out twice, however long there has been none. */
#include "stage.h"

#include <shim/addresses.h>
#include <shim/memory.h>
#include <shim/sys.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_zero(const char *at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (at[i])
            return false;
    return true;
}

START_TEST(mappings_are_zero_and_counted)
{
    char *a = memory_map(100000), *b = memory_map(4096);
    ck_assert(a && b && is_zero(a, 100000) && is_zero(b, 4096));
    memset(a, 1, 100000);
    ck_assert(is_zero(b, 4096));
    ck_assert_uint_eq(memory_bytes(), 104096);
    memory_unmap(b, 4096);
    ck_assert_uint_eq(memory_bytes(), 100000);
}
END_TEST

START_TEST(refused_mappings)
{
    ck_assert_ptr_nonnull(memory_map(4096));
    stage_refuse(SYS_mmap, 0, ENOMEM, 0);
    ck_assert_ptr_null(memory_map(4096));
    ck_assert_ptr_null(memory_piece(64));
    stage_allow();
    ck_assert_ptr_nonnull(memory_piece(64));
    ck_assert_uint_eq(memory_bytes(), 4096 + (256 << 10));
}
END_TEST

START_TEST(mappings_of_what_was_set_aside)
{
    struct memory_range range;
    char *before = memory_map(8192);
    ck_assert(memory_next(0, &range) && range.start == (uintptr_t)before && range.end == range.start + 8192);
    ck_assert(!memory_next(range.end, &range));
    memory_set_aside();
    mlockall(MCL_FUTURE); /* if that is allowed here */
    char *a = memory_map(100000), *b = memory_map(4096);
    ck_assert(a && b && is_zero(b, 4096));
    unsigned char there[25];
    ck_assert_int_eq(mincore(a, 100000, there), 0);
    for (size_t i = 0; i < sizeof there; i++)
        ck_assert_int_eq(there[i] & 1, 0); /* the kernel would have populated a new one */
    memset(a, 1, 100000);
    unsigned all = 0;
    for (uintptr_t at = 0; memory_next(at, &range); at = range.end)
        all |= (range.start <= (uintptr_t)a && range.end >= (uintptr_t)a + 100000) |
               (range.start <= (uintptr_t)b && range.end >= (uintptr_t)b + 4096) << 1;
    ck_assert_uint_eq(all, 3);
    while (memory_map(64 << 20)) {
    }
    ck_assert_ptr_null(memory_map(64 << 20)); /* nor is any made in its place */
    munlockall();
}
END_TEST

static char *piece[6000];
static uint32_t piece_count;

static void take_pieces(unsigned i)
{
    uint32_t random = i + 1;
    for (int n = 0; n < 1000; n++) {
        size_t bytes = stage_random(&random) % 2000 + 1;
        char *at = memory_piece(bytes);
        ck_assert(at && !((uintptr_t)at & 63) && is_zero(at, bytes));
        memset(at, 0x5a, bytes); /* the next one who gets any of this finds it not zero */
        piece[word_add(&piece_count, 1)] = at;
    }
}

static bool is_mapped(const char *at)
{
    unsigned char in;
    return mincore((void *)((uintptr_t)at & ~(uintptr_t)4095), 1, &in) == 0;
}

/* The first range that is listed is from here to there. */
static bool is_listed(const char *from, const char *end)
{
    struct memory_range range;
    return memory_next(0, &range) && range.start == (uintptr_t)from && range.end == (uintptr_t)end;
}

static struct sys_signals signals;

/* As another thread does, as late as can be. */
static void list_meanwhile(long n)
{
    struct memory_range range;
    if (n != SYS_munmap)
        return;
    stage_before = NULL;
    ck_assert(memory_next(0, &range));
    ck_assert_uint_eq(range.end - range.start, HT_SECTION_ALIGN);
}

START_TEST(the_end_of_a_mapping_is_given_back)
{
    char *a = memory_map(1 << 20);
    ck_assert_ptr_nonnull(a);
    memset(a, 1, 1 << 20);
    addresses_hold(&signals);
    ck_assert(!memory_cut(a, 1000, true));
    ck_assert(is_listed(a, a + (1 << 20)) && is_mapped(a + (1 << 20) - 1));
    addresses_let_go(&signals);
    stage_before = list_meanwhile;
    ck_assert(memory_cut(a, 1000, true));
    ck_assert_ptr_null(stage_before);
    ck_assert(is_listed(a, a + HT_SECTION_ALIGN) && a[HT_SECTION_ALIGN - 1] == 1 && !is_mapped(a + HT_SECTION_ALIGN));
    ck_assert_uint_eq(memory_bytes(), HT_SECTION_ALIGN);
    ck_assert(!memory_cut(a, HT_SECTION_ALIGN, true) && !memory_cut(a + 4096, 0, true) &&
              !memory_cut(a, 1 << 20, true));
    ck_assert(memory_keep()); /* nobody else's memory is kept in a fork child, or emptied there */
    char *other = mmap(a + HT_SECTION_ALIGN, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                       0);
    memory_keep_end();
    *other = 1;
    pid_t child = fork();
    if (!child)
        _exit(*other != 1 || *a);
    int status = -1;
    ck_assert(waitpid(child, &status, 0) == child && status == 0);
}
END_TEST

START_TEST(what_was_set_aside_is_given_back)
{
    struct memory_range range;
    memory_cut_aside(0, true);
    memory_set_aside();
    char *a = memory_map(1 << 20);
    ck_assert(a && memory_next(0, &range) && range.end - range.start > 1 << 24);
    uintptr_t end = range.end;
    ck_assert(!memory_cut(a, 0, true)); /* it is one range, without holes */
    addresses_hold(&signals);
    memory_cut_aside(1 << 20, true);
    ck_assert(memory_next(0, &range) && range.end == end && is_mapped((char *)end - 1));
    addresses_let_go(&signals);
    memory_cut_aside(1 << 20, true);
    ck_assert(memory_next(0, &range) && range.end == (uintptr_t)a + (2 << 20) && !is_mapped((char *)range.end));
    char *b = memory_map(1 << 19), *c = memory_map(1 << 19);
    ck_assert(b == a + (1 << 20) && c == b + (1 << 19) && is_zero(b, 1 << 20));
    ck_assert_ptr_null(memory_map(4096));
    memory_cut_aside(0, true);
    ck_assert(is_mapped(c + (1 << 19) - 1));
}
END_TEST

START_TEST(pieces_do_not_overlap)
{
    char *large = memory_piece(64 << 10);
    ck_assert(is_zero(large, 64 << 10));
    stage_crowd(6, take_pieces);
}
END_TEST

START_TEST(no_memory_for_long)
{
    char *first = memory_piece(64 << 10);
    memset(first, 0x5a, 64 << 10);
    stage_refuse(SYS_mmap, 0, ENOMEM, 0);
    for (uint32_t i = 0; i < 200000; i++) { /* 12 GiB of pieces: more than 32 bits count */
        char *at = memory_piece(64 << 10);
        ck_assert_msg(!at || is_zero(at, 64 << 10), "handed out twice");
        if (at)
            memset(at, 0x5a, 64 << 10);
    }
}
END_TEST

/* Runs in a fork child; its exit status is 0 if it is right. */
static bool in_child(bool (*check)(void))
{
    int status;
    pid_t child = fork();
    if (!child)
        _exit(!check());
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static char *mapped, *cut;

static bool all_is_empty(void)
{
    memory_wipe();
    char *again = memory_piece(100);
    return is_zero(mapped, 100000) && is_zero(cut, 100) && again && is_zero(again, 100);
}

static bool is_wiped_by_kernel(void)
{
    return is_zero(mapped, 100000) && is_zero(cut, 100);
}

static void use_memory(void)
{
    mapped = memory_map(100000);
    cut = memory_piece(100);
    memset(mapped, 1, 100000);
    memset(cut, 1, 100);
}

START_TEST(fork_empties_it)
{
    use_memory();
    ck_assert(memory_wiped_by_kernel());
    ck_assert(in_child(is_wiped_by_kernel));
    ck_assert(in_child(all_is_empty));
    ck_assert_int_eq(mapped[99999], 1); /* the parent's is as it was */
}
END_TEST

static char *late;
static uint32_t *mark;

static bool is_kept(void)
{
    return mapped[0] == 1 && mapped[99999] == 1 && cut[99] == 1 && late[4095] == 1 && !*mark && memory_kept();
}

static bool is_wiped_again(void)
{
    return is_zero(mapped, 100000) && is_zero(late, 4096) && !*mark && !memory_kept();
}

static bool is_kept_until_it_is_wiped(void)
{
    if (!is_kept())
        return false;
    memory_wipe();
    memset(mapped, 1, 100000);
    memset(late, 1, 4096);
    *mark = 1;
    return is_zero(cut, 100) && in_child(is_wiped_again);
}

START_TEST(fork_keeps_it)
{
    mark = memory_mark();
    *mark = 1;
    use_memory();
    ck_assert(memory_keep());
    ck_assert(memory_keep()); /* of another thread, or of a handler in the middle of the first */
    late = memory_map(4096);
    memset(late, 1, 4096);
    ck_assert(in_child(is_kept_until_it_is_wiped));
    memory_keep_end();
    ck_assert(in_child(is_kept));
    memory_keep_end();
    ck_assert(in_child(is_wiped_again));
    ck_assert(mapped[99999] == 1 && late[0] == 1 && *mark == 1);
}
END_TEST

static char *mapped_late[2][200];

static bool nothing(void)
{
    return true;
}

static void keep_or_map(unsigned i)
{
    for (int n = 0; n < 200; n++)
        if (i < 2) {
            mapped_late[i][n] = memory_map(4096);
        } else {
            bool kept = i < 4 && memory_keep();
            ck_assert_often(in_child(nothing)); /* the kernel lets nobody else change mappings meanwhile */
            if (kept)
                memory_keep_end();
        }
}

static bool all_late_is_wiped(void)
{
    bool wiped = true;
    for (int i = 0; i < 2; i++)
        for (int n = 0; n < 200; n++)
            wiped = wiped && is_zero(mapped_late[i][n], 4096);
    return wiped;
}

START_TEST(mapped_while_others_keep_it)
{
    use_memory();
    stage_crowd(6, keep_or_map);
    ck_assert(!memory_kept());
    for (int i = 0; i < 2; i++)
        for (int n = 0; n < 200; n++)
            memset(mapped_late[i][n], 1, 4096);
    ck_assert(in_child(all_late_is_wiped));
}
END_TEST

START_TEST(frozen_it_cannot_be_kept)
{
    use_memory();
    sys_freeze();
    ck_assert(!memory_keep());
    sys_thaw();
    ck_assert(memory_keep());
}
END_TEST

START_TEST(fork_empties_it_on_an_old_kernel)
{
    stage_refuse(SYS_madvise, 0, EINVAL, MADV_WIPEONFORK);
    use_memory();
    ck_assert(!memory_wiped_by_kernel());
    ck_assert(in_child(all_is_empty));
    ck_assert_int_eq(mapped[99999], 1);
}
END_TEST

START_TEST(what_would_outlive_a_fork_is_not_used)
{
    ck_assert_ptr_nonnull(memory_map(4096));
    stage_refuse(SYS_madvise, 1, ENOMEM, MADV_WIPEONFORK); /* too many mappings to split one */
    ck_assert_ptr_null(memory_map(4096));
    ck_assert(memory_wiped_by_kernel());
    ck_assert_uint_eq(memory_bytes(), 4096);
    use_memory();
    ck_assert(in_child(is_wiped_by_kernel));
}
END_TEST

/* As many generations as there are rows for mappings, and more. */
START_TEST(a_larger_table_takes_the_place_of_a_smaller_one)
{
    static uint32_t *table, rows;
    ck_assert(memory_make_rows(&table, &rows, 1000, sizeof *table));
    table[999] = 1;
    uint32_t *before = table;
    ck_assert(memory_make_rows(&table, &rows, 10, sizeof *table) && table == before && rows == 1000);
    for (uint32_t i = 1; i < 20000; i++) {
        uint32_t count = 60000 + i % 2 * 30000;
        ck_assert_often(memory_make_rows(&table, &rows, count, sizeof *table) && rows == count);
        ck_assert_often(!table[0] && !table[count - 1]);
        table[0] = table[count - 1] = 1;
        memory_cut_rows(table, &rows, 20000, sizeof *table, true);
        ck_assert_often(rows == 20000);
    }
    ck_assert_uint_lt(memory_bytes(), 60000 * sizeof *table);
    struct memory_range range;
    ck_assert(memory_next(0, &range) && range.start == (uintptr_t)table && !memory_next(range.end, &range));
    stage_refuse(SYS_mmap, 0, ENOMEM, 0);
    ck_assert(!memory_make_rows(&table, &rows, 60000, sizeof *table) && !table && !rows);
}
END_TEST

START_TEST(too_many_mappings)
{
    uint32_t count = 0;
    while (count < 20000 && memory_map(4096))
        count++;
    ck_assert_uint_lt(count, 20000); /* each has to be found again in a fork child */
    ck_assert_ptr_null(memory_map(4096));
    ck_assert_uint_eq(memory_bytes(), (size_t)count * 4096);
}
END_TEST

SUITE("memory", mappings_are_zero_and_counted, refused_mappings, mappings_of_what_was_set_aside,
      the_end_of_a_mapping_is_given_back, what_was_set_aside_is_given_back, pieces_do_not_overlap, no_memory_for_long,
      fork_empties_it, fork_keeps_it, mapped_while_others_keep_it, frozen_it_cannot_be_kept,
      fork_empties_it_on_an_old_kernel, what_would_outlive_a_fork_is_not_used,
      a_larger_table_takes_the_place_of_a_smaller_one, too_many_mappings)
