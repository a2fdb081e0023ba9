#include "reader_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u

void reader_swap32(void *words, size_t count)
{
    uint32_t word;
    for (char *at = words; count--; at += sizeof word) {
        memcpy(&word, at, sizeof word);
        word = __builtin_bswap32(word);
        memcpy(at, &word, sizeof word);
    }
}

void reader_swap64(void *words, size_t count)
{
    uint64_t word;
    for (char *at = words; count--; at += sizeof word) {
        memcpy(&word, at, sizeof word);
        word = __builtin_bswap64(word);
        memcpy(at, &word, sizeof word);
    }
}

static void swap16(uint16_t *halves, size_t count)
{
    for (; count--; halves++)
        *halves = __builtin_bswap16(*halves);
}

static void swap_module(struct ht_module *module)
{
    reader_swap32(&module->state, 2);
    reader_swap64(&module->bias, 3);
    reader_swap32(&module->loads, 2);
    reader_swap32(&module->segment_count, 1);
    reader_swap64(module->segment, sizeof module->segment / 8);
}

static void swap_line(struct ht_line *line)
{
    struct ht_pack *pack = (struct ht_pack *)(void *)line;
    reader_swap32(&line->region_lo, 1);
    swap16(&line->region_hi, 2); /* and the kind */
    if (line->kind == HT_LINE_PACKED) {
        reader_swap32(pack->word, HT_PACK_ENTRIES);
        swap16(pack->place, HT_PACK_ENTRIES);
    } else {
        reader_swap32(line->tag, sizeof(line->tag) / 4 * 3); /* tag, site, size */
        swap16(line->birth, HT_LINE_ENTRIES);
    }
}

/* Whole records only: `at` begins one, and a piece is a multiple of every record. */
static void swap_records(enum ht_section_id section, char *at, size_t bytes)
{
    switch (section) {
    case HT_MODULES:
        for (size_t i = 0; i + sizeof(struct ht_module) <= bytes; i += sizeof(struct ht_module))
            swap_module((struct ht_module *)(at + i));
        break;
    case HT_LINES:
        for (size_t i = 0; i + sizeof(struct ht_line) <= bytes; i += sizeof(struct ht_line))
            swap_line((struct ht_line *)(at + i));
        break;
    case HT_SLOTS:
        for (size_t i = 0; i + sizeof(struct ht_slot) <= bytes; i += sizeof(struct ht_slot)) {
            reader_swap32(at + i, 2);
            reader_swap32(at + i + offsetof(struct ht_slot, events),
                          (sizeof(struct ht_slot) - offsetof(struct ht_slot, events)) / 4);
        }
        break;
    default: reader_swap32(at, bytes / 4); break;
    }
}

/* Text of records ends, whatever the file says. */
static void terminate_text(enum ht_section_id section, char *at, size_t bytes)
{
    size_t record = reader_record_bytes[section];
    for (size_t i = 0; i + record <= bytes && section == HT_MODULES; i += record)
        at[i + sizeof(struct ht_module) - 1] = 0;
    for (size_t i = 0; i + record <= bytes && section == HT_SLOTS; i += record)
        at[i + offsetof(struct ht_slot, events) - 1] = 0;
}

/* ---- What changes while it is read. a, b, c: the same bytes, read one after the other; the result goes into b. ---- */

