/* Symbols by our own lookup against dlsym: every name that the libraries here export, and small ones with either kind of hash table. */
#include "suite.h"

#include <shim/elf_lookup.h>
#include <common/text.h>
#include <dlfcn.h>

struct wanted {
    const char *path;
    struct elf_symbols symbols;
    bool found;
};

static int visit(struct dl_phdr_info *info, size_t size, void *argument)
{
    struct wanted *wanted = argument;
    (void)size;
    if (!strstr(info->dlpi_name, wanted->path))
        return 0;
    wanted->found = elf_symbols(elf_dynamic(info->dlpi_phdr, info->dlpi_phnum, info->dlpi_addr), info->dlpi_addr,
                                &wanted->symbols);
    wanted->path = info->dlpi_name;
    return 1;
}

/* The loaded object whose path has this in it. */
static struct wanted object(const char *part)
{
    struct wanted wanted = {.path = part};
    dl_iterate_phdr(visit, &wanted);
    ck_assert_msg(wanted.found, "%s: not found", part);
    return wanted;
}

static void *look(const struct wanted *wanted, const char *name)
{
    return elf_lookup(&wanted->symbols, name, elf_gnu_hash(name));
}

static void *load(const char *path)
{
    void *handle = dlopen(path, RTLD_NOW);
    ck_assert_msg(handle, "%s", dlerror());
    return handle;
}

/* Every function that nm shows in a loaded library. Returns how many. */
static unsigned compare_with_dlsym(const char *part)
{
    struct wanted wanted = object(part);
    char command[512], line[512], name[256], type;
    unsigned count = 0, wrong = 0;
    void *handle = load(wanted.path);
    snprintf(command, sizeof command, "nm -D --defined-only '%s'", wanted.path);
    FILE *nm = popen(command, "r");
    ck_assert_ptr_nonnull(nm);
    while (fgets(line, sizeof line, nm)) {
        if (sscanf(line, "%*x %c %255s", &type, name) != 2 || !strchr("TWi", type))
            continue;
        char *version = strchr(name, '@');
        bool is_default = !version || version[1] == '@';
        if (version)
            *version = 0;
        void *expected = dlsym(handle, name), *got = look(&wanted, name);
        if (is_default ? got != expected : !got) {
            printf("%s: %s: %p instead of %p\n", part, name, got, expected);
            wrong++;
        }
        count++;
    }
    pclose(nm);
    ck_assert_uint_eq(wrong, 0);
    return count;
}

START_TEST(every_name_of_libc)
{
    ck_assert_uint_gt(compare_with_dlsym("/libc.so"), 2000);
}
END_TEST

START_TEST(every_name_of_the_math_library)
{
    load("libm.so.6");
    ck_assert_uint_gt(compare_with_dlsym("/libm.so"), 500); /* most of them are chosen at run time */
}
END_TEST

START_TEST(names_that_are_not_there)
{
    static const char *const names[] = {
        "",     "mallo", "mallocc", "no_such_function_anywhere", "sample_hidden", "environ" /* data */, "sample_data",
        "errno" /* of each thread */};
    struct wanted libc = object("/libc.so");
    load(SAMPLE_GNU);
    load(SAMPLE_SYSV);
    struct wanted gnu = object(SAMPLE_GNU), sysv = object(SAMPLE_SYSV);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        ck_assert_ptr_null(look(&libc, names[i]));
        ck_assert_ptr_null(look(&gnu, names[i]));
        ck_assert_ptr_null(look(&sysv, names[i]));
    }
}
END_TEST

static void check_sample(const char *path)
{
    static const char *const names[] = {"sample_plain", "sample_chosen", "sample_twice"};
    void *handle = load(path);
    struct wanted sample = object(path);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        ck_assert_ptr_eq(look(&sample, names[i]), dlsym(handle, names[i]));
    ck_assert_ptr_ne(look(&sample, "sample_twice"), dlvsym(handle, "sample_twice", "SAMPLE_1"));
    ck_assert_ptr_eq(look(&sample, "sample_once"), dlvsym(handle, "sample_once", "SAMPLE_1")); /* better than nothing */
}

START_TEST(a_library_with_a_gnu_hash)
{
    check_sample(SAMPLE_GNU);
    ck_assert_ptr_null(object(SAMPLE_GNU).symbols.sysv_hash);
}
END_TEST

START_TEST(a_library_with_a_sysv_hash)
{
    check_sample(SAMPLE_SYSV);
    ck_assert_ptr_null(object(SAMPLE_SYSV).symbols.gnu_hash);
}
END_TEST

START_TEST(no_dynamic_section)
{
    struct elf_symbols symbols;
    const ElfW(Phdr) headers[] = {{.p_type = PT_LOAD, .p_memsz = 100}};
    ck_assert_ptr_null(elf_dynamic(headers, 1, 0));
    ck_assert_ptr_null(elf_dynamic(headers, 0, 0));
    ck_assert(!elf_symbols(NULL, 0, &symbols));
}
END_TEST

START_TEST(hash_of_the_gnu_table)
{
    ck_assert_uint_eq(elf_gnu_hash(""), 5381);
    ck_assert_uint_eq(elf_gnu_hash("printf"), 0x156b2bb8); /* as the gABI's description of the table has it */
    ck_assert_uint_eq(elf_gnu_hash("\xff"), 5381 * 33 + 255);
}
END_TEST

SUITE("elf_lookup", every_name_of_libc, every_name_of_the_math_library, names_that_are_not_there,
      a_library_with_a_gnu_hash, a_library_with_a_sysv_hash, no_dynamic_section, hash_of_the_gnu_table)
