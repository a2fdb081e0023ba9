#include "build_file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEADER(field) offsetof(struct ht_header, field)

static const uint32_t record_bytes[HT_RING + 1] = {1024, 16, 8, 8, 512, 8, 2048, 64, 32, 4096};

static void put(struct build *build, size_t at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        build->at[at + i] = (uint8_t)(value >> 8 * (build->big ? bytes - 1 - i : i));
}

static uint32_t get_u32(const struct build *build, size_t at)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < 4; i++)
        value |= (uint32_t)build->at[at + i] << 8 * (build->big ? 3 - i : i);
    return value;
}

void build_u16(struct build *build, size_t at, uint16_t value)
{
    put(build, at, value, 2);
}

void build_u32(struct build *build, size_t at, uint32_t value)
{
    put(build, at, value, 4);
}

void build_u64(struct build *build, size_t at, uint64_t value)
{
    put(build, at, value, 8);
}

void build_text(struct build *build, size_t at, const char *text)
{
    memcpy(build->at + at, text, strlen(text) + 1);
}

void build_count(struct build *build, size_t at, uint64_t value, bool mid_carry)
{
    build_u32(build, at, (uint32_t)value);
    build_u32(build, at + 4, (uint32_t)(value >> 31) - mid_carry);
}

size_t build_section_field(enum ht_section_id section, size_t field)
{
    return HEADER(section) + (size_t)section * 32 + field;
}

size_t build_record(struct build *build, enum ht_section_id section, uint32_t id)
{
    size_t used = build_section_field(section, 20);
    if (get_u32(build, used) <= id)
        build_u32(build, used, id + 1);
    return (size_t)(section + 1) * BUILD_SECTION_BYTES + (size_t)id * record_bytes[section];
}

void build_begin(struct build *build, bool big, unsigned word_bytes)
{
    build->at = calloc(1, BUILD_BYTES);
    build->big = big;
    memcpy(build->at, "HEAPTAP", 8);
    build_u32(build, HEADER(byte_order), 0x0a0b0c0d);
    build_u16(build, HEADER(version_major), 4);
    build_u32(build, HEADER(header_bytes), 4096);
    build->at[HEADER(word_bytes)] = (uint8_t)word_bytes;
    build->at[HEADER(page_shift)] = 12;
    build_u16(build, HEADER(e_machine), word_bytes == 8 ? 62 : 8);
    build_u32(build, HEADER(state), HT_STATE_EXITING);
    for (unsigned id = 0; id <= HT_RING; id++) {
        size_t at = build_section_field((enum ht_section_id)id, 0);
        build_u64(build, at, (uint64_t)(id + 1) * BUILD_SECTION_BYTES);
        build_u64(build, at + 8, BUILD_SECTION_BYTES);
        build_u32(build, at + 16, record_bytes[id]);
    }
}

void build_end(struct build *build)
{
    free(build->at);
    build->at = NULL;
}

void build_module(struct build *build, uint32_t row, uint64_t bias, const char *path, uint8_t build_id)
{
    size_t at = build_record(build, HT_MODULES, row);
    build_u32(build, at + 4, row == 0 ? HT_MODULE_MAIN : 0);
    build_u64(build, at + 8, bias);
    build_u64(build, at + 16, bias);
    build_u64(build, at + 24, bias + 0x10000);
    build_u32(build, at + 32, 1);
    build_u32(build, at + 36, 20);
    memset(build->at + at + 40, build_id, 20);
    build_u32(build, at + 72, 1);
    build_u64(build, at + 80, bias + 0x1000);
    build_u64(build, at + 88, bias + 0x9000);
    build_u64(build, at + 96, 0x1000);
    build_text(build, at + 176, path);
    build_u32(build, at, 1);
}

void build_place(struct build *build, uint32_t id, uint32_t module, uint64_t offset, uint32_t flags)
{
    size_t at = build_record(build, HT_PLACES, id);
    build_u32(build, at, module);
    build_u32(build, at + 4, flags);
    build_u32(build, at + 8, (uint32_t)offset);
    build_u32(build, at + 12, (uint32_t)(offset >> 32));
}

