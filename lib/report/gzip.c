#include "gzip.h"

#include <string.h>

#define GZIP_WRAPPER 16 /* added to windowBits: a gzip header and trailer */

bool gzip_begin(struct gzip *gzip, FILE *out)
{
    memset(gzip, 0, sizeof *gzip);
    gzip->out = out;
    return deflateInit2(&gzip->zlib, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + GZIP_WRAPPER, MAX_MEM_LEVEL,
                        Z_DEFAULT_STRATEGY) == Z_OK;
}

static void run(struct gzip *gzip, int flush)
{
    unsigned char buffer[16384];
    int status = Z_OK;
    do {
        gzip->zlib.next_out = buffer;
        gzip->zlib.avail_out = sizeof buffer;
        status = deflate(&gzip->zlib, flush);
        fwrite(buffer, 1, sizeof buffer - gzip->zlib.avail_out, gzip->out);
    } while (gzip->zlib.avail_out == 0 && status == Z_OK);
}

void gzip_write(struct gzip *gzip, const void *bytes, size_t count)
{
    const unsigned char *at = bytes;
    while (count) {
        uInt piece = (uInt)MIN(count, (size_t)1 << 30);
        gzip->zlib.next_in = (unsigned char *)at; /* zlib's interface predates const */
        gzip->zlib.avail_in = piece;
        run(gzip, Z_NO_FLUSH);
        at += piece;
        count -= piece;
    }
}

void gzip_end(struct gzip *gzip)
{
    run(gzip, Z_FINISH);
    deflateEnd(&gzip->zlib);
}
