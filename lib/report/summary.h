/* The few lines that a run ends with: heap at its peak, what is left, the largest three sites, what was lost or not seen. */
#ifndef HEAPTAP_SUMMARY_H
#define HEAPTAP_SUMMARY_H

#include "names.h"

#include <stdio.h>

/*
 * Resolves the names of the sites that it shows. `others` are the other processes of the run: their number (process_count), what was lost in all of them,
 * budget and flags; the rest is not looked at. "Nothing was lost" is said of all. False: no memory.
 */
bool summary_write(FILE *out, struct names *names, const struct profile *others, struct err *err);
/* Only the line of the others, where there is nothing else: nothing if they lost nothing. */
void summary_others(FILE *out, const struct profile *others);

#endif
