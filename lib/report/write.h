/* The writers: one format each, to a stream. Errors of the stream are left for the caller to see in ferror(). */
#ifndef HEAPTAP_WRITE_H
#define HEAPTAP_WRITE_H

#include "tree.h"

#include <stdio.h>

/*
 * Folded stacks: `frame;frame;leaf BYTES`, the outermost frame first, one line a stack, in the order of the frames' names. A ';' in a name becomes ':'.
 * False: no memory.
 */
bool write_folded(FILE *out, struct names *names, enum profile_view view, struct err *err);

/*
 * Every table as text, one record a line, words separated by one space, `key value` pairs after the id: stable, for tests and scripts. Described in
 * heaptap(1). The reader is needed for the live blocks, the counters by slot and what was damaged.
 */
void write_raw(FILE *out, const struct profile *profile, const struct reader *reader);

#endif
