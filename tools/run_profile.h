/* A profile that a run writes: of one buffer, or of what was merged. */
#ifndef HEAPTAP_RUN_PROFILE_H
#define HEAPTAP_RUN_PROFILE_H

#include "run_results.h"

/* Of `file`, or of `merge` if that is not NULL. */
bool run_profile_write(const struct run_results *results, const struct family_file *file, const struct merge *merge,
                       const char *path, struct err *err);
/* Says where OUT is, and what to type next. */
void run_profile_tell_next(const struct run_results *results, const char *path);

#endif
