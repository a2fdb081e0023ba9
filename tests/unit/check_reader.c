/* The reader, the profile and the folded text, over files in both byte orders and word sizes; and what is refused. */
#include "reader_stage.h"

#include <report/write.h>
#include <unistd.h>

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
    build_u16(&build, HEADER(version_major), 5);
    refused(&build, BUILD_BYTES, "version 5.7");
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

SUITE("reader", reads_each_form, folds_each_form, refuses_truncated_files, refuses_what_is_no_buffer,
      refuses_other_versions, refuses_inconsistent_sections, reads_holes_for_nothing, reads_empty_tables)