void build_node(struct build *build, uint32_t id, uint32_t parent, uint32_t place)
{
    size_t at = build_record(build, HT_NODES, id);
    build_u32(build, at, parent);
    build_u32(build, at + 4, place);
}

void build_site(struct build *build, uint32_t id, uint32_t node, uint32_t kind)
{
    size_t at = build_record(build, HT_SITES, id);
    build_u32(build, at, node);
    build_u32(build, at + 4, kind);
}

void build_slot(struct build *build, uint32_t slot, uint32_t owner, const char *name, uint64_t events)
{
    size_t at = build_record(build, HT_SLOTS, slot);
    build_u32(build, at, owner);
    build_text(build, at + 8, name);
    build_count(build, at + 24, events, false);
}

void build_loss(struct build *build, uint32_t slot, enum ht_loss loss, uint64_t value)
{
    build_count(build, build_record(build, HT_SLOTS, slot) + 32 + (size_t)loss * 8, value, false);
}

void build_chunk(struct build *build, uint32_t chunk, uint32_t group, uint32_t slot)
{
    size_t at = build_record(build, HT_CHUNKS, chunk);
    build_record(build, HT_CELLS, chunk);
    build_u32(build, at, group);
    build_u32(build, at + 4, slot + 1);
}

void build_cell(struct build *build, uint32_t chunk, uint32_t index, const uint64_t values[4])
{
    size_t at = build_record(build, HT_CELLS, chunk) + (size_t)index * 32;
    for (size_t i = 0; i < 4; i++)
        build_count(build, at + i * 8, values[i], false);
}

void build_live(struct build *build, struct build_live live)
{
    size_t at = build_record(build, HT_LINES, live.line), i = live.entry;
    build_u32(build, at, (uint32_t)(live.address >> 14));
    build_u16(build, at + 4, (uint16_t)(live.address >> 46));
    build_u32(build, at + 8 + 4 * i, live.state | (uint32_t)(live.address & 16383) << 3 | 0xabcc0000);
    build_u32(build, at + 24 + 4 * i, live.site);
    build_u32(build, at + 40 + 4 * i, live.size);
    build_u16(build, at + 56 + 2 * i, live.birth);
}

void build_packed(struct build *build, struct build_live live)
{
    size_t at = build_record(build, HT_LINES, live.line), i = live.entry, units = (live.address & 16383) / 8;
    build_u32(build, at, (uint32_t)(live.address >> 14));
    build_u16(build, at + 4, (uint16_t)(live.address >> 46));
    build_u16(build, at + 6, 1);
    build_u32(build, at + 8 + 4 * i, live.size << 20 | live.site);
    build_u16(build, at + 40 + 2 * i, (uint16_t)(units >> 8 << 13 | (live.birth / 8 + 1)));
    build->at[at + 56 + i] = (uint8_t)units;
}

void build_map(struct build *build, uint32_t row, uint64_t start, uint64_t size, uint32_t site, uint32_t birth)
{
    size_t at = build_record(build, HT_MAPS, row);
    const uint32_t words[6] = {
        site, birth, (uint32_t)start, (uint32_t)(start >> 32), (uint32_t)size, (uint32_t)(size >> 32)};
    for (size_t i = 0; i < 6; i++)
        build_u32(build, at + 4 * i, words[i]);
}

void build_block(struct build *build, uint32_t row, uint32_t claim, uint32_t slot, uint64_t first, uint64_t time_ns)
{
    size_t at = build_record(build, HT_RING, row);
    const uint32_t words[6] = {
        claim + 1, slot, (uint32_t)first, (uint32_t)(first >> 32), (uint32_t)time_ns, (uint32_t)(time_ns >> 32)};
    for (size_t i = 0; i < 6; i++)
        build_u32(build, at + 4 * i, words[i]);
}

void build_event(struct build *build, struct build_event event)
{
    size_t at = build_record(build, HT_RING, event.row) + 32 + (size_t)event.index * 16;
    build_u32(build, at, (uint32_t)event.address);
    build_u32(build, at + 4, event.size);
    build_u32(build, at + 8, event.site);
    build_u32(build, at + 12, event.type | event.flags << 4 | event.lap << 8 | (uint32_t)(event.address >> 32) << 16);
}

