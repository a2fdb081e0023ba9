/* Several profiles as one: what is shared, what is told apart, and where everything lies afterwards. */
#include "suite.h"

#include <common/text.h>
#include <elf.h>
#include <report/layout.h>
#include <report/merge.h>

#define PLACES 6
#define NODES 6
#define SITES 4

/* Two modules (the program, libc), stacks main > libc, main, generated code, one that was cut, and one that was not recorded. */
struct example {
    struct profile profile;
    struct ht_module modules[2];
    struct profile_place places[PLACES];
    struct profile_node nodes[NODES];
    struct profile_site sites[SITES + 1];
};

static void make_module(struct ht_module *module, const char *path, uint64_t bias, uint8_t build_id, uint32_t flags)
{
    *module = (struct ht_module){.state = 1, .flags = flags, .bias = bias, .build_id_bytes = 20, .segment_count = 1};
    memset(module->build_id, build_id, 20);
    module->segment[0] = (struct ht_segment){bias + 0x1000, bias + 0x9000, 0x1000};
    text_copy(module->path, sizeof module->path, path);
}

static void make_example(struct example *example, uint32_t pid, const char *exe, uint64_t libc_bias)
{
    memset(example, 0, sizeof *example);
    make_module(&example->modules[0], exe, 0x400000, (uint8_t)(*exe ? exe[1] : 0), HT_MODULE_MAIN);
    make_module(&example->modules[1], "/lib/libc.so", libc_bias, 0xcc, 0);
    const struct profile_place places[PLACES] = {{.module = PROFILE_DAMAGED},
                                                 {.offset = 0x1100, .module = 0},
                                                 {.offset = 0x2200, .module = 1},
                                                 {.offset = 0xdead, .module = PROFILE_NO_MODULE},
                                                 {.offset = HT_CUT_DEPTH, .module = PROFILE_CUT},
                                                 {.offset = 0x3300, .module = 1}}; /* in no stack that counts */
    const struct profile_node nodes[NODES] = {{0, 0}, {0, 1}, {1, 2}, {0, 4}, {3, 3}, {1, 5}};
    memcpy(example->places, places, sizeof places);
    memcpy(example->nodes, nodes, sizeof nodes);
    const uint32_t leaves[SITES] = {2, 1, 4, 0};
    for (uint32_t i = 0; i < SITES; i++) {
        const struct profile_totals total = {.allocs = 1, .alloc_bytes = 10 + i, .live = 1, .live_bytes = 10 + i};
        example->sites[i] = (struct profile_site){.id = i + 1, .node = leaves[i], .kind = HT_KIND_HEAP, .total = total};
    }
    struct profile *profile = &example->profile;
    profile->module_count = 2;
    profile->modules = example->modules;
    profile->place_count = PLACES;
    profile->places = example->places;
    profile->node_count = NODES;
    profile->nodes = example->nodes;
    profile->site_count = SITES;
    profile->sites = example->sites;
    profile->header.pid = pid;
    profile->header.e_machine = EM_X86_64;
    profile->total[HT_KIND_HEAP] = (struct profile_totals){
        .allocs = SITES, .alloc_bytes = 46, .live = SITES, .live_bytes = 46};
    profile->lost[HT_LOST_PAUSED] = 3;
    profile->modules_lost = UINT64_C(1) << 60;
    text_copy(profile->header.exe, sizeof profile->header.exe, exe);
}

static void add(struct merge *merge, const struct example *example, uint64_t time_ns)
{
    struct err err = {""};
    ck_assert_msg(merge_add(merge, &example->profile, false, time_ns, &err), "%s", err.text);
}

static const struct profile_place *leaf_of(const struct profile *profile, uint32_t site)
{
    return &profile->places[profile->nodes[profile->sites[site].node].place];
}

