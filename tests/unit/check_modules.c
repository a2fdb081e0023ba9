/*
 * The module list against the loader's own and against readelf; libraries that come and go keep their rows; a table that ends early, and rules that are busy,
 * lose what they say they lose and no more.
 */
#include "stage.h"

#include <shim/memory.h>
#include <shim/modules.h>
#include <shim/real.h>
#include <shim/rules.h>
#include <shim/session.h>
#include <shim/walks.h>
#include <dlfcn.h>
#include <link.h>

/* ---- What the module list asks ---- */

struct config config;
struct ht_header *session_header = &stage_header;
struct real_facts real_facts;
static unsigned forgotten;
static bool busy, taught_outside;

bool rules_try_lock(void)
{
    return !busy;
}

void rules_unlock(void)
{
}

void rules_forget(void)
{
    forgotten++;
}

bool rules_taught_outside(void)
{
    return taught_outside;
}

static bool walking, inside;
static unsigned readings;

bool walks_keep_out(void)
{
    ck_assert(!inside);
    inside = !walking;
    return inside;
}

void walks_let_in(void)
{
    ck_assert(inside);
    inside = false;
    readings++;
}

void walks_anew(void)
{
    inside = false;
}

/* ---- The tests ---- */

static void begin(uint32_t rows, uint64_t backed)
{
    stage_table(HT_MODULES, sizeof(struct ht_module), 4096, rows, backed);
    strcpy(config.exe, "/path/of/the program");
}

static struct ht_module *row_at(uint32_t i)
{
    return SECTION_RECORD(struct ht_module, HT_MODULES, i);
}

static bool refresh(void)
{
    modules_touch();
    return modules_refresh();
}

static struct ht_module *row_of(const void *address)
{
    const struct module *module = modules_find((uintptr_t)address);
    return module && module->row != HT_NO_MODULE ? row_at(module->row) : NULL;
}

static uint32_t rows_used(void)
{
    return section[HT_MODULES].file->used;
}

static void *load(const char *path)
{
    void *handle = dlopen(path, RTLD_NOW);
    ck_assert_msg(handle, "%s", dlerror());
    return handle;
}

static int compare(struct dl_phdr_info *info, size_t size, void *argument)
{
    unsigned *count = argument;
    (void)size;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_LOAD)
            continue;
        const char *start = (const char *)(info->dlpi_addr + header->p_vaddr);
        const struct ht_module *row = row_of(start);
        ck_assert_msg(row, "%s: not there", info->dlpi_name);
        ck_assert_ptr_eq(row_of(start + header->p_memsz - 1), row);
        ck_assert_uint_eq(row->bias, info->dlpi_addr);
        ck_assert_uint_eq(row->state, 1);
        if (*count && *info->dlpi_name == '/')
            ck_assert_str_eq(row->path, info->dlpi_name);
        bool found = !(header->p_flags & PF_X);
        for (uint32_t s = 0; s < row->segment_count; s++)
            found |= row->segment[s].start <= (uintptr_t)start && row->segment[s].end > (uintptr_t)start &&
                     (uintptr_t)start - row->segment[s].start + row->segment[s].file_offset == header->p_offset;
        ck_assert(found);
    }
    ++*count;
    return 0;
}

START_TEST(everything_that_is_loaded)
{
    unsigned count = 0;
    begin(100, 100 * sizeof(struct ht_module));
    ck_assert(refresh());
    dl_iterate_phdr(compare, &count);
    ck_assert_uint_eq(rows_used(), count);
    const struct ht_module *own = row_of((void *)(uintptr_t)refresh);
    ck_assert(own->flags & HT_MODULE_MAIN);
    ck_assert_str_eq(own->path, config.exe);
    ck_assert_ptr_null(modules_find(0));
    ck_assert_ptr_null(modules_find(UINTPTR_MAX));
    int on_stack;
    ck_assert_ptr_null(modules_find((uintptr_t)&on_stack));
}
END_TEST

START_TEST(build_ids_as_readelf_prints_them)
{
    unsigned compared = 0;
    begin(100, 100 * sizeof(struct ht_module));
    load(SAMPLE_GNU);
    ck_assert(refresh());
    for (uint32_t i = 0; i < rows_used(); i++) {
        char command[1200], expected[100] = "", got[100] = "";
        if (row_at(i)->path[0] != '/' || row_at(i)->flags & HT_MODULE_MAIN)
            continue;
        snprintf(command, sizeof command, "readelf -n '%s' 2>/dev/null", row_at(i)->path);
        FILE *readelf = popen(command, "r");
        char line[256];
        while (fgets(line, sizeof line, readelf))
            sscanf(line, " Build ID: %99s", expected);
        pclose(readelf);
        for (uint32_t n = 0; n < row_at(i)->build_id_bytes; n++)
            sprintf(got + 2 * n, "%02x", row_at(i)->build_id[n]);
        ck_assert_str_eq(got, expected);
        compared += *got != 0;
    }
    ck_assert_uint_ge(compared, 3);
}
END_TEST

START_TEST(nothing_is_read_when_nothing_changed)
{
    begin(100, 100 * sizeof(struct ht_module));
    ck_assert(refresh());
    uint32_t changes = stage_header.module_changes;
    ck_assert(modules_refresh());
    ck_assert(refresh()); /* the loader was seen to free, but not for this */
    modules_may_grow();   /* or to allocate: that waits until an address lies in no module */
    ck_assert(modules_dirty == MODULES_CURRENT && modules_may_have_grown());
    ck_assert(modules_refresh());
    ck_assert(!modules_may_have_grown());
    ck_assert_uint_eq(stage_header.module_changes, changes);
    ck_assert_uint_eq(modules_dirty, MODULES_CURRENT);
    real_facts.loader_is_libc = true; /* musl's list cannot be read in the middle of a walk */
    modules_may_grow();
    ck_assert_uint_eq(modules_dirty, MODULES_CHANGED);
}
END_TEST

