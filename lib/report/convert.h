/*
 * From a buffer to a file of some format: all formats by name, and one call that loads, names and writes. A new writer is one more format here and one more
 * row in convert.c.
 */
#ifndef HEAPTAP_CONVERT_H
#define HEAPTAP_CONVERT_H

#include "merge.h"
#include "symbolize.h"

#include <stdio.h>

enum convert_format {
    CONVERT_PPROF,
    CONVERT_FOLDED,
    CONVERT_TEXT,
    CONVERT_HTML,
    CONVERT_SPEEDSCOPE,
    CONVERT_RAW,
    CONVERT_FORMATS
};

struct convert_options {
    enum convert_format format;
    enum profile_view view;
    bool by_thread; /* only where convert_has_threads */
    struct symbolize_options symbolize;
    /* Gets lines that the user should see although the conversion goes on: files that are of no use. May be NULL. */
    void (*notice)(void *arg, const char *line);
    void *notice_arg;
};

/* By its name ("folded"); -1: there is none. */
int convert_format_by_name(const char *name);
/* By the end of a file's name (".folded"); -1: it does not tell. */
int convert_format_by_path(const char *path);
/* That end. */
const char *convert_suffix(enum convert_format format);
/* Not for a terminal. */
bool convert_is_binary(enum convert_format format);
/* Can tell threads apart. */
bool convert_has_threads(enum convert_format format);
/* Can show several processes. */
bool convert_has_processes(enum convert_format format);

/* Loads the buffer and writes it. The reader is closed in any case. Errors of the stream are left for the caller to see. */
bool convert_write(FILE *out, struct reader *reader, const struct convert_options *options, struct err *err);

/*
 * The same for several buffers in one file (convert_has_processes): convert_merge_begin, convert_merge_add for each, and convert_merged.
 * An addition that failed is not in the sums; the others are. merge_free comes last in any case.
 */
bool convert_merge_begin(struct merge *merge, enum convert_format format, struct err *err);
/* The reader is closed in any case. A buffer without data is only added if it is the `main` one, which the profile is about; `added` tells, and `why` what coverage.h says of it. */
bool convert_merge_add(struct merge *merge, struct reader *reader, bool main, bool *added,
                       char why[PROFILE_PROBLEM_MAX], struct err *err);
bool convert_merged(FILE *out, const struct merge *merge, const struct convert_options *options, struct err *err);

#endif