START_TEST(shares_what_is_the_same)
{
    static struct example one, two;
    struct merge merge;
    make_example(&one, 10, "/a", 0x7f0000000000);
    make_example(&two, 11, "/b", 0x7e0000000000);
    ck_assert(merge_init(&merge, false, NULL));
    add(&merge, &one, 5);
    add(&merge, &two, 4);
    const struct profile *profile = &merge.profile;
    ck_assert_uint_eq(merge.time_ns, 5);
    ck_assert_uint_eq(profile->header.pid, 10);
    ck_assert_uint_eq(profile->process_count, 2);
    ck_assert_uint_eq(profile->pid_count, 2);
    ck_assert_uint_eq(profile->module_count, 3);
    ck_assert_uint_eq(profile->site_count, 2 * SITES);
    ck_assert_uint_eq(profile->total[HT_KIND_HEAP].alloc_bytes, 92);
    ck_assert_uint_eq(profile->lost[HT_LOST_PAUSED], 6);
    ck_assert_uint_eq(profile->modules_lost, UINT64_C(1) << 61);
    for (uint32_t i = 0; i < profile->site_count; i++) {
        ck_assert_uint_eq(profile->sites[i].process, i / SITES);
        ck_assert_uint_eq(profile->sites[i].total.live_bytes, 10 + i % SITES);
    }
    ck_assert_ptr_eq(leaf_of(profile, 0), leaf_of(profile, SITES));     /* libc's */
    ck_assert_ptr_ne(leaf_of(profile, 1), leaf_of(profile, SITES + 1)); /* of two programs */
    ck_assert_ptr_ne(leaf_of(profile, 2), leaf_of(profile, SITES + 2)); /* generated, by two processes */
    ck_assert_uint_eq(profile->sites[3].node, 0);
    /* the damaged one, two mains, libc's, one cut, two of generated code; libc's other is in no stack */
    ck_assert_uint_eq(profile->place_count, 7);
    merge_free(&merge);
}
END_TEST

START_TEST(programs_at_the_same_addresses)
{
    static struct example one, two;
    struct merge merge;
    struct layout layout;
    uint32_t places[2 * PLACES];
    make_example(&one, 10, "/a", 0x7f0000000000);
    make_example(&two, 11, "/b", 0x400000 + 0x8000); /* libc over the end of the other's program, as well */
    ck_assert(merge_init(&merge, false, NULL));
    add(&merge, &two, 1);
    add(&merge, &one, 1);
    for (uint32_t i = 0; i < merge.profile.place_count; i++)
        places[i] = i;
    ck_assert(layout_make(&layout, &merge.profile, places, merge.profile.place_count));
    for (uint32_t i = 0; i < layout.mapping_count; i++)
        for (uint32_t j = 0; j < i; j++)
            ck_assert(layout.mappings[i].start >= layout.mappings[j].limit ||
                      layout.mappings[j].start >= layout.mappings[i].limit);
    for (uint32_t i = 0; i < layout.location_count; i++) {
        const struct layout_location *location = &layout.locations[i];
        const struct layout_mapping *mapping = &layout.mappings[location->mapping];
        const struct profile_place *place = &merge.profile.places[location->place];
        ck_assert(location->address >= mapping->start && location->address < mapping->limit);
        if (place->module >= merge.profile.module_count)
            continue;
        ck_assert_uint_eq(mapping->module, place->module);
        ck_assert_uint_eq(location->address - mapping->start + mapping->file_offset, place->offset - 1);
        for (uint32_t j = 0; j < i; j++)
            ck_assert_uint_ne(location->address, layout.locations[j].address);
    }
    ck_assert_str_eq(merge.profile.modules[layout.mappings[0].module].path, "/b");
    layout_free(&layout);
    merge_free(&merge);
}
END_TEST

START_TEST(roots)
{
    static struct example one, two;
    struct merge merge;
    make_example(&one, 10, "/a", 0x7f0000000000);
    make_example(&two, 11, "/b", 0x7e0000000000);
    ck_assert(merge_init(&merge, true, NULL));
    add(&merge, &one, 1);
    add(&merge, &two, 1);
    const struct profile *profile = &merge.profile;
    for (uint32_t i = 0; i < profile->site_count; i++) {
        uint32_t node = profile->sites[i].node;
        ck_assert_uint_ne(node, 0);
        while (profile->nodes[node].parent) {
            ck_assert_uint_lt(profile->nodes[node].parent, node);
            node = profile->nodes[node].parent;
        }
        const struct profile_place *root = &profile->places[profile->nodes[node].place];
        ck_assert_uint_eq(root->module, PROFILE_PROCESS);
        ck_assert_uint_eq(root->offset, profile->sites[i].process);
    }
    ck_assert_uint_eq(leaf_of(profile, 3)->module, PROFILE_NO_STACK);
    merge_free(&merge);
}
END_TEST

