/* How much of what the process did is in the record, and if it is little, why. One line each, safe to print. */
#ifndef HEAPTAP_COVERAGE_H
#define HEAPTAP_COVERAGE_H

#include "profile.h"

#define COVERAGE_MAX PROFILE_PROBLEM_MAX

/* True if nothing or only a part was recorded: `to` says so and why. */
bool coverage_problem(const struct profile *profile, char to[COVERAGE_MAX]);

/* True if tables were too small for what the process did: `to` says what helps. Part of the above; looks at losses, flags and budget only. */
bool coverage_full(const struct profile *profile, char to[COVERAGE_MAX]);

/* True if a HEAPTAP_ variable was ignored, or not taken as it was: `to` names it, and says what was used. */
bool coverage_variable(const struct ht_header *header, char to[COVERAGE_MAX]);

/* The highest in-use heap that is known of. The shim notes it in steps of up to 64 KiB a thread, so it is at least what lives. */
INLINE uint64_t coverage_peak(const struct profile *profile)
{
    return MAX(reader_value(&profile->header.peak_bytes), profile->total[HT_KIND_HEAP].live_bytes);
}

/* Whether more lives in mappings than in the heap: then they are what a process has grown by, an interpreter's arenas for instance. */
INLINE bool coverage_mostly_mapped(const struct profile *profile)
{
    return profile->total[HT_KIND_MAP].live_bytes > profile->total[HT_KIND_HEAP].live_bytes;
}

/* Allocations that heaptap saw and that are in no figure (an event without room for counters may have been a free). */
uint64_t coverage_lost(const struct profile *profile);

/* Allocations of which it is not known whether they live: these, and those that found no room in the live table. If there are any, peak and in-use are lower bounds. */
uint64_t coverage_unfollowed(const struct profile *profile);

/* Stacks that are cut, of all kinds. */
uint64_t coverage_cut(const struct profile *profile);

/*
 * Of a process that has no buffer: what can be seen from outside of why that is, as the end of a sentence. `to` is empty if the process is not
 * there or may not be looked at.
 */
void coverage_absent(uint32_t pid, char to[COVERAGE_MAX]);

#endif
