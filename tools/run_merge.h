/*
 * --merge: the buffers of a run as one profile. A build has more processes than there may be buffers, so those of processes that have ended are added, and removed,
 * while it goes on, whenever there are many.
 */
#ifndef HEAPTAP_RUN_MERGE_H
#define HEAPTAP_RUN_MERGE_H

#include "run_results.h"

/* Before the command starts. */
bool run_merge_begin(struct run_results *results, struct err *err);
/* More buffers may have appeared. */
void run_merge_look(struct run_results *results);
/* At the end: adds what is left and writes OUT. False: not all that was asked for is in it, told. */
bool run_merge_end(struct run_results *results, const struct family_file *own);

#endif
