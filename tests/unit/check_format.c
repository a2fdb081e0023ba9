/*
 * The layout of the file as numbers: whatever changes one of them (a field moved, a compiler that aligns otherwise) changes the
 * format, and the version rule in format.h applies. Fields added in reserved space get a line here.
 */
#include "suite.h"

#include <heaptap/format.h>

struct place {
    const char *name;
    size_t actual, expected;
};

#define AT(type, field, offset)                                                                                        \
    {                                                                                                                  \
#type "." #field, offsetof(struct type, field), offset                                                         \
    }
#define SIZE(type, bytes)                                                                                              \
    {                                                                                                                  \
        "size of " #type, sizeof(struct type), bytes                                                                   \
    }

static const struct place places[] = {
    SIZE(ht_count, 8),
    AT(ht_count, lo, 0),
    AT(ht_count, hi, 4),
    SIZE(ht_section, 32),
    AT(ht_section, offset, 0),
    AT(ht_section, capacity_bytes, 8),
    AT(ht_section, record_bytes, 16),
    AT(ht_section, used, 20),
    AT(ht_section, full, 24),
    SIZE(ht_header, 4096),
    AT(ht_header, magic, 0),
    AT(ht_header, byte_order, 8),
    AT(ht_header, version_major, 12),
    AT(ht_header, version_minor, 14),
    AT(ht_header, header_bytes, 16),
    AT(ht_header, word_bytes, 20),
    AT(ht_header, page_shift, 21),
    AT(ht_header, e_machine, 22),
    AT(ht_header, state, 24),
    AT(ht_header, flags, 28),
    AT(ht_header, section, 32),
    AT(ht_header, pid, 544),
    AT(ht_header, parent_pid, 548),
    AT(ht_header, uid, 552),
    AT(ht_header, fork_epoch, 556),
    AT(ht_header, pid_namespace, 560),
    AT(ht_header, start_ticks, 568),
    AT(ht_header, start_realtime_ns, 576),
    AT(ht_header, start_monotonic_ns, 584),
    AT(ht_header, fork_events, 592),
    AT(ht_header, boot_id, 600),
    AT(ht_header, shim_version, 640),
    AT(ht_header, exe, 664),
    AT(ht_header, command, 1176),
    AT(ht_header, parent_file, 1688),
    AT(ht_header, malloc_owner, 1944),
    AT(ht_header, budget_bytes, 2200),
    AT(ht_header, interval_bytes, 2208),
    AT(ht_header, depth_max, 2212),
    AT(ht_header, slot_count, 2216),
    AT(ht_header, ring_blocks, 2220),
    AT(ht_header, only, 2224),
    AT(ht_header, ctl_pause, 2352),
    AT(ht_header, peak_bytes, 2384),
    AT(ht_header, modules_lost, 2392),
    AT(ht_header, threads_seen, 2400),
    AT(ht_header, module_changes, 2404),
    AT(ht_header, file_inode, 2408),
    AT(ht_header, problem, 2416),
    SIZE(ht_segment, 24),
    AT(ht_segment, start, 0),
    AT(ht_segment, end, 8),
    AT(ht_segment, file_offset, 16),
    SIZE(ht_module, 1024),
    AT(ht_module, state, 0),
    AT(ht_module, flags, 4),
    AT(ht_module, bias, 8),
    AT(ht_module, start, 16),
    AT(ht_module, end, 24),
    AT(ht_module, loads, 32),
    AT(ht_module, build_id_bytes, 36),
    AT(ht_module, build_id, 40),
    AT(ht_module, segment_count, 72),
    AT(ht_module, segment, 80),
    AT(ht_module, path, 176),
    SIZE(ht_place, 16),
    AT(ht_place, module, 0),
    AT(ht_place, flags, 4),
    AT(ht_place, offset_lo, 8),
    AT(ht_place, offset_hi, 12),
    SIZE(ht_node, 8),
    AT(ht_node, parent, 0),
    AT(ht_node, place, 4),
    SIZE(ht_site, 8),
    AT(ht_site, node, 0),
    AT(ht_site, kind, 4),
    SIZE(ht_slot, 512),
    AT(ht_slot, owner, 0),
    AT(ht_slot, adoptions, 4),
    AT(ht_slot, name, 8),
    AT(ht_slot, events, 24),
    AT(ht_slot, lost, 32),
    SIZE(ht_chunk, 8),
    AT(ht_chunk, group, 0),
    AT(ht_chunk, slot, 4),
    SIZE(ht_cell, 32),
    AT(ht_cell, allocs, 0),
    AT(ht_cell, alloc_bytes, 8),
    AT(ht_cell, frees, 16),
    AT(ht_cell, free_bytes, 24),
    SIZE(ht_pack, 64),
    AT(ht_pack, region_lo, 0),
    AT(ht_pack, region_hi, 4),
    AT(ht_pack, kind, 6),
    AT(ht_pack, word, 8),
    AT(ht_pack, place, 40),
    AT(ht_pack, low, 56),
    SIZE(ht_line, 64),
    AT(ht_line, region_lo, 0),
    AT(ht_line, region_hi, 4),
    AT(ht_line, kind, 6),
    AT(ht_line, tag, 8),
    AT(ht_line, site, 24),
    AT(ht_line, size, 40),
    AT(ht_line, birth, 56),
    SIZE(ht_map, 32),
    AT(ht_map, site, 0),
    AT(ht_map, birth, 4),
    AT(ht_map, start_lo, 8),
    AT(ht_map, start_hi, 12),
    AT(ht_map, size_lo, 16),
    AT(ht_map, size_hi, 20),
    SIZE(ht_event, 16),
    AT(ht_event, addr_lo, 0),
    AT(ht_event, size, 4),
    AT(ht_event, site, 8),
    AT(ht_event, head, 12),
    SIZE(ht_block, 4096),
    AT(ht_block, seq, 0),
    AT(ht_block, slot, 4),
    AT(ht_block, first_lo, 8),
    AT(ht_block, first_hi, 12),
    AT(ht_block, time_lo, 16),
    AT(ht_block, time_hi, 20),
    AT(ht_block, open, 24),
    AT(ht_block, event, 32),
};