static void example_header(struct build *build)
{
    build_u32(build, HEADER(flags), HT_FLAG_ONE_KERNEL); /* with a boot id that is not this one's: it has ended */
    build_u32(build, HEADER(pid), 4242);
    build_u32(build, HEADER(parent_pid), 4000);
    build_u32(build, HEADER(uid), 1000);
    build_u64(build, HEADER(pid_namespace), 77);
    build_u64(build, HEADER(start_ticks), 123456);
    build_u64(build, HEADER(start_realtime_ns), UINT64_C(1700000000000000000));
    build_text(build, HEADER(boot_id), "00000000-0000-0000-0000-000000000000");
    build_text(build, HEADER(shim_version), "0.1.0");
    build_text(build, HEADER(exe), "/no/such/example");
    build_text(build, HEADER(command), "example --one\033[31m two");
    build_u64(build, HEADER(budget_bytes), 1 << 20);
    build_u32(build, HEADER(depth_max), 1024);
    build_u32(build, HEADER(slot_count), 2);
    build_u32(build, HEADER(ring_blocks), 3);
    build_count(build, HEADER(peak_bytes), UINT64_C(5000000000), false);
    build_u32(build, HEADER(threads_seen), 2);
}

static void example_stacks(struct build *build)
{
    build_module(build, 0, 0x400000, "/no/such/example", 0x11);
    build_module(build, 1, 0x7f0000, "/no/such/lib;odd\n.so", 0x22);
    build_place(build, 1, 1, 0x1100, 0);                             /* main */
    build_place(build, 2, 1, 0x1200, 0);                             /* parse */
    build_place(build, 3, 2, UINT64_C(0x100002300), HT_PLACE_EXACT); /* grow */
    build_place(build, 4, HT_CUT, HT_CUT_DEPTH, 0);
    build_place(build, 5, HT_NO_MODULE, 0xdead, 0);
    build_node(build, 1, 0, 1);
    build_node(build, 2, 1, 2);
    build_node(build, 3, 2, 3);
    build_node(build, 4, 1, 3);
    build_node(build, 5, 0, 4);
    build_node(build, 6, 5, 5);
    build_site(build, 1, 3, HT_KIND_HEAP);
    build_site(build, 2, 4, HT_KIND_HEAP);
    build_site(build, 3, 6, HT_KIND_HEAP);
    build_site(build, 4, 0, HT_KIND_HEAP);
    build_site(build, 5, 2, HT_KIND_MAP);
    build_site(build, 6, 2, HT_KIND_RESERVE);
    build_site(build, 65, 2, HT_KIND_HEAP);
}

/* Site 1: 3 allocated, 1 freed in another slot. Site 2: 2^33 + 7 bytes in one block (32-bit: 7). Site 65 lies in the second group. */
static void example_counts(struct build *build, bool wide)
{
    uint64_t large = wide ? (UINT64_C(1) << 33) + 7 : 7;
    build_slot(build, 0, 4242, "main", 260);
    build_slot(build, 1, 4243, "work\ter", 3);
    build_slot(build, 2, 0, "", 1);
    build_loss(build, 0, HT_LOST_UNKNOWN_FREE, 3);
    build_loss(build, 1, HT_LOST_UNKNOWN_FREE, 4);
    build_loss(build, 0, HT_LOST_OVERWRITTEN, 254);
    build_chunk(build, 0, 0, 0);
    build_chunk(build, 1, 0, 1);
    build_chunk(build, 2, 1, 0);
    build_cell(build, 0, 1, (const uint64_t[4]){3, 300, 0, 0});
    build_cell(build, 1, 1, (const uint64_t[4]){0, 0, 1, 100});
    build_cell(build, 0, 2, (const uint64_t[4]){1, large, 0, 0});
    build_cell(build, 0, 3, (const uint64_t[4]){10, 1000, 9, 936});
    build_cell(build, 0, 4, (const uint64_t[4]){1, 5, 0, 0});
    build_cell(build, 0, 5, (const uint64_t[4]){2, 8192, 1, 4096});
    build_cell(build, 0, 6, (const uint64_t[4]){1, 65536, 0, 0});
    build_cell(build, 2, 1, (const uint64_t[4]){1, 0, 0, 0});
}

