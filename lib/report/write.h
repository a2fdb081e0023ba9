/* The writers: one format each, to a stream. Errors of the stream are left for the caller to see in ferror(). */
#ifndef HEAPTAP_WRITE_H
#define HEAPTAP_WRITE_H

#include "threads.h"
#include "tree.h"

#include <stdio.h>

/* What is written. Members are there if the format asks for them (convert.c). */
struct write_input {
    const struct profile *profile;
    enum profile_view view;
    uint64_t time_ns;              /* when it was so, CLOCK_REALTIME */
    struct names *names;           /* not yet resolved */
    const struct reader *reader;   /* open */
    const struct threads *threads; /* NULL: not told apart */
};

/*
 * profile.proto, gzipped, in the shape of Go's heap profiles: alloc_objects, alloc_space, inuse_objects, inuse_space, of which the view chooses the default.
 * The stacks are the same in the views inuse, alloc and exit; mmap has those of mappings. Everything lost, and where names come from, is in the comments.
 * With threads, samples have the label `thread`: the name of the thread that allocated.
 */
bool write_pprof(FILE *out, const struct write_input *input, struct err *err);

/*
 * Folded stacks: `frame;frame;leaf BYTES`, the outermost frame first, one line a stack, in the order of the frames' names. A ';' in a name becomes ':'.
 * False: no memory.
 */
bool write_folded(FILE *out, struct names *names, enum profile_view view, struct err *err);

/*
 * One HTML page that needs nothing else and opens without a network: flame graph, functions, summary, in every view that the process has; `view` is
 * shown first. False: no memory.
 */
bool write_html(FILE *out, const struct write_input *input, struct err *err);

/*
 * speedscope's own JSON, with all four types as profiles of one file, the view's first, and with inlined frames, which it loses of pprof's. Stacks of mappings in
 * the view mmap, else those of the heap. False: no memory.
 */
bool write_speedscope(FILE *out, const struct write_input *input, struct err *err);

/*
 * Every table as text, one record a line, words separated by one space, `key value` pairs after the id: stable, for tests and scripts. Described in
 * heaptap(1). The reader is needed for the live blocks, the counters by slot and what was damaged.
 */
void write_raw(FILE *out, const struct profile *profile, const struct reader *reader);

/*
 * For people: figures, the largest sites with their paths, coverage, losses. Views inuse and exit also show what was allocated in all. As wide as the
 * terminal (sheet.h). Resolves only the names that it shows. False: no memory.
 */
bool write_text(FILE *out, struct names *names, enum profile_view view, struct err *err);

#endif
