/* libc's own functions, in a program that has one of the same name. The oracle is dlsym on libc's handle. */
#include "suite.h"

#include <shim/loader.h>
#include <dlfcn.h>

static unsigned ours;

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* whose runtimes call it before dlsym works */
int dl_iterate_phdr(int (*visit)(struct dl_phdr_info *, size_t, void *), void *argument)
{
    int (*next)(int (*)(struct dl_phdr_info *, size_t, void *), void *);
    ours++;
    *(void **)&next = dlsym(RTLD_NEXT, "dl_iterate_phdr");
    return next(visit, argument);
}
#endif

static void *libc_symbol(const char *name)
{
    void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    ck_assert_ptr_nonnull(libc);
    return dlsym(libc, name);
}

START_TEST(names_of_libc)
{
    ck_assert_ptr_eq(loader_libc("dl_iterate_phdr"), libc_symbol("dl_iterate_phdr"));
    ck_assert_ptr_eq(loader_libc("clock_gettime"), libc_symbol("clock_gettime"));
    ck_assert_ptr_null(loader_libc("no_such_function_anywhere"));
    ck_assert_ptr_null(loader_libc("cos")); /* there, but not libc's */
}
END_TEST

struct list {
    uintptr_t bias[100];
    unsigned count;
};

static int note(struct dl_phdr_info *info, size_t size, void *argument)
{
    struct list *list = argument;
    (void)size;
    list->bias[list->count++] = info->dlpi_addr;
    return list->count == ARRAY_LEN(list->bias) ? 7 : 0;
}

START_TEST(its_list)
{
    struct list list = {0}, expected = {0};
    int (*walk)(int (*)(struct dl_phdr_info *, size_t, void *), void *);
    *(void **)&walk = libc_symbol("dl_iterate_phdr");
    ck_assert_int_eq(walk(note, &expected), 0);
    ck_assert_uint_gt(expected.count, 2);
    ck_assert_int_eq(loader_walk(note, &list), 0);
    ck_assert_mem_eq(&list, &expected, sizeof list);
    list.count = ARRAY_LEN(list.bias) - 1;
    ck_assert_int_eq(loader_walk(note, &list), 7);
    ck_assert_uint_eq(ours, 0);
}
END_TEST

SUITE("loader", names_of_libc, its_list)
