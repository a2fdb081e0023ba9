#include "lines.h"

#include "sys.h"
#include <linux/fcntl.h>

bool lines_open(struct lines *lines, const char *path)
{
    lines->fd = (int)sys_open(path, O_RDONLY | O_NONBLOCK, 0);
    lines->at = lines->end = 0;
    lines->reads = 0;
    return lines->fd >= 0;
}

/* Moves what is left to the front and fills up behind it. False: nothing more to come. */
static bool lines_fill(struct lines *lines)
{
    size_t left = lines->end - lines->at;
    for (size_t i = 0; i < left; i++)
        lines->buffer[i] = lines->buffer[lines->at + i];
    lines->at = 0;
    lines->end = left;
    if (left == sizeof lines->buffer - 1 || lines->reads++ >= LINES_READS)
        return false;
    long got = sys_read(lines->fd, lines->buffer + left, sizeof lines->buffer - 1 - left);
    if (got <= 0)
        return false;
    lines->end += (size_t)got;
    return true;
}

const char *lines_next(struct lines *lines)
{
    size_t scan = lines->at;
    for (;;) {
        for (; scan < lines->end; scan++)
            if (lines->buffer[scan] == '\n') {
                char *line = lines->buffer + lines->at;
                lines->buffer[scan] = 0;
                lines->at = scan + 1;
                return line;
            }
        scan -= lines->at;
        if (!lines_fill(lines))
            break;
    }
    if (lines->at == lines->end)
        return NULL;
    /* No newline in all of the buffer, or at the end of the file: what there is, as a line. */
    char *line = lines->buffer + lines->at;
    lines->buffer[lines->end] = 0;
    lines->at = lines->end;
    return line;
}

void lines_close(struct lines *lines)
{
    sys_close(lines->fd);
}