START_TEST(fields_are_where_they_were)
{
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        ck_assert_msg(places[i].actual == places[i].expected, "%s is %zu, not %zu", places[i].name, places[i].actual,
                      places[i].expected);
}
END_TEST

/* Losses are stored by number. New ones go to the end. */
static const char *const losses[] = {
    "reentrant-allocs", "reentrant-frees", "unknown-frees",    "inherited-frees", "paused-allocs", "live-full",
    "live-full-bytes",  "live-stale",      "sites-full",       "cells-full",      "maps-full",     "no-thread",
    "cut-depth",        "cut-no-table",    "cut-refused",      "cut-memory",      "cut-busy",      "cut-frozen",
    "cut-full",         "guard-cleared",   "ring-overwritten", "ring-dropped",    "shared-slot",
};

static const char *const loss_keys[] = {
#define KEY(name, key, text) key,
    HT_LOSS_LIST(KEY)
#undef KEY
};

START_TEST(losses_keep_their_numbers)
{
    ck_assert_uint_eq(HT_LOSSES, sizeof losses / sizeof *losses);
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++)
        ck_assert_str_eq(loss_keys[i], losses[i]);
}
END_TEST

START_TEST(values_keep_their_meaning)
{
    ck_assert_mem_eq(HT_MAGIC, "HEAPTAP", 8);
    ck_assert_uint_eq(HT_BYTE_ORDER, 0x0a0b0c0d);
    ck_assert_uint_eq(HT_VERSION_MAJOR, 4);
    ck_assert_int_eq(HT_MODULES, 0);
    ck_assert_int_eq(HT_PLACES, 1);
    ck_assert_int_eq(HT_NODES, 2);
    ck_assert_int_eq(HT_SITES, 3);
    ck_assert_int_eq(HT_SLOTS, 4);
    ck_assert_int_eq(HT_CHUNKS, 5);
    ck_assert_int_eq(HT_CELLS, 6);
    ck_assert_int_eq(HT_LINES, 7);
    ck_assert_int_eq(HT_MAPS, 8);
    ck_assert_int_eq(HT_RING, 9);
    ck_assert_int_eq(HT_STATE_MAKING, 0);
    ck_assert_int_eq(HT_STATE_ON, 1);
    ck_assert_int_eq(HT_STATE_EXITING, 2);
    ck_assert_int_eq(HT_CUT_DEPTH, 1);
    ck_assert_int_eq(HT_CUT_NO_TABLE, 2);
    ck_assert_int_eq(HT_CUT_REFUSED, 3);
    ck_assert_int_eq(HT_CUT_MEMORY, 4);
    ck_assert_int_eq(HT_CUT_BUSY, 5);
    ck_assert_int_eq(HT_CUT_FROZEN, 6);
    ck_assert_int_eq(HT_CUT_FULL, 7);
    ck_assert_int_eq(HT_KIND_HEAP, 1);
    ck_assert_int_eq(HT_KIND_MAP, 2);
    ck_assert_int_eq(HT_KIND_RESERVE, 3);
    ck_assert_int_eq(HT_TAG_EMPTY, 0);
    ck_assert_int_eq(HT_TAG_BUSY, 1);
    ck_assert_int_eq(HT_TAG_LIVE, 2);
    ck_assert_int_eq(HT_TAG_HIGH, 3);
    ck_assert_int_eq(HT_EVENT_NONE, 0);
    ck_assert_int_eq(HT_EVENT_ALLOC, 1);
    ck_assert_int_eq(HT_EVENT_FREE, 2);
    ck_assert_int_eq(HT_EVENT_TIME, 3);
    ck_assert_int_eq(HT_EVENT_HIGH, 4);
    ck_assert_uint_eq(HT_FLAG_FORKED, 0x1);
    ck_assert_uint_eq(HT_FLAG_PREALLOC, 0x2);
    ck_assert_uint_eq(HT_FLAG_FROZEN, 0x4);
    ck_assert_uint_eq(HT_FLAG_NO_TABLES, 0x8);
    ck_assert_uint_eq(HT_FLAG_MALLOC_ELSEWHERE, 0x10);
    ck_assert_uint_eq(HT_FLAG_ONE_KERNEL, 0x20);
    ck_assert_uint_eq(HT_FLAG_LIMITED, 0x40);
    ck_assert_uint_eq(HT_MODULE_MAIN, 0x1);
    ck_assert_uint_eq(HT_MODULE_SHIM, 0x2);
    ck_assert_uint_eq(HT_MODULE_LOADER, 0x4);
    ck_assert_uint_eq(HT_MODULE_VDSO, 0x8);
    ck_assert_uint_eq(HT_MODULE_PATH_CUT, 0x10);
    ck_assert_uint_eq(HT_PLACE_EXACT, 0x1);
    ck_assert_uint_eq(HT_EVENT_REALLOC, 0x1);
    ck_assert_uint_eq(HT_EVENT_STALE, 0x2);
    ck_assert_uint_eq(HT_SECTION_ALIGN, 65536);
    ck_assert_uint_eq(HT_SITES_PER_CHUNK, 64);
    ck_assert_uint_eq(HT_LINE_ENTRIES, 4);
    ck_assert_uint_eq(HT_PACK_ENTRIES, 8);
    ck_assert_int_eq(HT_LINE_WIDE, 0);
    ck_assert_int_eq(HT_LINE_PACKED, 1);
    ck_assert_uint_eq(HT_BLOCK_EVENTS, 254);
    ck_assert_int_eq(HT_REGION_SHIFT, 14);
}
END_TEST

