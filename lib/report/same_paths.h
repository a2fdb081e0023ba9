/*
 * Two sites are one to a reader to whom sheet_path shows the same of both: they differ in addresses within their lines, or where nothing is printed. Listed one by
 * one, they look like a mistake.
 */
#ifndef HEAPTAP_SAME_PATHS_H
#define HEAPTAP_SAME_PATHS_H

#include "sheet.h"

/* Sites that are worth to be looked at. The others are smaller than each of these, and to name them all could take long. */
#define SAME_PATHS_MAX 64

/* How they will be printed. */
struct same_paths {
    const struct sheet *sheet;
    const struct names *names; /* resolved */
    unsigned indent, lines_max;
};

/* Makes one of those that look the same, with their sums; sorts again, and keeps at most `most`, in top->count. False: no memory. */
bool same_paths_merge(const struct same_paths *look, struct top *top, struct top_site *sites, uint32_t most,
                      struct err *err);

#endif
