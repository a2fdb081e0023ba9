/*
 * Recorded stacks, whoever recorded them: the reference's log (stack_log.h) or a heaptap buffer (read by report/reader.h), told apart by their magic.
 * A test tool: what it reads was written a moment ago on this machine; a file that makes no sense ends the program with a message.
 */
#ifndef SOURCE_H
#define SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event {
    uint64_t pointer;
    uint64_t size;
    uint32_t node; /* 0: no stack */
    uint16_t generation;
    bool realloc;
    bool in_shim; /* a reference's stack that leads through the profiler */
    bool used;    /* for the caller: paired */
};

/* Events in the order of one thread, or, in a heaptap buffer, of the threads that owned one slot after the other. */
struct stream {
    struct event *event;
    size_t count, capacity;
    size_t next; /* for the caller */
};

struct frame {
    uint64_t address;
    const char *path; /* NULL: outside any module */
    uint64_t offset;  /* in the ELF file's own addresses */
    bool exact;       /* known to be an interrupted instruction */
    bool moved;       /* the module was loaded at several addresses: `address` may be that of another time */
};

struct reader;

struct source {
    const char *name;
    const unsigned char *log; /* a reference's file, mapped; NULL: it is heaptap's */
    struct reader *buffer;
    struct stream *stream;
    size_t streams;
    uint32_t depth_max;   /* heaptap */
    uint64_t left_out[4]; /* reference: by enum log_left_out */
    uint64_t ring_lost;   /* heaptap: events overwritten or dropped */
    uint64_t shared_slot; /* heaptap: events of the shared slot, in no stream */
    uint64_t reentrant;   /* heaptap: allocations not recorded inside hooks */
};

void source_open(struct source *source, const char *path);

/*
 * Frames of a stack, innermost first, at most `capacity` of them. Returns their number; *cut is enum ht_cut (0: complete), for a reference always 0.
 */
size_t source_frames(const struct source *source, const struct event *event, struct frame *frames, size_t capacity,
                     unsigned *cut);

#endif