/* Fields that are packed into a word, taken apart again. */
START_TEST(packed_words)
{
    uint32_t tag = 0x12340000u | 0x3fabu << 3 | HT_TAG_LIVE;
    ck_assert_uint_eq(HT_TAG_STATE(tag), HT_TAG_LIVE);
    ck_assert_uint_eq(HT_TAG_OFFSET(tag), 0x3fab);
    uint32_t word = 0x12345678;
    ck_assert_uint_eq(HT_PACK_SIZE(word), 0x123);
    ck_assert_uint_eq(HT_PACK_SITE(word), 0x45678);
    ck_assert_uint_eq(HT_PACK_WORD(0x123, 0x45678), word);
    ck_assert_uint_eq(HT_PACK_SIZE(HT_PACK_WORD(4095, 1)), 4095);
    ck_assert_uint_eq(HT_PACK_SITE(HT_PACK_BUSY), 0);
    ck_assert_uint_eq(HT_PACK_PLACE(0x7fff0000u + 0x6ab * 8, 0xfff7u), 0xdfff);
    ck_assert_uint_eq(HT_PACK_PLACE(0x1ab * 8, 0x1237), 0x2247);
    ck_assert_uint_eq(HT_PACK_UNITS(0xdfff, 0xab), 0x6ab);
    ck_assert_uint_eq(HT_PACK_BIRTH(0x2247) & 0xffff, 0x1230);
    ck_assert(HT_PACKS(8u, 0u, 0xfffffu) && HT_PACKS(UINT64_C(0x7fff00000010), 4095u, 1u));
    ck_assert(!HT_PACKS(12u, 1u, 1u) && !HT_PACKS(8u, 4096u, 1u) && !HT_PACKS(8u, 1u, 0x100000u));
    uint32_t head = 0xbeef7812u;
    ck_assert_uint_eq(HT_EVENT_TYPE(head), 2);
    ck_assert_uint_eq(HT_EVENT_FLAGS(head), 1);
    ck_assert_uint_eq(HT_EVENT_LAP(head), 0x78);
    ck_assert_uint_eq(HT_EVENT_ADDR_HI(head), 0xbeef);
}
END_TEST

SUITE("format", fields_are_where_they_were, losses_keep_their_numbers, values_keep_their_meaning, packed_words)
