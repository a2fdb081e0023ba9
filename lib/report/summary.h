/* The few lines that a run ends with: heap at its peak, what is left, the largest three sites, what was lost or not seen. */
#ifndef HEAPTAP_SUMMARY_H
#define HEAPTAP_SUMMARY_H

#include "names.h"

#include <stdio.h>

/* Resolves the names of the sites that it shows. False: no memory. */
bool summary_write(FILE *out, struct names *names, struct err *err);

#endif
