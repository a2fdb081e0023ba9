/* The reader, the profile, the rules and the folded text, over files that build_file makes in both byte orders and word sizes. */
#include "suite.h"
#include "build_file.h"

#include <common/base.h>
#include <pthread.h>
#include <report/events.h>
#include <report/profile.h>
#include <report/verify.h>
#include <report/write.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEADER(field) offsetof(struct ht_header, field)

static bool open_bytes(struct reader *reader, const struct build *build, size_t bytes, struct err *err)
{
    int fd = build_descriptor(build, bytes);
    ck_assert_int_ge(fd, 0);
    memset(err, 0, sizeof *err);
    bool done = reader_open_fd(reader, fd, "FILE", err);
    close(fd);
    return done;
}

static void open_good(struct reader *reader, const struct build *build)
{
    struct err err;
    ck_assert_msg(open_bytes(reader, build, BUILD_BYTES, &err), "%s", err.text);
}

/* The file is refused, with a line that holds `words`. */
static void refused(const struct build *build, size_t bytes, const char *words)
{
    struct reader reader;
    struct err err;
    ck_assert_msg(!open_bytes(&reader, build, bytes, &err), "%zu bytes were accepted", bytes);
    ck_assert_msg(strstr(err.text, words), "\"%s\" does not say \"%s\"", err.text, words);
    ck_assert_msg(strstr(err.text, "FILE") && !strchr(err.text, '\n'), "%s", err.text);
}

/* What every writer may rely on. */
static void check_sound(const struct profile *profile)
{
    for (uint32_t id = 1; id < profile->node_count; id++) {
        ck_assert_uint_lt(profile->nodes[id].parent, id);
        ck_assert_uint_lt(profile->nodes[id].place, profile->place_count);
    }
    for (uint32_t id = 0; id < profile->place_count; id++)
        ck_assert(profile->places[id].module < profile->module_count || profile->places[id].module >= PROFILE_DAMAGED);
    for (uint32_t i = 0; i < profile->site_count; i++) {
        ck_assert_uint_lt(profile->sites[i].node, profile->node_count);
        ck_assert(profile->sites[i].kind > 0 && profile->sites[i].kind < HT_KINDS);
        ck_assert(i == 0 || profile->sites[i].id > profile->sites[i - 1].id);
    }
    for (uint32_t row = 0; row < profile->module_count; row++) {
        ck_assert_uint_le(profile->modules[row].build_id_bytes, 32);
        ck_assert_uint_le(profile->modules[row].segment_count, HT_MODULE_SEGMENTS);
        ck_assert(memchr(profile->modules[row].path, 0, sizeof profile->modules[row].path) != NULL);
    }
}

static void load(struct profile *profile, const struct build *build)
{
    struct reader reader;
    open_good(&reader, build);
    ck_assert(profile_load(profile, &reader, NULL));
    reader_close(&reader);
    check_sound(profile);
}

static void each_form(void (*test)(bool big, unsigned word_bytes))
{
    for (int big = 0; big < 2; big++)
        for (unsigned word_bytes = 4; word_bytes <= 8; word_bytes += 4)
            test(big, word_bytes);
}

static void check_totals(const struct profile_totals *totals, const uint64_t want[6])
{
    ck_assert_uint_eq(totals->allocs, want[0]);
    ck_assert_uint_eq(totals->alloc_bytes, want[1]);
    ck_assert_uint_eq(totals->frees, want[2]);
    ck_assert_uint_eq(totals->free_bytes, want[3]);
    ck_assert_uint_eq(totals->live, want[4]);
    ck_assert_uint_eq(totals->live_bytes, want[5]);
}

