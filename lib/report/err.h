/*
 * How the tool's library fails: false (or NULL), and one line in a struct err: what, which file, why, what to do.
 * The library never prints and never exits; the verb does.
 */
#ifndef HEAPTAP_ERR_H
#define HEAPTAP_ERR_H

#include <common/base.h>

struct err {
    char text[768]; /* no newline, safe to print: control characters and broken UTF-8 are escaped as \xNN */
};

/* Formats the line. Returns false, so that `return err_set(err, ...)` reads as it should. err may be NULL. */
bool err_set(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "cannot WHAT PATH: strerror(errno)". Returns false. */
bool err_system(struct err *err, const char *what, const char *path);

/*
 * Copies text that came from a file so that it may be shown: printable ASCII and well-formed UTF-8 outside the C0 and C1 controls stay, every other
 * byte becomes \xNN. Always terminated; cut when `capacity` is too small. Returns the length.
 */
size_t err_safe_text(char *to, size_t capacity, const char *from);

#endif
