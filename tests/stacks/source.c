#include "source.h"

#include "stack_log.h"
#include <report/reader.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static __attribute__((noreturn)) void fail(const struct source *source, const char *text)
{
    fprintf(stderr, "%s: %s\n", source->name, text);
    exit(2);
}

static void *grow(void *p, size_t bytes)
{
    p = realloc(p, bytes);
    if (!p) {
        perror("realloc");
        exit(2);
    }
    return p;
}

static struct event *add_event(struct stream *stream)
{
    if (stream->count == stream->capacity) {
        stream->capacity = stream->capacity ? 2 * stream->capacity : 1024;
        stream->event = grow(stream->event, stream->capacity * sizeof *stream->event);
    }
    struct event *event = &stream->event[stream->count++];
    memset(event, 0, sizeof *event);
    return event;
}

static struct stream *stream_number(struct source *source, size_t n)
{
    if (n >= source->streams) {
        source->stream = grow(source->stream, (n + 1) * sizeof *source->stream);
        memset(source->stream + source->streams, 0, (n + 1 - source->streams) * sizeof *source->stream);
        source->streams = n + 1;
    }
    return &source->stream[n];
}

/* ---- The reference's log. A thread's chunks were claimed in its order. ---- */

static const struct stack_log *log_of(const struct source *source)
{
    return (const void *)source->log;
}

static void open_log(struct source *source)
{
    const struct stack_log *log = log_of(source);
    const struct log_chunk *chunks = (const void *)(source->log + log->chunks_at);
    for (unsigned i = 0; i < LEFT_OUT_KINDS; i++)
        source->left_out[i] = log->left_out[i];
    for (uint32_t i = 0; i < log->chunks_used && i < log->chunk_capacity; i++) {
        if (!chunks[i].thread)
            continue;
        struct stream *stream = stream_number(source, chunks[i].thread - 1);
        for (uint32_t k = 0; k < chunks[i].used; k++) {
            const struct log_event *from = &chunks[i].event[k];
            struct event *event = add_event(stream);
            event->pointer = from->pointer;
            event->size = from->size;
            event->node = from->node;
            event->generation = from->generation;
            event->realloc = from->flags & LOG_REALLOC;
            event->in_shim = from->flags & LOG_IN_SHIM;
        }
    }
}

static void log_place(const struct source *source, uint16_t generation, struct frame *frame)
{
    const struct stack_log *log = log_of(source);
    const struct log_module *modules = (const void *)(source->log + log->modules_at);
    for (uint32_t i = 0; i < log->modules_used && i < LOG_MODULE_ROWS; i++) {
        const struct log_module *module = &modules[i];
        if ((uint16_t)module->generation == generation &&
            frame->address - module->start < module->end - module->start) {
            frame->path = module->path;
            frame->offset = frame->address - module->bias;
        }
    }
}

static size_t log_frames(const struct source *source, const struct event *event, struct frame *frames, size_t capacity)
{
    const struct log_node *nodes = (const void *)(source->log + log_of(source)->nodes_at);
    size_t n = 0;
    for (uint32_t id = event->node; id && n < capacity; id = nodes[id].parent) {
        frames[n] = (struct frame){.address = nodes[id].address};
        log_place(source, event->generation, &frames[n++]);
    }
    return n;
}

/* ---- A heaptap buffer ---- */

static const void *known(const struct source *source, const void *record, const char *what, uint32_t id)
{
    if (!record) {
        fprintf(stderr, "%s: no %s %u\n", source->name, what, id);
        exit(2);
    }
    return record;
}

static void take_event(struct source *source, uint32_t slot, const struct ht_event *from, uint64_t high)
{
    const struct ht_site *site = known(source, reader_site(source->buffer, from->site), "site", from->site);
    if (site->kind != HT_KIND_HEAP)
        return;
    struct event *event = add_event(stream_number(source, slot));
    event->pointer = (uint64_t)HT_EVENT_ADDR_HI(from->head) << 32 | from->addr_lo;
    event->size = high << 32 | from->size;
    event->node = site->node;
    event->realloc = HT_EVENT_FLAGS(from->head) & HT_EVENT_REALLOC;
}

