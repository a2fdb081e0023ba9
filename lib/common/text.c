#include "text.h"

void text_append_n(struct text *text, const char *string, size_t bytes)
{
    size_t room = text->capacity - 1 - text->length;
    if (bytes > room) {
        bytes = room;
        text->cut = true;
    }
    for (size_t i = 0; i < bytes; i++)
        text->at[text->length + i] = string[i];
    text->length += bytes;
    text->at[text->length] = 0;
}

void text_char(struct text *text, char c)
{
    text_append_n(text, &c, 1);
}

void text_append(struct text *text, const char *string)
{
    text_append_n(text, string, text_length(string));
}

void text_decimal(struct text *text, uint64_t value)
{
    char digits[20];
    size_t n = sizeof digits;
    do {
        digits[--n] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    text_append_n(text, digits + n, sizeof digits - n);
}

void text_hex(struct text *text, uint64_t value)
{
    char digits[16];
    size_t n = sizeof digits;
    do {
        digits[--n] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value);
    text_append_n(text, digits + n, sizeof digits - n);
}

size_t text_length(const char *string)
{
    size_t n = 0;
    while (string[n])
        n++;
    return n;
}

bool text_equal(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

bool text_starts(const char *string, const char *prefix)
{
    while (*prefix && *string == *prefix)
        string++, prefix++;
    return !*prefix;
}

bool text_copy(char *to, size_t capacity, const char *from)
{
    struct text text = {.at = to, .capacity = capacity};
    text_append(&text, from);
    to[text.length] = 0;
    return !text.cut;
}

const char *text_basename(const char *path)
{
    const char *last = path;
    for (; *path; path++)
        if (*path == '/' && path[1])
            last = path + 1;
    return last;
}

const char *text_read_decimal(const char *string, uint64_t *value)
{
    uint64_t sum = 0;
    for (; *string >= '0' && *string <= '9'; string++) {
        unsigned digit = (unsigned)(*string - '0');
        sum = sum > (UINT64_MAX - digit) / 10 ? UINT64_MAX : sum * 10 + digit;
    }
    *value = sum;
    return string;
}

/* Matches one character against the set after '['. Returns what follows the set, or NULL if it does not match or never ends. */
static const char *match_set(const char *set, char c)
{
    bool negated = *set == '!' || *set == '^';
    bool found = false;
    const char *at = set + negated;
    do {
        if (!*at)
            return NULL;
        if (at[1] == '-' && at[2] && at[2] != ']') {
            found |= at[0] <= c && c <= at[2];
            at += 3;
        } else {
            found |= *at++ == c;
        }
    } while (*at != ']');
    return found != negated ? at + 1 : NULL;
}

bool text_match(const char *pattern, const char *string)
{
    const char *star = NULL;  /* the last star seen ... */
    const char *retry = NULL; /* ... and where what it swallowed ends: only the last one ever needs to grow */
    for (;;) {
        const char *next = NULL;
        if (*pattern == '*') {
            star = ++pattern;
            retry = string;
            continue;
        }
        if (!*string)
            return !*pattern;
        if (*pattern == '[')
            next = match_set(pattern + 1, *string);
        else if (*pattern == '?' || *pattern == *string)
            next = pattern + 1;
        if (next) {
            pattern = next;
            string++;
        } else {
            if (!star)
                return false;
            pattern = star;
            string = ++retry;
        }
    }
}
