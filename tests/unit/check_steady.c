/*
 * Reading a file that changes, step by step: this program's own reader_pread answers each of the three readings with other bytes, as a writer between them
 * would have it.
 */
#include "suite.h"

#include <report/reader_private.h>

/* What the file holds at each reading; the last one stays. */
static const void *states[8];
static size_t state_count, readings, state_bytes;

const uint32_t reader_record_bytes[HT_SECTIONS_MAX] = {
    [HT_CELLS] = 2048, [HT_LINES] = 64, [HT_MAPS] = 32, [HT_RING] = 4096};
const char *const reader_section_name[HT_SECTIONS_MAX] = {[HT_CELLS] = "cells"};

bool reader_pread(int fd, void *to, size_t bytes, uint64_t at)
{
    (void)fd;
    (void)at;
    memset(to, 0, bytes);
    memcpy(to, states[readings < state_count ? readings : state_count - 1], state_bytes);
    readings++;
    return true;
}

/* Reads one record of a section whose file goes through the states. */
static const void *read_through(struct reader *reader, enum ht_section_id section, bool steady)
{
    memset(reader, 0, sizeof *reader);
    readings = 0;
    reader->header.section[section] = (struct ht_section){
        .offset = 65536, .capacity_bytes = 65536, .record_bytes = reader_record_bytes[section], .used = 1};
    ck_assert(reader_copy_section(reader, -1, section, steady, NULL));
    return reader->section[section].at;
}

static uint64_t count_through(const struct ht_count *count, size_t n)
{
    struct reader reader;
    state_count = n;
    state_bytes = sizeof *count;
    for (size_t i = 0; i < n; i++)
        states[i] = &count[i];
    const struct ht_count *read = read_through(&reader, HT_CELLS, true);
    uint64_t value = count_value(read->hi, read->lo);
    reader_drop_section(&reader, HT_CELLS);
    return value;
}

START_TEST(a_carry_between_readings_is_read_again)
{
    /* 0x7ffffff0 + 0x20: lo is stored, then hi. Any three instants must give the value before or after. */
    static const struct ht_count before = {0x7ffffff0, 0}, middle = {0x80000010, 0}, after = {0x80000010, 1};
    const struct ht_count *const order[] = {&before, &before, &before, &middle, &middle,
                                            &middle, &after,  &after,  &after};
    for (size_t a = 0; a < 9; a++)
        for (size_t b = a; b < 9; b++)
            for (size_t c = b; c < 9; c++) {
                const struct ht_count seen[] = {*order[a], *order[b], *order[c], after};
                uint64_t value = count_through(seen, 4);
                ck_assert_msg(value == 0x7ffffff0 || value == 0x80000010, "%zu %zu %zu: 0x%llx", a, b, c,
                              (unsigned long long)value);
            }
}
END_TEST

START_TEST(a_second_carry_is_not_mixed_with_the_first)
{
    /* Two carries while it is read: hi of one instant with lo of another would be off by 2^32. */
    const struct ht_count seen[] = {{0x7fffffff, 0}, {5, 2}, {5, 2}, {6, 2}};
    ck_assert_uint_eq(count_through(seen, 4), UINT64_C(0x100000006));
}
END_TEST

static struct ht_line line_of(uint32_t sequence, uint32_t state, uint32_t site)
{
    return (struct ht_line){.tag = {0, state | sequence << 16}, .site = {0, site}, .size = {0, site * 1000}};
}

START_TEST(a_live_entry_that_changed_is_left_out)
{
    struct reader reader;
    struct ht_line seen[3] = {line_of(1, HT_TAG_LIVE, 7), line_of(2, HT_TAG_BUSY, 8), line_of(2, HT_TAG_LIVE, 8)};
    for (size_t i = 0; i < 3; i++)
        states[i] = &seen[i];
    state_count = 3;
    state_bytes = sizeof seen[0];
    const struct ht_line *line = read_through(&reader, HT_LINES, true);
    ck_assert_uint_eq(line->tag[1], 0);
    ck_assert_uint_eq(reader.left_out, 1);
    reader_drop_section(&reader, HT_LINES);
    seen[1] = seen[2] = seen[0];
    line = read_through(&reader, HT_LINES, true);
    ck_assert_uint_eq(line->tag[1], HT_TAG_LIVE | 1 << 16);
    ck_assert_uint_eq(line->size[1], 7000);
    ck_assert_uint_eq(reader.left_out, 0);
    reader_drop_section(&reader, HT_LINES);
}
END_TEST

static struct ht_pack pack_of(uint8_t low, uint32_t site)
{
    return (struct ht_pack){
        .kind = HT_LINE_PACKED, .word = {[7] = HT_PACK_WORD(10, site)}, .place = {[7] = 3}, .low = {[7] = low}};
}

/* The last of eight: it goes, another one comes, or another one of the same size and site. */
START_TEST(a_packed_entry_that_changed_is_left_out)
{
    struct reader reader;
    const struct ht_pack others[] = {pack_of(5, 0), pack_of(5, 8), pack_of(6, 7), pack_of(5, 7)};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct ht_pack seen[3] = {pack_of(5, 7), pack_of(6, 7), others[i]};
        for (size_t n = 0; n < 3; n++)
            states[n] = &seen[n];
        state_count = 3;
        state_bytes = sizeof seen[0];
        const struct ht_pack *pack = read_through(&reader, HT_LINES, true);
        bool same = i == 3;
        ck_assert_uint_eq(pack->word[7], same ? HT_PACK_WORD(10, 7) : 0);
        ck_assert(!same || pack->low[7] == 5);
        ck_assert_uint_eq(reader.left_out, !same);
        reader_drop_section(&reader, HT_LINES);
    }
}
END_TEST

static void check_first_word(enum ht_section_id section)
{
    struct reader reader;
    const uint32_t seen[3][4] = {{3, 1, 1, 1}, {4, 2, 2, 2}, {4, 2, 2, 2}};
    for (size_t i = 0; i < 3; i++)
        states[i] = seen[i];
    state_count = 3;
    state_bytes = sizeof seen[0];
    const uint32_t *words = read_through(&reader, section, true);
    ck_assert_uint_eq(words[0], 0);
    ck_assert_uint_eq(reader.left_out, 1);
    reader_drop_section(&reader, section);
    states[0] = seen[1];
    words = read_through(&reader, section, true);
    ck_assert_uint_eq(words[0], 4);
    ck_assert_uint_eq(words[3], 2);
    reader_drop_section(&reader, section);
}

START_TEST(maps_and_blocks_that_changed_are_left_out)
{
    check_first_word(HT_MAPS);
    check_first_word(HT_RING);
}
END_TEST

START_TEST(a_dead_file_is_read_once)
{
    struct reader reader;
    static const struct ht_count count = {1, 0};
    states[0] = &count;
    state_count = 1;
    state_bytes = sizeof count;
    read_through(&reader, HT_CELLS, false);
    ck_assert_uint_eq(readings, 1);
    reader_drop_section(&reader, HT_CELLS);
}
END_TEST

SUITE("steady", a_carry_between_readings_is_read_again, a_second_carry_is_not_mixed_with_the_first,
      a_live_entry_that_changed_is_left_out, a_packed_entry_that_changed_is_left_out,
      maps_and_blocks_that_changed_are_left_out, a_dead_file_is_read_once)
