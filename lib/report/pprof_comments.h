/* The comments of a pprof profile. pprof shows those that do not begin with '#' with every report: losses, and what else changes how figures are to be read. */
#ifndef HEAPTAP_PPROF_COMMENTS_H
#define HEAPTAP_PPROF_COMMENTS_H

#include "write.h"

/* Calls add for each, as text that may be shown. False as soon as add returns false. */
bool pprof_comments(const struct write_input *input, bool (*add)(void *arg, const char *text), void *arg);

#endif