static void take_block(struct source *source, const struct ht_block *block)
{
    uint64_t high = 0;
    for (unsigned i = 0; i < HT_BLOCK_EVENTS; i++) {
        const struct ht_event *event = &block->event[i];
        switch (HT_EVENT_TYPE(event->head)) {
        case HT_EVENT_NONE: return;
        case HT_EVENT_HIGH: high = event->size; break;
        case HT_EVENT_ALLOC:
            take_event(source, block->slot, event, high);
            high = 0;
            break;
        case HT_EVENT_FREE: high = 0; break;
        default: break;
        }
    }
}

struct claim {
    uint32_t seq;
    const struct ht_block *block;
};

static int by_claim(const void *a, const void *b)
{
    const struct claim *x = a, *y = b;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static uint64_t lost(const struct source *source, enum ht_loss cause)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < reader_count(source->buffer, HT_SLOTS); i++) {
        const struct ht_slot *slot = reader_record(source->buffer, HT_SLOTS, i);
        sum += slot ? reader_value(&slot->lost[cause]) : 0;
    }
    return sum;
}

static void open_buffer(struct source *source)
{
    struct err err;
    struct reader *reader = source->buffer = grow(NULL, sizeof *reader);
    if (!reader_open(reader, source->name, &err))
        fail(source, err.text);
    uint32_t count = 0, all = reader_count(reader, HT_RING);
    struct claim *claim = grow(NULL, (all + 1ull) * sizeof *claim);
    for (uint32_t i = reader_next(reader, HT_RING, 0); i < all; i = reader_next(reader, HT_RING, i + 1)) {
        const struct ht_block *one = reader_record(reader, HT_RING, i);
        if (!one || !one->seq)
            continue;
        if (one->slot >= reader->header.slot_count)
            source->shared_slot++;
        else
            claim[count++] = (struct claim){one->seq, one};
    }
    qsort(claim, count, sizeof *claim, by_claim);
    for (uint32_t i = 0; i < count; i++)
        take_block(source, claim[i].block);
    free(claim);
    source->depth_max = reader->header.depth_max;
    source->ring_lost = lost(source, HT_LOST_OVERWRITTEN) + lost(source, HT_LOST_RING_DROPPED);
    source->reentrant = lost(source, HT_LOST_REENTRANT_ALLOC);
}

static size_t buffer_frames(const struct source *source, const struct event *event, struct frame *frames,
                            size_t capacity, unsigned *cut)
{
    size_t n = 0;
    for (uint32_t id = event->node; id && n < capacity;) {
        const struct ht_node *node = known(source, reader_node(source->buffer, id), "node", id);
        const struct ht_place *place = known(source, reader_place(source->buffer, node->place), "place", node->place);
        uint64_t offset = (uint64_t)place->offset_hi << 32 | place->offset_lo;
        if (node->parent >= id || (place->module == HT_CUT && node->parent))
            fail(source, "a node whose parent is not older, or a cut that is no root");
        if (place->module == HT_CUT) {
            *cut = (unsigned)offset;
            break;
        }
        frames[n] = (struct frame){.address = offset, .offset = offset, .exact = place->flags & HT_PLACE_EXACT};
        if (place->module != HT_NO_MODULE) {
            const struct ht_module *module = known(source, reader_module(source->buffer, place->module - 1), "module",
                                                   place->module - 1);
            frames[n].address += module->bias;
            frames[n].path = module->path;
            frames[n].moved = module->loads > 1;
        }
        n++;
        id = node->parent;
    }
    return n;
}

/* ---- Both ---- */

void source_open(struct source *source, const char *path)
{
    struct stat stat;
    char magic[8] = "";
    memset(source, 0, sizeof *source);
    source->name = path;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) || read(fd, magic, sizeof magic) != sizeof magic)
        fail(source, "cannot be read");
    if (memcmp(magic, STACK_LOG_MAGIC, sizeof magic) != 0) {
        close(fd);
        open_buffer(source);
        return;
    }
    source->log = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (source->log == MAP_FAILED)
        fail(source, "cannot be mapped");
    open_log(source);
}

size_t source_frames(const struct source *source, const struct event *event, struct frame *frames, size_t capacity,
                     unsigned *cut)
{
    *cut = 0;
    return source->buffer ? buffer_frames(source, event, frames, capacity, cut)
                          : log_frames(source, event, frames, capacity);
}
