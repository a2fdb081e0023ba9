/* The shim's own memory: zero, apart, empty in a fork child, and no piece is handed out twice, however long there has been none. */
#include "stage.h"

#include <shim/memory.h>
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

SUITE("memory", mappings_are_zero_and_counted, refused_mappings, pieces_do_not_overlap, no_memory_for_long,
      fork_empties_it, fork_empties_it_on_an_old_kernel, what_would_outlive_a_fork_is_not_used, too_many_mappings)