static void example_is_read(bool big, unsigned word_bytes)
{
    uint64_t large = word_bytes == 8 ? UINT64_C(8589934599) : 7;
    struct build build;
    struct profile profile;
    build_example(&build, big, word_bytes);
    load(&profile, &build);
    ck_assert_uint_eq(profile.header.pid, 4242);
    ck_assert_uint_eq(profile.header.start_realtime_ns, UINT64_C(1700000000000000000));
    ck_assert_uint_eq(profile.header.word_bytes, word_bytes);
    ck_assert_uint_eq(reader_value(&profile.header.peak_bytes), UINT64_C(5000000000));
    ck_assert_int_eq(profile.process, READER_ENDED);
    ck_assert_uint_eq(profile.damaged, 0);
    ck_assert_str_eq(profile.modules[0].path, "/no/such/example");
    ck_assert_uint_eq(profile.modules[1].segment[0].end, 0x7f9000);
    ck_assert_uint_eq(profile.modules[1].build_id[19], 0x22);
    ck_assert_uint_eq(profile.places[3].offset, UINT64_C(0x100002300));
    ck_assert_uint_eq(profile.places[3].flags, HT_PLACE_EXACT);
    ck_assert_uint_eq(profile.places[4].module, PROFILE_CUT);
    ck_assert_uint_eq(profile.places[5].module, PROFILE_NO_MODULE);
    ck_assert_uint_eq(profile.nodes[4].parent, 1);
    ck_assert_uint_eq(profile.site_count, 7);
    check_totals(&profile.sites[0].total, (uint64_t[]){3, 300, 1, 100, 2, 200});
    check_totals(&profile.sites[1].total, (uint64_t[]){1, large, 0, 0, 1, large});
    check_totals(&profile.sites[6].total, (uint64_t[]){1, 0, 0, 0, 1, 0});
    check_totals(&profile.total[HT_KIND_HEAP], (uint64_t[]){16, 1305 + large, 10, 1036, 6, 269 + large});
    check_totals(&profile.total[HT_KIND_MAP], (uint64_t[]){2, 8192, 1, 4096, 1, 4096});
    check_totals(&profile.total[HT_KIND_RESERVE], (uint64_t[]){1, 65536, 0, 0, 1, 65536});
    ck_assert_uint_eq(profile.lost[HT_LOST_UNKNOWN_FREE], 7);
    ck_assert_str_eq(profile.slots[1].name, "work\ter");
    ck_assert(profile.slots[2].shared && !profile.slots[1].shared);
    profile_free(&profile);
    build_end(&build);
}

START_TEST(reads_each_form)
{
    each_form(example_is_read);
}
END_TEST

static char *folded(const struct build *build, enum profile_view view)
{
    struct profile profile;
    struct names names;
    char *text = NULL;
    size_t bytes = 0;
    load(&profile, build);
    FILE *out = open_memstream(&text, &bytes);
    ck_assert(names_init(&names, &profile, NULL, NULL, NULL));
    ck_assert(write_folded(out, &names, view, NULL));
    fclose(out);
    names_free(&names);
    profile_free(&profile);
    return text;
}

static void example_folds(bool big, unsigned word_bytes)
{
    static const char *const want[][2] = {
        {"[cut: depth];[generated]+0xdead 64\n"
         "example+0x1100;example+0x1200;lib:odd\\x0a.so+0x100002300 200\n"
         "example+0x1100;lib:odd\\x0a.so+0x100002300 7\n"
         "[no stack] 5\n",
         "[cut: depth];[generated]+0xdead 64\n"
         "example+0x1100;example+0x1200;lib:odd\\x0a.so+0x100002300 200\n"
         "example+0x1100;lib:odd\\x0a.so+0x100002300 8589934599\n"
         "[no stack] 5\n"},
        {"[cut: depth];[generated]+0xdead 1000\n"
         "example+0x1100;example+0x1200;lib:odd\\x0a.so+0x100002300 300\n"
         "example+0x1100;lib:odd\\x0a.so+0x100002300 7\n"
         "[no stack] 5\n",
         "[cut: depth];[generated]+0xdead 1000\n"
         "example+0x1100;example+0x1200;lib:odd\\x0a.so+0x100002300 300\n"
         "example+0x1100;lib:odd\\x0a.so+0x100002300 8589934599\n"
         "[no stack] 5\n"},
        {0},
        {"example+0x1100;example+0x1200 4096\n", "example+0x1100;example+0x1200 4096\n"}};
    static const enum profile_view views[] = {PROFILE_INUSE, PROFILE_ALLOC, PROFILE_MMAP};
    struct build build;
    build_example(&build, big, word_bytes);
    for (size_t i = 0; i < ARRAY_LEN(views); i++) {
        char *text = folded(&build, views[i]);
        ck_assert_str_eq(text, want[views[i]][word_bytes == 8]);
        free(text);
    }
    build_end(&build);
}

START_TEST(folds_each_form)
{
    each_form(example_folds);
}
END_TEST

/* ---- what is refused, and how that is said ---- */