static void example_live(struct build *build, bool wide)
{
    uint64_t high = wide ? UINT64_C(0x7ffff0000000) : 0x70000000;
    const struct build_live live[] = {
        {0, 1, high + 0x90, HT_TAG_LIVE, 1, 100, 2047}, {0, 2, high + 0x1f8, HT_TAG_LIVE, 3, 64, (1 << 11) | 1},
        {0, 3, high + 0x100, HT_TAG_BUSY, 1, 12345, 0}, {2, 0, high + 0x400, HT_TAG_LIVE, 2, 7, 0},
        {2, 3, high + 0x430, HT_TAG_LIVE, 65, 0, 0},
    };
    for (size_t i = 0; i < sizeof live / sizeof *live; i++)
        build_live(build, live[i]);
    build_packed(build, (struct build_live){3, 2, high + 0x10, 0, 1, 100, 16});
    build_packed(build, (struct build_live){3, 3, high + 0x3f80, 0, 0, 2, 0});  /* being filled */
    build_packed(build, (struct build_live){3, 4, high + 0x3f80, 0, 1, 20, 0}); /* being emptied */
    build_u16(build, build_record(build, HT_LINES, 3) + 48, 0);
    build_packed(build, (struct build_live){3, 7, high + 0x420, 0, 4, 5, 0});
    if (wide)
        build_live(build, (struct build_live){2, 1, high + 0x400, HT_TAG_HIGH, 0, 2, 0});
    build_map(build, 1, high + 0x10000, 4096, 5, 32);
    build_map(build, 2, high + 0x20000, 65536, 6, 33);
}

/* Three blocks in the ring; the fourth claim took block 0 from the first. Slot 0 has written 260 events, of which its first 254 are gone. */
static void example_ring(struct build *build, bool wide)
{
    const struct build_event events[] = {
        {0, 0, HT_EVENT_TIME, 0, 1, 0, 5000, 0},
        {0, 1, HT_EVENT_ALLOC, 0, 1, 0x70000010, 100, 1},
        {0, 2, HT_EVENT_FREE, HT_EVENT_REALLOC, 1, 0x70000010, 100, 1},
        {0, 3, HT_EVENT_ALLOC, HT_EVENT_REALLOC, 1, 0x70000090, 100, 1},
        {0, 4, wide ? HT_EVENT_HIGH : HT_EVENT_TIME, 0, 1, 0, wide ? 2 : 5000, 0},
        {0, 5, HT_EVENT_ALLOC, 0, 1, wide ? UINT64_C(0x7ffff0000400) : 0x70000400, 7, 2},
        {0, 9, HT_EVENT_ALLOC, 0, 0, 0x70000999, 1, 1}, /* of the lap before: not there any more */
        {1, 0, HT_EVENT_ALLOC, 0, 0, 0x70000500, 100, 1},
        {1, 1, HT_EVENT_TIME, 0, 0, 0, 1500, 1},
        {1, 2, HT_EVENT_FREE, HT_EVENT_STALE, 0, 0x70000500, 100, 1},
        {2, 1, HT_EVENT_FREE, 0, 0, 0x70000600, 8, 3},
    };
    build_block(build, 0, 3, 0, 254, 3000);
    build_block(build, 1, 1, 1, 0, 1000);
    build_block(build, 2, 2, 2, 0, 2000);
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        build_event(build, events[i]);
}

void build_example(struct build *build, bool big, unsigned word_bytes)
{
    bool wide = word_bytes == 8;
    build_begin(build, big, word_bytes);
    example_header(build);
    example_stacks(build);
    example_counts(build, wide);
    example_live(build, wide);
    example_ring(build, wide);
}

int build_descriptor(const struct build *build, size_t bytes)
{
    int fd = memfd_create("buffer", MFD_CLOEXEC);
    for (size_t done = 0; fd >= 0 && done < bytes;) {
        ssize_t wrote = write(fd, build->at + done, bytes - done);
        if (wrote <= 0) {
            close(fd);
            return -1;
        }
        done += (size_t)wrote;
    }
    return fd;
}