START_TEST(names_tell_apart)
{
    static struct example one;
    struct merge merge;
    ck_assert(merge_init(&merge, false, NULL));
    make_example(&one, 10, "/bin/sh", 0x7f0000000000);
    add(&merge, &one, 1);
    add(&merge, &one, 1);
    add(&merge, &one, 1);
    make_example(&one, 11, "/usr/sh", 0x7f0000000000);
    add(&merge, &one, 1);
    make_example(&one, 10, "/bin/\033[1m", 0x7f0000000000);
    add(&merge, &one, 1);
    make_example(&one, 12, "", 0x7f0000000000);
    add(&merge, &one, 1);
    static const char *const names[] = {"sh", "sh.1", "sh.2", "sh", "\\x1b[1m", "unknown"};
    ck_assert_uint_eq(merge.profile.process_count, 6);
    ck_assert_uint_eq(merge.profile.pid_count, 3);
    for (uint32_t i = 0; i < 6; i++)
        ck_assert_str_eq(merge.profile.processes[i].name, names[i]);
    merge_free(&merge);
}
END_TEST

static void add_main(struct merge *merge, const struct example *example)
{
    struct err err = {""};
    ck_assert_msg(merge_add(merge, &example->profile, true, 1, &err), "%s", err.text);
}

START_TEST(the_main_one_may_come_last)
{
    static struct example one, two;
    struct merge merge;
    struct layout layout;
    const uint32_t place = 1;
    make_example(&one, 10, "/a", 0x7f0000000000);
    make_example(&two, 11, "/b", 0x7e0000000000);
    one.profile.header.threads_seen = 2;
    two.profile.header.threads_seen = 3;
    ck_assert(merge_init(&merge, false, NULL));
    add(&merge, &one, 1);
    ck_assert_uint_eq(merge.profile.header.pid, 10); /* so far */
    add_main(&merge, &two);
    add(&merge, &one, 1);
    ck_assert_uint_eq(merge.profile.header.pid, 11);
    ck_assert_str_eq(merge.profile.header.exe, "/b");
    ck_assert_uint_eq(merge.profile.header.threads_seen, 7);
    ck_assert(layout_make(&layout, &merge.profile, &place, 1));
    ck_assert_str_eq(merge.profile.modules[layout.mappings[0].module].path, "/b");
    layout_free(&layout);
    merge_free(&merge);
}
END_TEST

/* Of the sites of a process of the merged profile. */
static uint64_t live_bytes_of(const struct profile *profile, const char *name, const char *pid, uint32_t *sites)
{
    uint64_t sum = 0;
    *sites = 0;
    for (uint32_t i = 0; i < profile->site_count; i++) {
        const struct profile_process *process = &profile->processes[profile->sites[i].process];
        char shown[16];
        profile_process_pid(process, shown);
        if (strcmp(process->name, name) != 0 || strcmp(shown, pid) != 0)
            continue;
        sum += profile->sites[i].total.live_bytes;
        ++*sites;
    }
    return sum;
}

