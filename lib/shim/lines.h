/* Text files of /proc, line by line, in bounded memory and a bounded number of reads. */
#ifndef HEAPTAP_LINES_H
#define HEAPTAP_LINES_H

#include <common/base.h>

#define LINES_READS 1024 /* of one file; what comes after is not seen */

/* Too large for the program's stack: static, or in memory of the thread. */
struct lines {
    int fd;
    uint32_t reads;
    size_t at, end; /* what was read and not yet handed out */
    bool cut;       /* there may be more than could be read */
    bool inside;    /* the rest of a line that was too long comes first, and is dropped */
    char separator;
    char buffer[4096];
};

/* `separator` ends a line: '\n', or 0 for lists of strings. False: the file cannot be opened. */
bool lines_open(struct lines *lines, const char *path, char separator);
/* The next line without its separator, valid until the next call, cut to the buffer's size; NULL: no more. */
const char *lines_next(struct lines *lines);
void lines_close(struct lines *lines);

#endif
