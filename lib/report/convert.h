/*
 * From a buffer to a file of some format: all formats by name, and one call that loads, names and writes. A new writer is one more format here and one more
 * case in convert.c.
 */
#ifndef HEAPTAP_CONVERT_H
#define HEAPTAP_CONVERT_H

#include "symbolize.h"

#include <stdio.h>

enum convert_format { CONVERT_FOLDED, CONVERT_RAW, CONVERT_FORMATS };

struct convert_options {
    enum convert_format format;
    enum profile_view view;
    struct symbolize_options symbolize;
};

/* By its name ("folded"); -1: there is none. */
int convert_format_by_name(const char *name);
/* By the end of a file's name (".folded"); -1: it does not tell. */
int convert_format_by_path(const char *path);

/* Loads the buffer and writes it. The reader is closed in any case. Errors of the stream are left for the caller to see. */
bool convert_write(FILE *out, struct reader *reader, const struct convert_options *options, struct err *err);

#endif