static void check_beyond_the_bound(bool with_roots)
{
    static struct example a, b, c;
    struct merge merge;
    uint32_t sites, nodes = 0, places = 0;
    make_example(&a, 1, "/a", 0x7f0000000000);
    make_example(&b, 1, "/b", 0x7e0000000000);
    make_example(&c, 2, "/c", 0x7e0000000000);
    ck_assert(merge_init(&merge, with_roots, NULL));
    for (uint32_t i = 0; i < MERGE_APART_MAX + 500; i++) {
        a.profile.header.pid = i + 1;
        add(&merge, &a, 1);
        if (i == MERGE_APART_MAX) { /* the first of those together: the others add nothing */
            nodes = merge.profile.node_count;
            places = merge.profile.place_count;
        }
    }
    const struct profile *profile = &merge.profile;
    ck_assert_uint_eq(profile->node_count, nodes);
    ck_assert_uint_eq(profile->place_count, places);
    for (uint32_t i = 0; i < 3; i++) {
        b.profile.header.start_ticks = i; /* a number that three processes had */
        add(&merge, &b, 1);
        add(&merge, &b, 1); /* which executed themselves */
    }
    add_main(&merge, &c);
    ck_assert_uint_eq(profile->process_count, MERGE_APART_MAX + 3);
    ck_assert_uint_eq(profile->program_count, MERGE_APART_MAX + 500 + 6 + 1);
    /* b with start_ticks 0 has the PID of the first a */
    ck_assert_uint_eq(profile->pid_count, MERGE_APART_MAX + 500 + 2);
    ck_assert_uint_eq(profile->site_count, (MERGE_APART_MAX + 3) * SITES);
    ck_assert_uint_eq(live_bytes_of(profile, "a", "7", &sites), 46);
    ck_assert_uint_eq(live_bytes_of(profile, "a", "others", &sites), 500 * 46);
    ck_assert_uint_eq(sites, SITES);
    ck_assert_uint_eq(live_bytes_of(profile, "b", "others", &sites), 6 * 46);
    ck_assert_uint_eq(live_bytes_of(profile, "c", "2", &sites), 46);
    ck_assert_uint_eq(profile->total[HT_KIND_HEAP].live_bytes, (MERGE_APART_MAX + 500 + 6 + 1) * UINT64_C(46));
    merge_free(&merge);
}

START_TEST(beyond_the_bound_programs_are_told_apart)
{
    check_beyond_the_bound(false);
    check_beyond_the_bound(true);
}
END_TEST

/* Mappings of a stack and the heap's blocks of it are two sites there, too. */
START_TEST(kinds_stay_apart)
{
    static struct example one;
    struct merge merge;
    make_example(&one, 1, "/a", 0x7f0000000000);
    ck_assert(merge_init(&merge, false, NULL));
    for (uint32_t i = 0; i < MERGE_APART_MAX; i++)
        add(&merge, &one, 1);
    one.profile.site_count = 2;
    one.sites[1].node = one.sites[0].node;
    one.sites[1].kind = HT_KIND_MAP;
    uint32_t before = merge.profile.site_count;
    add(&merge, &one, 1);
    add(&merge, &one, 1);
    ck_assert_uint_eq(merge.profile.site_count, before + 2);
    ck_assert_uint_eq(merge.profile.sites[before].kind, HT_KIND_HEAP);
    ck_assert_uint_eq(merge.profile.sites[before].total.live_bytes, 20);
    ck_assert_uint_eq(merge.profile.sites[before + 1].kind, HT_KIND_MAP);
    ck_assert_uint_eq(merge.profile.sites[before + 1].total.live_bytes, 22);
    merge_free(&merge);
}
END_TEST

START_TEST(what_cannot_be_added_changes_nothing)
{
    static struct example one, two;
    struct merge merge;
    struct err err;
    make_example(&one, 10, "/a", 0x7f0000000000);
    make_example(&two, 11, "/b", 0x7e0000000000);
    two.profile.header.e_machine = EM_ARM;
    ck_assert(merge_init(&merge, false, NULL));
    add(&merge, &one, 1);
    ck_assert(!merge_add(&merge, &two.profile, false, 2, &err));
    ck_assert(strstr(err.text, "process 11 ran on another kind of processor") != NULL);
    ck_assert_uint_eq(merge.profile.process_count, 1);
    ck_assert_uint_eq(merge.profile.site_count, SITES);
    ck_assert_uint_eq(merge.profile.total[HT_KIND_HEAP].allocs, SITES);
    merge_free(&merge);
}
END_TEST

SUITE("merge", shares_what_is_the_same, programs_at_the_same_addresses, roots, names_tell_apart,
      the_main_one_may_come_last, beyond_the_bound_programs_are_told_apart, kinds_stay_apart,
      what_cannot_be_added_changes_nothing)