START_TEST(a_library_that_comes_and_goes)
{
    begin(100, 100 * sizeof(struct ht_module));
    ck_assert(refresh());
    uint32_t rows = rows_used();
    for (uint32_t round = 1; round <= 50; round++) {
        void *handle = load(SAMPLE_GNU);
        const void *code = dlsym(handle, "sample_plain");
        ck_assert(refresh());
        struct ht_module *row = row_of(code);
        ck_assert_ptr_nonnull(row);
        ck_assert_str_eq(row->path, SAMPLE_GNU);
        ck_assert_uint_eq(row->state, 1);
        ck_assert_uint_eq(row->loads, round);
        ck_assert_uint_eq(forgotten, round - 1); /* what is new makes no rule wrong */
        dlclose(handle);
        ck_assert(refresh());
        ck_assert_ptr_null(modules_find((uintptr_t)code));
        ck_assert_uint_eq(row->state, 2);
        ck_assert_uint_eq(forgotten, round);
    }
    ck_assert_uint_eq(rows_used(), rows + 1);
}
END_TEST

START_TEST(rules_from_outside_any_module)
{
    begin(100, 100 * sizeof(struct ht_module));
    ck_assert(refresh());
    taught_outside = true;
    load(SAMPLE_GNU); /* perhaps where one of them was */
    ck_assert(refresh());
    ck_assert_uint_eq(forgotten, 1);
}
END_TEST

START_TEST(rules_that_are_busy)
{
    begin(100, 100 * sizeof(struct ht_module));
    ck_assert(refresh());
    uint32_t rows = rows_used();
    void *handle = load(SAMPLE_GNU);
    const void *code = dlsym(handle, "sample_plain");
    busy = true;
    for (int i = 0; i < 5; i++) {
        ck_assert(!refresh());
        ck_assert_ptr_null(modules_find((uintptr_t)code)); /* the old list stays in force */
    }
    busy = false;
    ck_assert(modules_refresh()); /* nobody has to say so again */
    ck_assert_ptr_nonnull(row_of(code));
    ck_assert_uint_eq(rows_used(), rows + 1);
}
END_TEST

START_TEST(a_table_that_is_too_small)
{
    begin(1, sizeof(struct ht_module));
    ck_assert(refresh());
    ck_assert_uint_eq(rows_used(), 1);
    ck_assert_uint_gt(stage_header.modules_lost.lo, 0);
    const struct module *libc = modules_find((uintptr_t)dlsym(RTLD_NEXT, "qsort"));
    ck_assert_ptr_nonnull(libc); /* it can be unwound through all the same */
    ck_assert_uint_eq(libc->row, HT_NO_MODULE);
}
END_TEST

START_TEST(a_filesystem_that_is_full)
{
    begin(100, 4096);
    for (int i = 0; i < 3; i++) {
        void *handle = load(SAMPLE_GNU); /* each looks through all rows that there are */
        ck_assert(refresh());
        dlclose(handle);
        ck_assert(refresh());
    }
    ck_assert_uint_eq(rows_used(), 4);
    modules_keep();
    begin(100, 100 * sizeof(struct ht_module));
    modules_restore();
    ck_assert_uint_eq(rows_used(), 4);
}
END_TEST

START_TEST(a_walk_of_the_program)
{
    begin(100, 100 * sizeof(struct ht_module));
    ck_assert(refresh());
    ck_assert_uint_eq(readings, 1);
    walking = true;
    void *handle = load(SAMPLE_GNU);
    ck_assert(!refresh());
    ck_assert_ptr_null(modules_find((uintptr_t)dlsym(handle, "sample_plain")));
    walking = false;
    ck_assert(modules_refresh()); /* nobody has to say so again */
    ck_assert_ptr_nonnull(row_of(dlsym(handle, "sample_plain")));
    ck_assert_uint_eq(readings, 2);
}
END_TEST

START_TEST(a_fork_child_keeps_them)
{
    begin(100, 100 * sizeof(struct ht_module));
    void *handle = load(SAMPLE_GNU);
    ck_assert(refresh());
    uint32_t rows = rows_used();
    static struct ht_module expected[100];
    memcpy(expected, row_at(0), rows * sizeof *expected);
    modules_keep();
    begin(100, 100 * sizeof(struct ht_module));
    modules_restore();
    ck_assert_uint_eq(rows_used(), rows);
    ck_assert_mem_eq(row_at(0), expected, rows * sizeof *expected);
    ck_assert_str_eq(row_of(dlsym(handle, "sample_plain"))->path, SAMPLE_GNU);
}
END_TEST

START_TEST(a_fork_child_with_a_smaller_table)
{
    begin(100, 100 * sizeof(struct ht_module));
    ck_assert(refresh());
    modules_keep();
    begin(1, sizeof(struct ht_module));
    modules_restore();
    ck_assert_ptr_null(modules_find((uintptr_t)dlsym(RTLD_NEXT, "qsort")));
    ck_assert_uint_eq(modules_dirty, MODULES_CHANGED);
}
END_TEST

SUITE("modules", everything_that_is_loaded, build_ids_as_readelf_prints_them, nothing_is_read_when_nothing_changed,
      a_library_that_comes_and_goes, rules_from_outside_any_module, rules_that_are_busy, a_table_that_is_too_small,
      a_filesystem_that_is_full, a_walk_of_the_program, a_fork_child_keeps_them, a_fork_child_with_a_smaller_table)
