/*
 * Makes buffer files in memory, in either byte order and word size, byte by byte: shares nothing with the reader but the offsets of format.h.
 */
#ifndef BUILD_FILE_H
#define BUILD_FILE_H

#include <heaptap/format.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUILD_SECTION_BYTES ((size_t)65536)
#define BUILD_BYTES (BUILD_SECTION_BYTES * (1 + HT_RING + 1))

struct build {
    uint8_t *at; /* BUILD_BYTES bytes */
    bool big;
};

/* An empty, published buffer: header, and a section of 64 KiB for each table. */
void build_begin(struct build *build, bool big, unsigned word_bytes);
void build_end(struct build *build);

void build_u16(struct build *build, size_t at, uint16_t value);
void build_u32(struct build *build, size_t at, uint32_t value);
void build_u64(struct build *build, size_t at, uint64_t value);
void build_text(struct build *build, size_t at, const char *text);
/* A split counter as its owner writes it; `mid_carry`: killed after lo, before hi. */
void build_count(struct build *build, size_t at, uint64_t value, bool mid_carry);

/* Where record `id` of a section lies; raises the section's `used` above it. */
size_t build_record(struct build *build, enum ht_section_id section, uint32_t id);
/* Where a field of the section table lies. */
size_t build_section_field(enum ht_section_id section, size_t field);

void build_module(struct build *build, uint32_t row, uint64_t bias, const char *path, uint8_t build_id);
void build_place(struct build *build, uint32_t id, uint32_t module, uint64_t offset, uint32_t flags);
void build_node(struct build *build, uint32_t id, uint32_t parent, uint32_t place);
void build_site(struct build *build, uint32_t id, uint32_t node, uint32_t kind);
void build_slot(struct build *build, uint32_t slot, uint32_t owner, const char *name, uint64_t events);
void build_loss(struct build *build, uint32_t slot, enum ht_loss loss, uint64_t value);
void build_chunk(struct build *build, uint32_t chunk, uint32_t group, uint32_t slot);
/* allocs, alloc_bytes, frees, free_bytes */
void build_cell(struct build *build, uint32_t chunk, uint32_t index, const uint64_t values[4]);

struct build_live {
    uint32_t line;
    unsigned entry;
    uint64_t address;
    uint32_t state, site, size;
    uint16_t birth;
};
void build_live(struct build *build, struct build_live live);
/* The same in a packed line; the state is that the site says: 0 is being filled. */
void build_packed(struct build *build, struct build_live live);
void build_map(struct build *build, uint32_t row, uint64_t start, uint64_t size, uint32_t site, uint32_t birth);
void build_block(struct build *build, uint32_t row, uint32_t claim, uint32_t slot, uint64_t first, uint64_t time_ns);

struct build_event {
    uint32_t row, index;
    uint32_t type, flags, lap;
    uint64_t address;
    uint32_t size, site;
};
void build_event(struct build *build, struct build_event event);

/*
 * The example that most tests start from: consistent by every rule of format.h. Two modules, stacks main > parse > grow and main > grow, one
 * cut stack, one site without a stack, heap, a map and a reservation, a block over 4 GiB (64-bit words only), two slots and the shared
 * one, and a ring of which a part was overwritten.
 */
void build_example(struct build *build, bool big, unsigned word_bytes);

/* The first `bytes` of the file as an anonymous descriptor; -1 on failure. */
int build_descriptor(const struct build *build, size_t bytes);

#endif