START_TEST(refuses_truncated_files)
{
    struct build build;
    build_example(&build, true, 4);
    for (size_t bytes = 0; bytes < 8; bytes++)
        refused(&build, bytes, "not a heaptap buffer");
    for (size_t bytes = 8; bytes < sizeof(struct ht_header); bytes += bytes < 64 ? 1 : 61)
        refused(&build, bytes, "truncated");
    refused(&build, sizeof(struct ht_header) - 1, "truncated");
    for (unsigned section = 0; section <= HT_RING + 1; section++)
        for (int off = -4097; off <= 4097; off += 1 + 4095 * (off < -1 || off > 0)) {
            size_t bytes = (size_t)((long)(section + 1) * (long)BUILD_SECTION_BYTES + off);
            if (bytes < BUILD_BYTES && bytes >= sizeof(struct ht_header))
                refused(&build, bytes, "truncated");
        }
    refused(&build, BUILD_BYTES - 1, "truncated");
    build_end(&build);
}
END_TEST

static void refused_with_u32(size_t at, uint32_t value, const char *words)
{
    for (int big = 0; big < 2; big++) {
        struct build build;
        build_example(&build, big, 8);
        build_u32(&build, at, value);
        refused(&build, BUILD_BYTES, words);
        build_end(&build);
    }
}

static void refused_with_u64(size_t at, uint64_t value, const char *words)
{
    struct build build;
    build_example(&build, true, 8);
    build_u64(&build, at, value);
    refused(&build, BUILD_BYTES, words);
    build_end(&build);
}

START_TEST(refuses_what_is_no_buffer)
{
    struct build build;
    refused_with_u32(0, 0x12345678, "not a heaptap buffer");
    refused_with_u32(HEADER(byte_order), 0x12345678, "byte order");
    refused_with_u32(HEADER(state), HT_STATE_MAKING, "still making");
    refused_with_u32(HEADER(state), 7, "damaged");
    refused_with_u32(HEADER(header_bytes), 100, "damaged");
    build_example(&build, false, 8);
    build.at[HEADER(word_bytes)] = 5;
    refused(&build, BUILD_BYTES, "damaged");
    memset(build.at, 0, BUILD_BYTES);
    refused(&build, BUILD_BYTES, "still making");
    build_end(&build);
}
END_TEST

START_TEST(refuses_other_versions)
{
    struct build build;
    struct reader reader;
    build_example(&build, true, 4);
    build_u16(&build, HEADER(version_minor), 7);
    open_good(&reader, &build); /* a newer minor version only adds */
    reader_close(&reader);
    build_u16(&build, HEADER(version_major), 4);
    refused(&build, BUILD_BYTES, "version 4.7");
    build_end(&build);
}
END_TEST

START_TEST(refuses_inconsistent_sections)
{
    refused_with_u64(build_section_field(HT_NODES, 0), 3 * BUILD_SECTION_BYTES + 8, "inconsistent");
    refused_with_u64(build_section_field(HT_NODES, 0), 5 * BUILD_SECTION_BYTES, "overlap");
    refused_with_u64(build_section_field(HT_NODES, 0), UINT64_C(0xffffffffffff0000), "inconsistent");
    refused_with_u64(build_section_field(HT_NODES, 0), UINT64_C(0x7fffffff0000), "truncated");
    refused_with_u64(build_section_field(HT_NODES, 8), UINT64_MAX, "inconsistent");
    refused_with_u64(build_section_field(HT_NODES, 8), BUILD_SECTION_BYTES + 1, "overlap");
    refused_with_u64(build_section_field(HT_RING, 8), BUILD_SECTION_BYTES + 1, "truncated");
    for (unsigned section = 0; section <= HT_RING; section++) {
        refused_with_u32(build_section_field((enum ht_section_id)section, 16), 24, "inconsistent");
        refused_with_u32(build_section_field((enum ht_section_id)section, 16), 0, "inconsistent");
        refused_with_u32(build_section_field((enum ht_section_id)section, 20), UINT32_MAX, "inconsistent");
        refused_with_u32(build_section_field((enum ht_section_id)section, 20), (uint32_t)(BUILD_SECTION_BYTES / 8 + 1),
                         "inconsistent");
    }
}
END_TEST

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

/* ---- a file that changes while it is read ---- */

struct writer {
    struct ht_cell *cell;
    struct ht_line *line;
    struct ht_count *events;
    uint32_t stop;
};

/* The counter passes a carry with every second step; a block comes and goes, its size always 1000 times its site, as a tag with a new sequence says. */
static void *write_on(void *arg)
{
    struct writer *writer = arg;
    for (uint32_t sequence = 1; !word_acquire(&writer->stop); sequence++) {
        count_add(&writer->cell->allocs, 0x40000000);
        word_publish(&writer->line->tag[0], HT_TAG_BUSY | sequence << 16);
        word_set(&writer->line->site[0], 1 + (sequence & 1));
        word_set(&writer->line->size[0], 1000 * (1 + (sequence & 1)));
        word_publish(&writer->line->tag[0], HT_TAG_LIVE | sequence << 16);
    }
    return NULL;
}

