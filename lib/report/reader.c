#include "process.h"
#include "reader_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTION_BYTES_MAX                                                                                              \
    (UINT64_C(1) << 36) /* no section of a real file is nearly as large; bounds what page tables may cost */

const uint32_t reader_record_bytes[HT_SECTIONS_MAX] = {
    [HT_MODULES] = sizeof(struct ht_module),
    [HT_PLACES] = sizeof(struct ht_place),
    [HT_NODES] = sizeof(struct ht_node),
    [HT_SITES] = sizeof(struct ht_site),
    [HT_SLOTS] = sizeof(struct ht_slot),
    [HT_CHUNKS] = sizeof(struct ht_chunk),
    [HT_CELLS] = sizeof(struct ht_cell) * HT_SITES_PER_CHUNK,
    [HT_LINES] = sizeof(struct ht_line),
    [HT_MAPS] = sizeof(struct ht_map),
    [HT_RING] = sizeof(struct ht_block),
};

const char *const reader_section_name[HT_SECTIONS_MAX] = {
    [HT_MODULES] = "modules", [HT_PLACES] = "places", [HT_NODES] = "nodes", [HT_SITES] = "sites", [HT_SLOTS] = "slots",
    [HT_CHUNKS] = "chunks",   [HT_CELLS] = "cells",   [HT_LINES] = "lines", [HT_MAPS] = "maps",   [HT_RING] = "ring",
};

