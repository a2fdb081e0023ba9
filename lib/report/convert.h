/*
 * From a buffer to a file of some format: all formats by name, and one call that loads, names and writes. A new writer is one more format here and one more
 * row in convert.c.
 */
#ifndef HEAPTAP_CONVERT_H
#define HEAPTAP_CONVERT_H

#include "symbolize.h"

#include <stdio.h>

enum convert_format { CONVERT_PPROF, CONVERT_FOLDED, CONVERT_TEXT, CONVERT_HTML, CONVERT_RAW, CONVERT_FORMATS };

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
/* Not for a terminal. */
bool convert_is_binary(enum convert_format format);
/* Can tell threads apart. */
bool convert_has_threads(enum convert_format format);

/* Loads the buffer and writes it. The reader is closed in any case. Errors of the stream are left for the caller to see. */
bool convert_write(FILE *out, struct reader *reader, const struct convert_options *options, struct err *err);

#endif
