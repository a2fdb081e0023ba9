/* Files with damage in them: the rule that is broken is named, and nothing is believed that cannot be. */
#include "reader_stage.h"

#include <report/events.h>
#include <report/verify.h>

/* ---- damaged references ---- */

static void tell(void *arg, const char *line)
{
    snprintf(arg, 256, "%s", line);
}

/* The rule that verify finds broken; 0 if none. More than one: fails. */
static int broken_rule(const struct build *build)
{
    struct reader reader;
    struct verify result;
    struct err err;
    char line[256] = "";
    int rule = 0;
    open_good(&reader, build);
    ck_assert_msg(verify_run(&reader, &result, tell, line, &err), "%s", err.text);
    reader_close(&reader);
    for (int i = 0; i < 8; i++)
        if (result.violations[i]) {
            ck_assert_msg(rule == 0, "V%d and V%d: %s", rule, i, line);
            rule = i;
            ck_assert(line[0] == 'V');
        }
    return rule;
}

/* Applies one change to a good file. Returns the rule it breaks; *damaged: references that the profile replaced. */
static int break_file(void (*change)(struct build *build), uint64_t *damaged)
{
    struct build build;
    struct profile profile;
    build_example(&build, true, 4);
    ck_assert_int_eq(broken_rule(&build), 0);
    change(&build);
    load(&profile, &build);
    *damaged = profile.damaged;
    profile_free(&profile);
    free(folded(&build, PROFILE_ALLOC));
    int rule = broken_rule(&build);
    build_end(&build);
    return rule;
}

static void parent_is_itself(struct build *build)
{
    build_node(build, 3, 3, 3);
}
static void parent_comes_later(struct build *build)
{
    build_node(build, 1, 2, 1);
}
static void parent_beyond(struct build *build)
{
    build_node(build, 3, 0xffffffff, 3);
}
static void place_beyond(struct build *build)
{
    build_node(build, 3, 2, 0xffffffff);
}
static void cut_inside(struct build *build)
{
    build_node(build, 6, 5, 4);
}
static void module_beyond(struct build *build)
{
    build_place(build, 2, 3, 0x1200, 0);
}
static void node_beyond(struct build *build)
{
    build_site(build, 1, 99, HT_KIND_HEAP);
}
static void live_without_site(struct build *build)
{
    build_live(build, (struct build_live){5, 0, 0x12340000, HT_TAG_LIVE, 64, 10, 0});
}
static void map_without_site(struct build *build)
{
    build_map(build, 5, 0x12340000, 4096, 0x12345678, 0);
}
static void event_without_site(struct build *build)
{
    build_event(build, (struct build_event){1, 0, HT_EVENT_ALLOC, 0, 0, 0x70000500, 100, 64});
}
static void cells_twice(struct build *build)
{
    build_chunk(build, 3, 1, 0);
}
static void cells_without_slot(struct build *build)
{
    build_chunk(build, 3, 1, 3);
}
static void cells_without_sites(struct build *build)
{
    build_chunk(build, 3, 0x7fffffff, 0);
}
static void address_twice(struct build *build)
{
    build_live(build, (struct build_live){0, 1, 0x70000010, HT_TAG_LIVE, 1, 100, 0});
}
static void more_live_than_counted(struct build *build)
{
    for (uint32_t i = 0; i < 4; i++)
        build_live(build, (struct build_live){5, i, 0x12340000 + i, HT_TAG_LIVE, 2, 0, 0});
}
static void bytes_apart(struct build *build)
{
    for (uint32_t site = 1; site <= 4; site++)
        build_cell(build, 0, site, (const uint64_t[4]){site == 1 ? 3 : 1, 12345678, 0, 0});
    build_cell(build, 0, 3, (const uint64_t[4]){1, 1000, 0, 0});
}
static void event_missing(struct build *build)
{
    build_slot(build, 0, 4242, "main", 264);
}
static void event_type_unknown(struct build *build)
{
    build_event(build, (struct build_event){1, 1, 9, 0, 0, 0, 0, 0});
}

START_TEST(finds_each_broken_rule)
{
    static const struct {
        void (*change)(struct build *build);
        int rule;
        bool damaged;
    } cases[] = {{parent_is_itself, 2, true},     {parent_comes_later, 2, true}, {parent_beyond, 2, true},
                 {place_beyond, 2, true},         {cut_inside, 2, true},         {module_beyond, 2, true},
                 {node_beyond, 2, true},          {live_without_site, 3, true},  {map_without_site, 3, true},
                 {event_without_site, 3, false},  {cells_twice, 4, false},       {cells_without_slot, 4, false},
                 {cells_without_sites, 4, false}, {address_twice, 6, false},     {more_live_than_counted, 5, false},
                 {bytes_apart, 5, false},         {event_missing, 7, false},     {event_type_unknown, 7, false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t damaged = 0;
        int rule = break_file(cases[i].change, &damaged);
        ck_assert_msg(rule == cases[i].rule, "case %zu: V%d, not V%d", i, rule, cases[i].rule);
        ck_assert_msg((damaged != 0) == cases[i].damaged, "case %zu: %u damaged", i, (unsigned)damaged);
    }
}
END_TEST

/* One event may be half done in each slot: two slots in use and the shared one. */
static void three_half_done(struct build *build)
{
    for (uint32_t i = 0; i < 3; i++)
        build_live(build, (struct build_live){5, i, 0x12340000 + i, HT_TAG_LIVE, 2, 0, 0});
    build_slot(build, 0, 4242, "main", 263);
}

START_TEST(allows_half_done_events)
{
    uint64_t damaged;
    ck_assert_int_eq(break_file(three_half_done, &damaged), 0);
}
END_TEST

START_TEST(reads_counters_in_mid_carry)
{
    static const uint64_t values[] = {1,
                                      UINT64_C(0x80000000),
                                      UINT64_C(0x80000001),
                                      UINT64_C(0x100000000),
                                      UINT64_C(0x180000005),
                                      UINT64_C(0x7fffffff80000000)};
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        for (int mid = 0; mid <= (i > 0); mid++) {
            struct build build;
            struct profile profile;
            build_example(&build, i & 1, 4);
            build_count(&build, build_record(&build, HT_CELLS, 0) + 32, values[i], mid);
            load(&profile, &build);
            ck_assert_uint_eq(profile.sites[0].total.allocs, values[i]);
            profile_free(&profile);
            build_end(&build);
        }
}
END_TEST

/* Damaged payload of any kind: no crash, and what writers rely on holds. (The header's first 32 bytes and the table stay.) */
START_TEST(survives_random_damage)
{
    uint64_t random = UINT64_C(0x9e3779b97f4a7c15);
    for (int round = 0; round < 200; round++) {
        struct build build;
        struct reader reader;
        struct err err;
        struct verify result;
        build_example(&build, round & 1, round & 2 ? 4 : 8);
        for (int flip = 0; flip < 40; flip++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
            uint32_t section = (uint32_t)(random >> 60) % (HT_RING + 1);
            size_t at = (section + 1) * BUILD_SECTION_BYTES + (random >> 33) % 4096;
            build.at[at] = (uint8_t)(random >> 24);
        }
        if (open_bytes(&reader, &build, BUILD_BYTES, &err)) {
            ck_assert(verify_run(&reader, &result, NULL, NULL, &err));
            reader_close(&reader);
            free(folded(&build, PROFILE_ALLOC));
            free(folded(&build, PROFILE_INUSE));
        }
        build_end(&build);
    }
}
END_TEST

SUITE("verify", finds_each_broken_rule, allows_half_done_events, reads_counters_in_mid_carry, survives_random_damage)