static void check_steady_block(void *arg, const struct reader_block *block)
{
    (void)arg;
    if (block->address == 0)
        ck_assert_uint_eq(block->size, (uint64_t)1000 * block->site);
}

static uint64_t value_now(const struct ht_cell *cell)
{
    uint32_t hi, lo;
    do {
        hi = word_acquire(&cell->allocs.hi);
        lo = word_acquire(&cell->allocs.lo);
    } while (hi != word_acquire(&cell->allocs.hi));
    return count_value(hi, lo);
}

START_TEST(reads_a_file_that_changes)
{
    struct build build;
    pthread_t thread;
    build_example(&build, __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__, 8);
    memset(build.at + HEADER(boot_id), 0, 40); /* so that nobody can say that the process has ended */
    build_count(&build, build_record(&build, HT_CELLS, 0) + 32, 0, false);
    size_t cell = build_record(&build, HT_CELLS, 0) + 32, line = build_record(&build, HT_LINES, 7);
    int fd = build_descriptor(&build, BUILD_BYTES);
    char *shared = mmap(NULL, BUILD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
    struct writer writer = {(struct ht_cell *)(shared + cell), (struct ht_line *)(shared + line), NULL, 0};
    ck_assert_int_eq(pthread_create(&thread, NULL, write_on, &writer), 0);
    for (int round = 0; round < 300; round++) {
        struct reader reader;
        struct profile profile;
        uint64_t before = value_now(writer.cell);
        ck_assert(reader_open_fd(&reader, fd, "FILE", NULL));
        uint64_t after = value_now(writer.cell);
        ck_assert_int_eq(reader.process, READER_UNKNOWN);
        reader_each_block(&reader, check_steady_block, NULL);
        ck_assert(profile_load(&profile, &reader, NULL));
        ck_assert_uint_ge(profile.sites[0].total.allocs, before);
        ck_assert_uint_le(profile.sites[0].total.allocs, after);
        profile_free(&profile);
        reader_close(&reader);
    }
    word_publish(&writer.stop, 1);
    pthread_join(thread, NULL);
    munmap(shared, BUILD_BYTES);
    close(fd);
    build_end(&build);
}
END_TEST

static void *write_other_files(void *arg)
{
    struct ht_count *events = ((struct writer *)arg)->events;
    for (uint32_t value = 0; !word_acquire(&((struct writer *)arg)->stop); value ^= 100)
        word_publish(&events->lo, value);
    return NULL;
}

/* Another file is copied over it: events only become more. */
START_TEST(refuses_what_is_overwritten)
{
    struct build build;
    struct err err = {"nothing was refused"};
    pthread_t thread;
    bool done = true;
    build_example(&build, __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__, 8);
    int fd = build_descriptor(&build, BUILD_BYTES);
    char *shared = mmap(NULL, BUILD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
    size_t events = build_record(&build, HT_SLOTS, 0) + offsetof(struct ht_slot, events);
    struct writer writer = {.events = (struct ht_count *)(shared + events)};
    ck_assert_int_eq(pthread_create(&thread, NULL, write_other_files, &writer), 0);
    for (int round = 0; done && round < 20000; round++) {
        struct reader reader;
        done = reader_open_fd(&reader, fd, "FILE", &err);
        if (done)
            ck_assert_uint_ge(reader.events_after, reader.events_before);
        if (done)
            reader_close(&reader);
    }
    word_publish(&writer.stop, 1);
    pthread_join(thread, NULL);
    ck_assert_msg(!done && strstr(err.text, "FILE: was overwritten while it was read"), "%s", err.text);
    munmap(shared, BUILD_BYTES);
    close(fd);
    build_end(&build);
}
END_TEST

/* A hole costs nothing, wherever it is said to be used. */
START_TEST(reads_holes_for_nothing)
{
    const uint64_t far = UINT64_C(1) << (sizeof(size_t) == 8 ? 30 : 26); /* 32-bit: qemu has little room */
    struct build build;
    struct reader reader;
    struct profile profile;
    build_example(&build, __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__, 8);
    build_u64(&build, build_section_field(HT_NODES, 0), far);
    build_u64(&build, build_section_field(HT_NODES, 8), far);
    build_u32(&build, build_section_field(HT_NODES, 20), (uint32_t)(far / 8));
    int fd = build_descriptor(&build, BUILD_BYTES);
    ck_assert_int_eq(ftruncate(fd, (off_t)(2 * far)), 0);
    const struct ht_node last = {.parent = 0, .place = 1};
    ck_assert_int_eq(pwrite(fd, &last, 8, (off_t)(2 * far - 8)), 8);
    struct err err;
    ck_assert_msg(reader_open_fd(&reader, fd, "FILE", &err), "%s", err.text);
    close(fd);
    ck_assert_uint_le(reader.data_bytes, 1 << 17);
    ck_assert_ptr_null(reader_node(&reader, 1));
    ck_assert_ptr_nonnull(reader_record(&reader, HT_NODES, (uint32_t)(far / 8) - 1));
    ck_assert_uint_ge(reader_next(&reader, HT_NODES, 1), (uint32_t)(far / 8) - 65536 / 8);
    ck_assert(profile_load(&profile, &reader, NULL));
    profile_free(&profile);
    reader_close(&reader);
    build_end(&build);
}
END_TEST

/* Every table but one is empty. */
START_TEST(reads_empty_tables)
{
    for (unsigned section = 0; section <= HT_RING; section++) {
        struct build build;
        build_example(&build, section & 1, 8);
        for (unsigned other = 0; other <= HT_RING; other++)
            if (other != section)
                build_u32(&build, build_section_field((enum ht_section_id)other, 20), 0);
        free(folded(&build, PROFILE_INUSE));
        build_end(&build);
    }
}
END_TEST

/* ---- the ring ---- */

static void example_events(bool big, unsigned word_bytes)
{
    struct build build;
    struct reader reader;
    struct events events;
    struct events_item item;
    enum events_item_type type;
    unsigned gaps = 0, seen = 0;
    build_example(&build, big, word_bytes);
    open_good(&reader, &build);
    ck_assert(events_open(&events, &reader, NULL));
    while ((type = events_next(&events, &item)) != EVENTS_END) {
        seen += type == EVENTS_EVENT;
        if (type == EVENTS_GAP) {
            gaps++;
            ck_assert_uint_eq(item.slot, 0);
            ck_assert_uint_eq(item.lost, 254);
        }
        if (seen == 3 && type == EVENTS_EVENT) {
            ck_assert_uint_eq(item.flags, HT_EVENT_STALE);
            ck_assert_uint_eq(item.time_ns, UINT64_C(0x1000005dc));
        }
        if (item.slot == 2)
            ck_assert_uint_eq(item.number, EVENTS_NO_NUMBER);
    }
    ck_assert_uint_eq(gaps, 1);
    ck_assert_uint_eq(item.number, 259);
    ck_assert_uint_eq(item.size, word_bytes == 8 ? UINT64_C(8589934599) : 7);
    ck_assert_uint_eq(events.present, 10);
    ck_assert_uint_eq(events.gaps, 254);
    events_close(&events);
    reader_close(&reader);
    build_end(&build);
}

START_TEST(orders_events)
{
    each_form(example_events);
}
END_TEST

START_TEST(text_is_safe_to_show)
{
    static const char right_to_left[] = {'\xe2', '\x80', '\xae', 'g', 'p', 'j', 0};
    const char *const cases[][2] = {
        {"plain ./~", "plain ./~"},
        {"\033[2J\n\t\177", "\\x1b[2J\\x0a\\x09\\x7f"},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\xc2\x9b"
         "31m",
         "\\xc2\\x9b31m"},                                              /* CSI as C1 control */
        {"\xff\xc0\xaf\xed\xa0\x80", "\\xff\\xc0\\xaf\\xed\\xa0\\x80"}, /* not UTF-8, overlong, surrogate */
        {right_to_left, "\\xe2\\x80\\xaegpj"},                          /* right to left */
        {"cut\xe2\x82", "cut\\xe2\\x82"},
    };
    char text[64];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        err_safe_text(text, sizeof text, cases[i][0]);
        ck_assert_str_eq(text, cases[i][1]);
    }
    ck_assert_uint_eq(err_safe_text(text, 6, "abc\nd"), 3);
    ck_assert_str_eq(text, "abc");
}
END_TEST

SUITE("reader", reads_each_form, folds_each_form, refuses_truncated_files, refuses_what_is_no_buffer,
      refuses_other_versions, refuses_inconsistent_sections, finds_each_broken_rule, allows_half_done_events,
      reads_counters_in_mid_carry, survives_random_damage, reads_a_file_that_changes, refuses_what_is_overwritten,
      reads_holes_for_nothing, reads_empty_tables, orders_events, text_is_safe_to_show)
