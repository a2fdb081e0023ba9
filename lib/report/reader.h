/*
 * A buffer file, read into private memory in the order of this machine. Trusts nothing: every offset, length and count of the section table is checked
 * here, before anything else is looked at; every accessor checks its id. What a record says (ids, addresses, text) is not judged here: profile.h clamps
 * it, verify.h reports it.
 *
 *   - Nothing stays mapped: the owner may truncate the file at any time. Only pages that hold data cost memory: a sparse file of 256 MiB costs
 *     what is used of it.
 *   - A living process changes its file while it is read. What is named by something is read after it (ring, live table, counters, then sites, nodes,
 *     places, modules), so that no id points at nothing. Counters are read hi, lo, hi; live entries, mappings and ring blocks are read tag, payload, tag, and
 *     those that changed in between are left out.
 *   - Records keep their type from format.h; ids are theirs, too. All text fields are terminated.
 */
#ifndef HEAPTAP_READER_H
#define HEAPTAP_READER_H

#include "err.h"

#include <sys/types.h>

enum reader_process {
    READER_ENDED,   /* certainly gone */
    READER_RUNNING, /* certainly there: same boot, PID namespace, PID and start time */
    READER_UNKNOWN /* another PID namespace or machine, or the file does not say enough. Treated as running where that is safer */
};

struct reader_section {
    const char *at; /* NULL: no records */
    uint64_t *
        pieces; /* bitmap: 64 KiB pieces that hold data; the rest is zero and must not be touched (it would cost page tables) */
    uint64_t bytes; /* mapped */
    uint32_t count; /* records */
    uint32_t record_bytes;
};

struct reader {
    struct ht_header header; /* in the order of this machine; section[].used as it was when that section was read */
    struct reader_section section[HT_SECTIONS_MAX];
    char path[4096];
    enum reader_process process;
    bool swapped;           /* the file has the other byte order */
    uid_t owner;            /* of the file */
    uint64_t file_bytes;    /* length */
    uint64_t data_bytes;    /* bytes that were read and not zero, in whole pages */
    uint64_t events_before; /* sum of slot.events before the reading; */
    uint64_t events_after;  /* after it, never less. Equal: the file did not change meanwhile */
    uint64_t left_out;      /* live entries, mappings and ring blocks that changed under our eyes */
};

/*
 * Opens and reads a file: O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, regular files only. The descriptor is closed again.
 * Errors: not there; not a regular file; not a buffer; being made; truncated; another major version; section table inconsistent;
 * overwritten meanwhile; no memory.
 */
bool reader_open(struct reader *reader, const char *path, struct err *err);
/* The same from a descriptor, which stays the caller's. `path` is for messages. */
bool reader_open_fd(struct reader *reader, int fd, const char *path, struct err *err);
void reader_close(struct reader *reader);

/* Reads and checks the header only (decoded into *header): for listing. `owner`, `process` and `data_bytes` (allocated in the filesystem) may be NULL. */
struct reader_summary {
    struct ht_header header;
    enum reader_process process;
    bool copied; /* it is not the file that the process made */
    uid_t owner;
    uint64_t data_bytes; /* that the filesystem has allocated */
};
bool reader_peek(struct reader_summary *summary, const char *path, struct err *err);
/* The same from a descriptor, which stays the caller's. */
bool reader_peek_fd(struct reader_summary *summary, int fd, const char *path, struct err *err);

/* Reads and checks header and section table, and adds what was lost, by cause, in all slots to `lost`; nothing else is read. The descriptor stays the caller's. */
bool reader_add_losses_fd(uint64_t lost[HT_LOSSES_MAX], int fd, const char *path, struct err *err);

/* Records a caller may ask for are ids below this. */
INLINE uint32_t reader_count(const struct reader *reader, enum ht_section_id section)
{
    return reader->section[section].count;
}
/* Record `id` or NULL if it lies beyond the section or in a hole. Published or not is for the caller to look at. */
const void *reader_record(const struct reader *reader, enum ht_section_id section, uint32_t id);
/*
 * First id >= `id` that does not lie in a hole; at the end the count, or `id` if that is more:
 *   for (i = reader_next(r, s, 0); i < count; i = reader_next(r, s, i + 1))
 */
uint32_t reader_next(const struct reader *reader, enum ht_section_id section, uint32_t id);

/* Published records, or NULL. Modules, slots, chunks, lines, maps and blocks count from 0; places, nodes and sites from 1. */
const struct ht_module *reader_module(const struct reader *reader, uint32_t row);
const struct ht_place *reader_place(const struct reader *reader, uint32_t id);
const struct ht_node *reader_node(const struct reader *reader, uint32_t id);
const struct ht_site *reader_site(const struct reader *reader, uint32_t id);

INLINE uint64_t reader_u64(uint32_t lo, uint32_t hi)
{
    return (uint64_t)hi << 32 | lo;
}
INLINE uint64_t reader_value(const struct ht_count *count)
{
    return count_value(count->hi, count->lo);
}

/* A live block or mapping. */
struct reader_block {
    uint64_t address;
    uint64_t size;
    uint64_t birth; /* sixteenths of a second since start_monotonic_ns, rounded down as format.h says */
    uint32_t site;  /* as in the file: maybe no site */
    uint32_t kind;  /* enum ht_kind of that site; 0: there is no such site */
};
/* Calls visit for each, blocks first, in the order of the file. */
void reader_each_block(const struct reader *reader, void (*visit)(void *arg, const struct reader_block *block),
                       void *arg);

/* The counters of one site in one slot. */
struct reader_cell {
    uint32_t site; /* as computed from the chunk: maybe no site */
    uint32_t slot; /* maybe no slot */
    uint64_t allocs, alloc_bytes, frees, free_bytes;
};
/* Calls visit for each cell that is not all zero. */
void reader_each_cell(const struct reader *reader, void (*visit)(void *arg, const struct reader_cell *cell), void *arg);

#endif
