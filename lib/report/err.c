#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Length of the well-formed, printable UTF-8 sequence at `at`; 0 if there is none. */
static unsigned utf8_length(const unsigned char *at)
{
    if (at[0] < 0x80)
        return at[0] >= 0x20 && at[0] != 0x7f;
    if ((at[1] & 0xc0) != 0x80)
        return 0;
    if (at[0] >= 0xc2 && at[0] <= 0xdf)
        return at[0] == 0xc2 && at[1] < 0xa0 ? 0 : 2; /* C1 controls */
    if ((at[2] & 0xc0) != 0x80)
        return 0;
    if ((at[0] & 0xf0) == 0xe0) {
        bool overlong = at[0] == 0xe0 && at[1] < 0xa0;
        bool surrogate = at[0] == 0xed && at[1] >= 0xa0;
        bool direction = at[0] == 0xe2 &&
                         ((at[1] == 0x80 && at[2] >= 0xa8 && at[2] <= 0xae) || (at[1] == 0x81 && at[2] >= 0xa6));
        return overlong || surrogate || direction ? 0 : 3; /* direction: text that shows in another order than it is */
    }
    if ((at[3] & 0xc0) != 0x80 || at[0] < 0xf0 || at[0] > 0xf4)
        return 0;
    return (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] >= 0x90) ? 0 : 4;
}

size_t err_safe_text(char *to, size_t capacity, const char *from)
{
    size_t length = 0;
    const unsigned char *at = (const unsigned char *)from;
    while (*at) {
        unsigned bytes = utf8_length(at);
        char piece[8];
        size_t piece_bytes = bytes;
        if (bytes)
            memcpy(piece, at, bytes);
        else
            piece_bytes = (size_t)snprintf(piece, sizeof piece, "\\x%02x", *at);
        if (length + piece_bytes >= capacity)
            break;
        memcpy(to + length, piece, piece_bytes);
        length += piece_bytes;
        at += bytes ? bytes : 1;
    }
    to[length] = 0;
    return length;
}

bool err_set(struct err *err, const char *format, ...)
{
    char raw[sizeof err->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(raw, sizeof raw, format, arguments);
    va_end(arguments);
    if (err)
        err_safe_text(err->text, sizeof err->text, raw);
    return false;
}

bool err_system(struct err *err, const char *what, const char *path)
{
    return err_set(err, "cannot %s %s: %s", what, path, strerror(errno));
}
