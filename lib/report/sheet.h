/*
 * A page of text for people: as wide as the terminal ($COLUMNS or 100 where it is none), bold only on a terminal and without $NO_COLOR. A column is one
 * character; all text must be safe to print (err_safe_text).
 */
#ifndef HEAPTAP_SHEET_H
#define HEAPTAP_SHEET_H

#include "top.h"

#include <stdio.h>

struct sheet {
    FILE *out;
    unsigned width; /* columns, at least 40 */
    bool colour;
};

void sheet_open(struct sheet *sheet, FILE *out);

INLINE const char *sheet_bold(const struct sheet *sheet)
{
    return sheet->colour ? "\033[1m" : "";
}
INLINE const char *sheet_plain(const struct sheet *sheet)
{
    return sheet->colour ? "\033[0m" : "";
}

/* The text if it fits into so many columns (at least 4), else its two ends: a long name's last part matters, too. */
void sheet_cut(const struct sheet *sheet, const char *text, unsigned most);
/* Words, onto as many lines as they need. */
void sheet_wrapped(const struct sheet *sheet, unsigned indent, const char *text);
/* The same behind some words on the first line; the others begin below where it begins. */
void sheet_hanging(const struct sheet *sheet, const char *before, const char *text);
/* An empty line, and a line in bold. */
void sheet_heading(const struct sheet *sheet, const char *text);

/*
 * A site's stack as `NAME (FILE:LINE) < CALLER < ...`, innermost first, on at most lines_max lines; recursion is `NAME (FILE:LINE) N times`, frames of C++'s or Rust's
 * standard library that were called from there are `N of std`, and frames that find no room are counted. Names are resolved (top_resolve). Begins where the
 * line is, after `indent` columns that the caller printed.
 */
void sheet_path(const struct sheet *sheet, unsigned indent, unsigned lines_max, const struct names *names,
                const struct profile_site *site);

#endif
