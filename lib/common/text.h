/*
 * Text and memory without libc, for the shim: no locale, no malloc, no errno, bounded. Also used by tests.
 * The mem* functions are those that the compiler itself may call; the shim links its own, hidden, so that it imports none.
 */
#ifndef HEAPTAP_TEXT_H
#define HEAPTAP_TEXT_H

#include "base.h"

/* A buffer that text is appended to. Always NUL-terminated (capacity > 0); `cut` says that something did not fit. */
struct text {
    char *at;
    size_t length;
    size_t capacity;
    bool cut;
};

#define TEXT(array) ((struct text){.at = (array), .capacity = sizeof(array)})

void text_char(struct text *text, char c);
void text_append(struct text *text, const char *string);
void text_append_n(struct text *text, const char *string, size_t bytes);
void text_decimal(struct text *text, uint64_t value);
void text_hex(struct text *text, uint64_t value);

size_t text_length(const char *string);
bool text_equal(const char *a, const char *b);
bool text_starts(const char *string, const char *prefix);
/* Copies at most capacity - 1 bytes and terminates. True if all of it fitted. */
bool text_copy(char *to, size_t capacity, const char *from);
/* Last component of a path. */
const char *text_basename(const char *path);
/* Reads a decimal number. Returns the first character after it; `string` itself if there is none. Saturates. */
const char *text_read_decimal(const char *string, uint64_t *value);
/* Shell pattern with *, ? and [set]; no special treatment of '/' or leading dots. Bounded: linear in pattern * string. */
bool text_match(const char *pattern, const char *string);

#endif
