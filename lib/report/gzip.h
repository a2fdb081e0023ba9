/* One gzip member onto a stream, by zlib. No file name and no time in it: equal data give equal files. */
#ifndef HEAPTAP_GZIP_H
#define HEAPTAP_GZIP_H

#include "err.h"

#include <stdio.h>
#include <zlib.h>

struct gzip {
    z_stream zlib;
    FILE *out;
};

/* False: no memory. Errors of the stream are left for the caller to see in ferror(). */
bool gzip_begin(struct gzip *gzip, FILE *out);
void gzip_write(struct gzip *gzip, const void *bytes, size_t count);
/* Writes what is left and frees. */
void gzip_end(struct gzip *gzip);

#endif
