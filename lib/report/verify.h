/* What a file must fulfil at any instant: V1 to V7 of format.h. V1 is what reader_open refuses; the rest is here. */
#ifndef HEAPTAP_VERIFY_H
#define HEAPTAP_VERIFY_H

#include "reader.h"

#define VERIFY_LINES_MAX 20 /* violations that are told one by one, for each rule */

struct verify {
    uint64_t violations[8]; /* by rule: [2] to [7] */
    uint64_t total;
};

/*
 * Checks everything; calls `tell` with one line ("V3 line 17 entry 2: site 99 is not published") for each violation, the first VERIFY_LINES_MAX of a rule. Counts
 * that must agree may differ by as much as format.h allows, and for a process that lives by what happened while the file was read.
 * False: no memory (err); otherwise *result tells.
 */
bool verify_run(const struct reader *reader, struct verify *result, void (*tell)(void *arg, const char *line),
                void *arg, struct err *err);

#endif
