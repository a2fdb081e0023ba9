/* The functions below: those that dlsym(RTLD_NEXT) finds; stand-ins that do what the name says, for names that nothing defines. */
#include "suite.h"

#include <shim/real.h>
#include <shim/sys.h>
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>

START_TEST(the_first_call_looks_everything_up)
{
    void *p = real.malloc(100);
    ck_assert_ptr_nonnull(p);
    memset(p, 1, 100);
    real.free(p);
    ck_assert_ptr_eq((void *)(uintptr_t)real.calloc, dlsym(RTLD_NEXT, "calloc"));
}
END_TEST

START_TEST(what_dlsym_finds)
{
    unsigned count = 0;
    real_init();
#define COMPARE(result, name, parameters, arguments)                                                                   \
    if (dlsym(RTLD_NEXT, #name)) {                                                                                     \
        ck_assert_ptr_eq((void *)(uintptr_t)real.name, dlsym(RTLD_NEXT, #name));                                       \
        count++;                                                                                                       \
    }                                                                                                                  \
    ck_assert(real.name != NULL);
    REAL_LIST(COMPARE)
    ck_assert_uint_ge(count, 15);
}
END_TEST

START_TEST(what_the_lookup_learnt)
{
    Dl_info info;
    real_init();
    ck_assert((uintptr_t)&real - real_facts.shim_start < real_facts.shim_end - real_facts.shim_start);
    ck_assert_uint_eq(real_facts.loader_start, getauxval(AT_BASE));
    ck_assert_uint_gt(real_facts.loader_bytes, 0);
    ck_assert(!real_facts.malloc_elsewhere);
    ck_assert_int_ne(dladdr(dlsym(RTLD_NEXT, "malloc"), &info), 0);
    ck_assert_str_eq(real_facts.malloc_owner, info.dli_fname);
    ck_assert(!real_facts.loader_is_libc);
}
END_TEST

START_TEST(single_names)
{
    uintptr_t owner = 0;
    Dl_info info;
    void *found = real_lookup("qsort", &owner);
    ck_assert_ptr_eq(found, dlsym(RTLD_NEXT, "qsort"));
    ck_assert_int_ne(dladdr(found, &info), 0);
    ck_assert_uint_eq(owner, (uintptr_t)info.dli_fbase);
    ck_assert_ptr_null(real_lookup("no_such_function_anywhere", NULL));
    ck_assert_ptr_null(real_lookup("main", NULL)); /* comes before, not after */
}
END_TEST

static bool is_zero(const char *p, size_t bytes)
{
    while (bytes && !p[bytes - 1])
        bytes--;
    return !bytes;
}

START_TEST(stand_ins)
{
    real_init();
    for (int lg = 0; lg < 14; lg++) {
        char *p = real.je_mallocx(100, lg | 0x40);
        ck_assert(p && !((uintptr_t)p & (((uintptr_t)1 << lg) - 1)) && is_zero(p, 100));
        ck_assert_uint_ge(real.je_sallocx(p, 0), 100);
        real.je_dallocx(p, 0);
    }
    char *p = real._rjem_mallocx(10, 0);
    memcpy(p, "123456789", 10);
    p = real._rjem_rallocx(p, 10000, 0);
    ck_assert_str_eq(p, "123456789");
    real._rjem_sdallocx(p, 10000, 0);
    p = real.je_calloc(10, 10);
    ck_assert(is_zero(p, 100));
    real.je_free(real.je_realloc(p, 200));
    real.free_sized(real.malloc(10), 10);
    real.free_aligned_sized(real.aligned_alloc(64, 128), 64, 128);
    real.cfree(real.malloc(10));
    ck_assert_int_eq(real.je_posix_memalign((void **)&p, 256, 100), 0);
    ck_assert_uint_eq((uintptr_t)p & 255, 0);
    real.je_free(p);
}
END_TEST

START_TEST(errno_of_the_program)
{
    real_init();
    errno = 0;
    real_set_errno(17);
    ck_assert_int_eq(errno, 17);
}
END_TEST

START_TEST(clocks)
{
    struct timespec before, after;
    real_init();
    clock_gettime(CLOCK_REALTIME, &before);
    uint64_t wall = real_clock_wall();
    clock_gettime(CLOCK_REALTIME, &after);
    ck_assert_uint_ge(wall, (uint64_t)before.tv_sec * 1000000000u + (uint64_t)before.tv_nsec);
    ck_assert_uint_le(wall, (uint64_t)after.tv_sec * 1000000000u + (uint64_t)after.tv_nsec);
    clock_gettime(CLOCK_MONOTONIC_COARSE, &before);
    ck_assert_uint_ge(real_clock_coarse(), (uint64_t)before.tv_sec * 1000000000u + (uint64_t)before.tv_nsec);
}
END_TEST

SUITE("real", the_first_call_looks_everything_up, what_dlsym_finds, what_the_lookup_learnt, single_names, stand_ins,
      errno_of_the_program, clocks)