static uint32_t word_at(const char *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* Pairs (lo, hi): hi before, lo, hi after. hi only grows, so b holds the same one if a and c do. False: a carry happened in between. */
static bool settle_counts(const char *a, const char *c, size_t bytes)
{
    bool same = true;
    for (size_t i = 4; i < bytes; i += 8)
        same &= word_at(a + i) == word_at(c + i);
    return same;
}

/* Wide entries whose tag changed are taken out. */
static uint64_t settle_wide(const struct ht_line *a, struct ht_line *b, const struct ht_line *c)
{
    uint64_t left_out = 0;
    for (int i = 0; i < HT_LINE_ENTRIES; i++) {
        bool same = a->tag[i] == c->tag[i];
        left_out += !same;
        b->tag[i] = same ? a->tag[i] : 0;
    }
    return left_out;
}

/* Packed ones also where another block of the same size and site has taken the entry: the word does not tell. */
static uint64_t settle_packed(const struct ht_pack *a, struct ht_pack *b, const struct ht_pack *c)
{
    uint64_t left_out = 0;
    for (int i = 0; i < HT_PACK_ENTRIES; i++) {
        bool same = a->word[i] == c->word[i] && a->place[i] == c->place[i] && a->low[i] == c->low[i];
        left_out += !same;
        b->word[i] = same ? a->word[i] : 0;
        b->place[i] = a->place[i];
        b->low[i] = a->low[i];
    }
    return left_out;
}

/* A line stays of its kind once it has one; it may have been begun meanwhile. */
static uint64_t settle_lines(const char *a, char *b, const char *c, size_t bytes)
{
    uint64_t left_out = 0;
    for (size_t i = 0; i < bytes; i += sizeof(struct ht_line)) {
        const void *before = a + i, *after = c + i;
        void *line = b + i;
        bool packed = ((const struct ht_line *)after)->kind != HT_LINE_WIDE;
        left_out += packed ? settle_packed(before, line, after) : settle_wide(before, line, after);
    }
    return left_out;
}

/* Records published by their first word: those whose word changed are taken out. */
static uint64_t settle_records(const char *a, char *b, const char *c, size_t bytes, size_t record_bytes)
{
    uint64_t left_out = 0;
    for (size_t i = 0; i < bytes; i += record_bytes) {
        bool same = word_at(a + i) == word_at(c + i);
        left_out += !same;
        memcpy(b + i, same ? a + i : (const char[4]){0}, 4);
    }
    return left_out;
}

struct piece {
    char a[READER_PIECE], b[READER_PIECE], c[READER_PIECE];
};

/* Reads one piece into piece->b. */
static bool read_steady(struct reader *reader, int fd, enum ht_section_id section, uint64_t at, size_t bytes,
                        struct piece *piece)
{
    for (int attempt = 0;; attempt++) {
        if (!reader_pread(fd, piece->a, bytes, at) || !reader_pread(fd, piece->b, bytes, at) ||
            !reader_pread(fd, piece->c, bytes, at))
            return false;
        switch (section) {
        case HT_SLOTS:
        case HT_CELLS:
            if (settle_counts(piece->a, piece->c, bytes) || attempt == 3)
                return true;
            break; /* a carry happens once in 2^31 units */
        case HT_LINES: reader->left_out += settle_lines(piece->a, piece->b, piece->c, bytes); return true;
        case HT_MAPS:
            reader->left_out += settle_records(piece->a, piece->b, piece->c, bytes, sizeof(struct ht_map));
            return true;
        case HT_RING:
            reader->left_out += settle_records(piece->a, piece->b, piece->c, bytes, sizeof(struct ht_block));
            return true;
        default: return true;
        }
    }
}

/* Puts the pages of a piece that are not all zero into the copy. */
static void keep_pages(struct reader *reader, enum ht_section_id id, uint64_t from, const char *bytes, size_t length)
{
    static const char zero[PAGE];
    struct reader_section *section = &reader->section[id];
    char *to = (char *)(uintptr_t)section->at + from;
    bool any = false;
    for (size_t i = 0; i < length; i += PAGE) {
        size_t part = MIN(PAGE, length - i);
        if (memcmp(bytes + i, zero, part) == 0)
            continue;
        memcpy(to + i, bytes + i, part);
        reader->data_bytes += PAGE;
        any = true;
    }
    if (!any)
        return;
    section->pieces[from / READER_PIECE / 64] |= UINT64_C(1) << (from / READER_PIECE % 64);
    if (reader->swapped)
        swap_records(id, to, length);
    terminate_text(id, to, length);
}

/* Where data goes on at or after `at`; UINT64_MAX: nowhere. A filesystem that knows no holes answers `at`. */
static uint64_t next_data(int fd, uint64_t at)
{
    off_t found = lseek(fd, (off_t)at, SEEK_DATA);
    if (found < 0)
        return errno == ENXIO ? UINT64_MAX : at;
    return (uint64_t)found;
}

static bool copy_pieces(struct reader *reader, int fd, enum ht_section_id id, bool steady, struct piece *piece)
{
    uint64_t start = reader->header.section[id].offset;
    uint64_t bytes = reader->section[id].bytes;
    for (uint64_t from = 0; from < bytes;) {
        uint64_t data = next_data(fd, start + from);
        if (data == UINT64_MAX || data - start >= bytes)
            return true;
        if (data > start + from)
            from = (data - start) / READER_PIECE * READER_PIECE;
        size_t length = (size_t)MIN(READER_PIECE, bytes - from);
        bool done = steady ? read_steady(reader, fd, id, start + from, length, piece)
                           : reader_pread(fd, piece->b, length, start + from);
        if (!done)
            return false;
        keep_pages(reader, id, from, piece->b, length);
        from += READER_PIECE;
    }
    return true;
}

bool reader_copy_section(struct reader *reader, int fd, enum ht_section_id id, bool steady, struct err *err)
{
    const struct ht_section *source = &reader->header.section[id];
    struct reader_section *section = &reader->section[id];
    uint64_t bytes = source->offset ? (uint64_t)source->used * source->record_bytes : 0;
    if (!bytes)
        return true;
    void *memory = bytes > SIZE_MAX / 2 ? MAP_FAILED
                                        : mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE,
                                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct piece *piece = malloc(sizeof *piece);
    uint64_t *pieces = calloc((size_t)(bytes / READER_PIECE / 64 + 1), sizeof *pieces);
    bool done = memory != MAP_FAILED && piece && pieces;
    if (memory != MAP_FAILED)
        *section = (struct reader_section){memory, pieces, bytes, source->used, source->record_bytes};
    else
        free(pieces);
    if (!done)
        err_set(err, "%s: no memory for its section %s of %llu bytes", reader->path, reader_section_name[id],
                (unsigned long long)bytes);
    else if (!copy_pieces(reader, fd, id, steady, piece))
        done = err_set(err, "%s: truncated or unreadable inside section %s", reader->path, reader_section_name[id]);
    free(piece);
    return done;
}

void reader_drop_section(struct reader *reader, enum ht_section_id id)
{
    struct reader_section *section = &reader->section[id];
    if (section->at)
        munmap((void *)(uintptr_t)section->at, (size_t)section->bytes);
    free(section->pieces);
    memset(section, 0, sizeof *section);
}
