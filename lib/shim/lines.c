#include "lines.h"

#include "sys.h"
#include <linux/fcntl.h>

bool lines_open(struct lines *lines, const char *path, char separator)
{
    lines->fd = (int)sys_open(path, O_RDONLY | O_NONBLOCK, 0);
    lines->reads = 0;
    lines->at = lines->end = 0;
    lines->separator = separator;
    lines->inside = lines->cut = false;
    return lines->fd >= 0;
}

void lines_close(struct lines *lines)
{
    sys_close(lines->fd);
}

/* Moves what is left to the front and fills up behind it. False: nothing more to come. */
static bool fill(struct lines *lines)
{
    size_t left = lines->end - lines->at;
    for (size_t i = 0; i < left; i++)
        lines->buffer[i] = lines->buffer[lines->at + i];
    lines->at = 0;
    lines->end = left;
    long got = -1;
    if (lines->reads++ < LINES_READS)
        got = sys_read(lines->fd, lines->buffer + left, sizeof lines->buffer - 1 - left);
    lines->cut |= got < 0;
    lines->end += got > 0 ? (size_t)got : 0;
    return got > 0;
}

/*
 * The next piece of text that ends with a separator, with the file, or because the buffer is full (*whole is false
 * then).
 */
static char *piece(struct lines *lines, bool *whole)
{
    size_t scan = 0;
    bool more = true;
    for (;;) {
        for (; lines->at + scan < lines->end; scan++)
            if (lines->buffer[lines->at + scan] == lines->separator)
                break;
        *whole = lines->at + scan < lines->end || !more;
        if (*whole || scan == sizeof lines->buffer - 1)
            break;
        more = fill(lines);
    }
    char *start = lines->buffer + lines->at;
    if (lines->at == lines->end)
        return NULL;
    start[scan] = 0;
    lines->at = MIN(lines->at + scan + *whole, lines->end);
    return start;
}

const char *lines_next(struct lines *lines)
{
    for (;;) {
        bool whole, inside = lines->inside;
        char *start = piece(lines, &whole);
        lines->inside = !whole;
        if (!start || !inside)
            return start;
    }
}