bool reader_pread(int fd, void *to, size_t bytes, uint64_t at)
{
    size_t done = 0;
    while (done < bytes) {
        ssize_t got = pread(fd, (char *)to + done, bytes - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

static void decode_header(struct ht_header *header, bool swapped)
{
    if (swapped) {
        uint16_t *halves[] = {&header->version_major, &header->version_minor, &header->e_machine};
        for (size_t i = 0; i < ARRAY_LEN(halves); i++)
            *halves[i] = __builtin_bswap16(*halves[i]);
        reader_swap32(&header->header_bytes, 1);
        reader_swap32(&header->state, 2);
        for (int i = 0; i < HT_SECTIONS_MAX; i++) {
            reader_swap64(&header->section[i].offset, 2);
            reader_swap32(&header->section[i].record_bytes, 4);
        }
        reader_swap32(&header->pid, 4);
        reader_swap64(&header->pid_namespace, 5);
        reader_swap64(&header->budget_bytes, 1);
        reader_swap32(&header->interval_bytes, 4);
        reader_swap32(&header->ctl_pause, 8);
        reader_swap32(&header->peak_bytes, 6); /* with modules_lost, threads_seen, module_changes */
        reader_swap64(&header->file_inode, 1);
    }
    header->boot_id[sizeof header->boot_id - 1] = 0;
    header->shim_version[sizeof header->shim_version - 1] = 0;
    header->exe[sizeof header->exe - 1] = 0;
    header->command[sizeof header->command - 1] = 0;
    header->parent_file[sizeof header->parent_file - 1] = 0;
    header->malloc_owner[sizeof header->malloc_owner - 1] = 0;
    header->only[sizeof header->only - 1] = 0;
    header->problem[sizeof header->problem - 1] = 0;
}

/* Reads and checks what comes before the section table. */
static bool read_header(int fd, const char *path, struct ht_header *header, bool *swapped, struct err *err)
{
    static const char zero[sizeof header->magic];
    if (!reader_pread(fd, header, sizeof *header, 0)) {
        memset(header, 0, sizeof *header);
        if (reader_pread(fd, header->magic, sizeof header->magic, 0) &&
            memcmp(header->magic, HT_MAGIC, sizeof HT_MAGIC) == 0)
            return err_set(err, "%s: truncated inside its header; copy the file again", path);
        return err_set(err, "%s: not a heaptap buffer (too short)", path);
    }
    if (memcmp(header->magic, zero, sizeof zero) == 0)
        return err_set(
            err, "%s: not a heaptap buffer, or one that its process is still making or was killed while making", path);
    if (memcmp(header->magic, HT_MAGIC, sizeof header->magic) != 0)
        return err_set(err, "%s: not a heaptap buffer (it does not begin with %s)", path, HT_MAGIC);
    *swapped = header->byte_order == __builtin_bswap32(HT_BYTE_ORDER);
    if (!*swapped && header->byte_order != HT_BYTE_ORDER)
        return err_set(err, "%s: damaged: byte order mark is 0x%x", path, header->byte_order);
    decode_header(header, *swapped);
    if (header->version_major != HT_VERSION_MAJOR)
        return err_set(err,
                       "%s: format version %u.%u, this heaptap reads %u.x: use the heaptap that came with the "
                       "libheaptap.so that wrote it",
                       path, header->version_major, header->version_minor, HT_VERSION_MAJOR);
    if (header->state == HT_STATE_MAKING)
        return err_set(err, "%s: its process is still making it, or was killed while making it: nothing was recorded",
                       path);
    if (header->state > HT_STATE_EXITING || header->header_bytes < sizeof *header ||
        header->header_bytes > HT_SECTION_ALIGN)
        return err_set(err, "%s: damaged: state %u, header of %u bytes", path, header->state, header->header_bytes);
    if ((header->word_bytes != 4 && header->word_bytes != 8) || header->page_shift < 9 || header->page_shift > 30)
        return err_set(err, "%s: damaged: words of %u bytes, pages of 2^%u", path, header->word_bytes,
                       header->page_shift);
    return true;
}

static bool check_section(const struct ht_header *header, int id, uint64_t file_bytes, const char *path,
                          struct err *err)
{
    const struct ht_section *section = &header->section[id];
    const char *name = reader_section_name[id];
    uint64_t end = section->offset + section->capacity_bytes;
    if (!section->offset)
        return true;
    if (section->offset % HT_SECTION_ALIGN || section->offset < header->header_bytes || end < section->offset)
        return err_set(err, "%s: section table inconsistent: %s at 0x%llx with 0x%llx bytes", path, name,
                       (unsigned long long)section->offset, (unsigned long long)section->capacity_bytes);
    if (end > file_bytes)
        return err_set(err,
                       "%s: truncated: section %s ends at byte %llu, the file at %llu; copy it again, with its holes "
                       "(cp --sparse=always, tar -S)",
                       path, name, (unsigned long long)end, (unsigned long long)file_bytes);
    if (section->record_bytes != reader_record_bytes[id])
        return err_set(err, "%s: section table inconsistent: records of %s have %u bytes, not %u", path, name,
                       section->record_bytes, reader_record_bytes[id]);
    if ((uint64_t)section->used * section->record_bytes > MIN(section->capacity_bytes, SECTION_BYTES_MAX))
        return err_set(err, "%s: section table inconsistent: %u records of %s do not fit into %llu bytes", path,
                       section->used, name, (unsigned long long)section->capacity_bytes);
    for (int other = 0; other < id; other++) {
        const struct ht_section *second = &header->section[other];
        if (reader_section_name[other] && second->offset && second->offset < end &&
            section->offset < second->offset + second->capacity_bytes)
            return err_set(err, "%s: section table inconsistent: %s and %s overlap", path, reader_section_name[other],
                           name);
    }
    return true;
}

static bool check_sections(const struct ht_header *header, uint64_t file_bytes, const char *path, struct err *err)
{
    for (int id = 0; id < HT_SECTIONS_MAX; id++)
        if (reader_section_name[id] && !check_section(header, id, file_bytes, path, err))
            return false;
    return true;
}

/* `used` as it stands now: it only grows, and was checked against the capacity. */
static void refresh_used(struct reader *reader, int fd, enum ht_section_id id)
{
    uint32_t used;
    struct ht_section *section = &reader->header.section[id];
    uint64_t at = offsetof(struct ht_header, section) + id * sizeof *section + offsetof(struct ht_section, used);
    if (!section->offset || !reader_pread(fd, &used, sizeof used, at))
        return;
    if (reader->swapped)
        used = __builtin_bswap32(used);
    if (used > section->used &&
        (uint64_t)used * section->record_bytes <= MIN(section->capacity_bytes, SECTION_BYTES_MAX))
        section->used = used;
}

static uint64_t sum_events(const struct reader *reader)
{
    uint64_t sum = 0;
    for (uint32_t i = reader_next(reader, HT_SLOTS, 0); i < reader_count(reader, HT_SLOTS);
         i = reader_next(reader, HT_SLOTS, i + 1))
        sum += reader_value(&((const struct ht_slot *)reader_record(reader, HT_SLOTS, i))->events);
    return sum;
}

/* Whatever names something is read before what it names. */
static bool copy_sections(struct reader *reader, int fd, struct err *err)
{
    static const enum ht_section_id order[] = {HT_RING,  HT_MAPS,  HT_LINES,  HT_CELLS,   HT_CHUNKS,
                                               HT_SITES, HT_NODES, HT_PLACES, HT_MODULES, HT_SLOTS};
    bool steady = reader->process != READER_ENDED;
    if (!reader_copy_section(reader, fd, HT_SLOTS, steady, err))
        return false;
    reader->events_before = sum_events(reader);
    reader_drop_section(reader, HT_SLOTS);
    reader->data_bytes = 0;
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        if (steady)
            refresh_used(reader, fd, order[i]);
        if (!reader_copy_section(reader, fd, order[i], steady, err))
            return false;
    }
    reader->events_after = sum_events(reader);
    if (reader->events_after < reader->events_before) /* counters only grow: this is another file by now */
        return err_set(err, "%s: was overwritten while it was read; read it again", reader->path);
    return true;
}

static bool check_regular(int fd, const char *path, struct stat *stat, struct err *err)
{
    if (fstat(fd, stat) != 0)
        return err_system(err, "look at", path);
    if (!S_ISREG(stat->st_mode))
        return err_set(err, "%s: not a heaptap buffer (not a regular file)", path);
    return true;
}

/* Everything but the sections. */
static bool begin(struct reader *reader, int fd, const char *path, struct err *err)
{
    struct stat stat;
    memset(reader, 0, sizeof *reader);
    snprintf(reader->path, sizeof reader->path, "%s", path);
    if (!check_regular(fd, path, &stat, err) || !read_header(fd, path, &reader->header, &reader->swapped, err))
        return false;
    reader->owner = stat.st_uid;
    reader->file_bytes = (uint64_t)stat.st_size;
    reader->process = process_state(&reader->header, fd);
    return check_sections(&reader->header, reader->file_bytes, path, err);
}

bool reader_open_fd(struct reader *reader, int fd, const char *path, struct err *err)
{
    if (!begin(reader, fd, path, err))
        return false;
    if (copy_sections(reader, fd, err))
        return true;
    reader_close(reader);
    return false;
}

bool reader_add_losses_fd(uint64_t lost[HT_LOSSES_MAX], int fd, const char *path, struct err *err)
{
    struct reader reader;
    if (!begin(&reader, fd, path, err))
        return false;
    bool done = reader_copy_section(&reader, fd, HT_SLOTS, reader.process != READER_ENDED, err);
    for (uint32_t i = reader_next(&reader, HT_SLOTS, 0); done && i < reader_count(&reader, HT_SLOTS);
         i = reader_next(&reader, HT_SLOTS, i + 1))
        for (int cause = 0; cause < HT_LOSSES_MAX; cause++)
            lost[cause] += reader_value(&((const struct ht_slot *)reader_record(&reader, HT_SLOTS, i))->lost[cause]);
    reader_close(&reader);
    return done;
}

static void cannot_open(const char *path, struct err *err)
{
    const char *reason = strerror(errno);
    struct stat stat;
    if (errno == ELOOP)
        err_set(err, "%s: a symbolic link, which heaptap does not follow: name the file itself", path);
    else if (errno == ENOENT)
        err_set(err, "cannot open %s: %s; heaptap ls shows what there is", path, reason);
    else if (errno == EACCES && lstat(path, &stat) == 0 && stat.st_uid != geteuid())
        err_set(err, "cannot open %s: %s; it belongs to user %u: be that user, or root", path, reason,
                (unsigned)stat.st_uid);
    else
        err_system(err, "open", path);
}

static int open_regular(const char *path, struct err *err)
{
    if (!*path) {
        err_set(err, "cannot open a file without a name; heaptap ls shows what there is");
        return -1;
    }
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        cannot_open(path, err);
    return fd;
}

bool reader_open(struct reader *reader, const char *path, struct err *err)
{
    int fd = open_regular(path, err);
    if (fd < 0)
        return false;
    bool done = reader_open_fd(reader, fd, path, err);
    close(fd);
    return done;
}

bool reader_peek_fd(struct reader_summary *summary, int fd, const char *path, struct err *err)
{
    struct stat stat;
    bool swapped;
    if (!check_regular(fd, path, &stat, err) || !read_header(fd, path, &summary->header, &swapped, err))
        return false;
    summary->owner = stat.st_uid;
    summary->data_bytes = (uint64_t)stat.st_blocks * 512;
    summary->process = process_state(&summary->header, fd);
    summary->copied = summary->header.file_inode && summary->header.file_inode != stat.st_ino;
    return true;
}

bool reader_peek(struct reader_summary *summary, const char *path, struct err *err)
{
    int fd = open_regular(path, err);
    if (fd < 0)
        return false;
    bool done = reader_peek_fd(summary, fd, path, err);
    close(fd);
    return done;
}

void reader_close(struct reader *reader)
{
    for (int id = 0; id < HT_SECTIONS_MAX; id++)
        reader_drop_section(reader, (enum ht_section_id)id);
}
