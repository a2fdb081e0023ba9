/*
 * libFuzzer's entry: reader, rules, profile, folded and raw text, report, events, addresses, and the same of two processes merged. An input is a packed buffer: the header, then for each section 4 bytes of
 * length (little-endian) and its data, so that inputs stay small though sections begin on 64 KiB. pack_buffer makes seeds of real files.
 */
#include <report/events.h>
#include <report/html_data.h>
#include <report/layout.h>
#include <report/merge.h>
#include <report/verify.h>
#include <report/write.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_MAX (64u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t section_offset(const struct ht_header *header, int id)
{
    uint64_t offset = header->section[id].offset;
    return header->byte_order == HT_BYTE_ORDER ? offset : __builtin_bswap64(offset);
}

/* Unpacks into the file; returns false if there is not even a header. */
static bool unpack(int fd, const uint8_t *data, size_t size)
{
    struct ht_header header;
    if (size < sizeof header)
        return pwrite(fd, data, size, 0) == (ssize_t)size;
    memcpy(&header, data, sizeof header);
    if (ftruncate(fd, FILE_MAX) != 0 || pwrite(fd, data, sizeof header, 0) != (ssize_t)sizeof header)
        return false;
    size_t at = sizeof header;
    for (int id = 0; id <= HT_RING && at + 4 <= size; id++) {
        uint32_t length = data[at] | data[at + 1] << 8 | data[at + 2] << 16 | (uint32_t)data[at + 3] << 24;
        at += 4;
        length = (uint32_t)MIN(length, size - at);
        uint64_t offset = section_offset(&header, id);
        if (offset >= sizeof header && offset < FILE_MAX - length && pwrite(fd, data + at, length, (off_t)offset) < 0)
            return false;
        at += length;
    }
    return true;
}

/* What needs no reader. */
static void show(const struct profile *profile, FILE *out)
{
    struct names names;
    struct tree tree = {0};
    struct layout layout = {0};
    uint32_t *places = malloc(((size_t)profile->place_count + 1) * sizeof *places);
    if (names_init(&names, profile, NULL, NULL, NULL)) {
        for (int view = 0; view < PROFILE_VIEWS; view++) {
            write_folded(out, &names, (enum profile_view)view, NULL);
            write_text(out, &names, (enum profile_view)view, NULL);
            write_speedscope(
                out, &(struct write_input){.profile = profile, .names = &names, .view = (enum profile_view)view}, NULL);
        }
        if (tree_build(&tree, &names, TREE_EVERYTHING, NULL))
            html_data(out, &(struct write_input){.profile = profile, .names = &names}, &tree);
        tree_free(&tree);
    }
    names_free(&names);
    for (uint32_t i = 0; places && i <= profile->place_count; i++)
        places[i] = i; /* the last one is layout_no_stack */
    if (places && layout_make(&layout, profile, places, profile->place_count + 1))
        for (uint32_t i = 0; i < layout.location_count; i++) {
            const struct layout_mapping *mapping = &layout.mappings[layout.locations[i].mapping];
            if (layout.locations[i].address < mapping->start || layout.locations[i].address >= mapping->limit)
                abort();
        }
    layout_free(&layout);
    free(places);
}

/* Twice the same is the hardest: everything is shared, and all segments lie where others do if anything differs. */
static void show_merged(const struct profile *profile, bool roots, FILE *out)
{
    struct merge merge;
    if (merge_init(&merge, roots, NULL) && merge_add(&merge, profile, true, 0, NULL) &&
        merge_add(&merge, profile, false, 0, NULL)) {
        if (merge.profile.total[HT_KIND_HEAP].allocs != 2 * profile->total[HT_KIND_HEAP].allocs ||
            merge.profile.site_count != 2 * profile->site_count)
            abort();
        show(&merge.profile, out);
    }
    merge_free(&merge);
}

static void convert(struct reader *reader, FILE *out)
{
    struct verify verify;
    struct profile profile;
    struct events events;
    struct events_item item;
    verify_run(reader, &verify, NULL, NULL, NULL);
    if (events_open(&events, reader, NULL)) {
        while (events_next(&events, &item) != EVENTS_END) {
        }
        events_close(&events);
    }
    if (profile_load(&profile, reader, NULL)) {
        write_raw(out, &profile, reader);
        show(&profile, out);
        show_merged(&profile, false, out);
        show_merged(&profile, true, out);
    }
    profile_free(&profile);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *out;
    struct reader reader;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (!out)
        out = fopen("/dev/null", "w");
    if (fd >= 0 && out && unpack(fd, data, size) && reader_open_fd(&reader, fd, "FILE", NULL)) {
        convert(&reader, out);
        reader_close(&reader);
    }
    if (fd >= 0)
        close(fd);
    return 0;
}
