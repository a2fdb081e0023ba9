/*
 * Who allocated: the allocations of each site by the name of the thread that made them. What lives cannot be told apart like that where several threads
 * allocated at one site: the live table knows sites, not threads.
 */
#ifndef HEAPTAP_THREADS_H
#define HEAPTAP_THREADS_H

#include "intern.h"
#include "profile.h"

struct threads_share {
    uint32_t site; /* index in profile.sites */
    uint32_t name; /* in names */
    uint64_t allocs, alloc_bytes;
};

struct threads {
    struct intern names; /* as they may be shown */
    uint32_t count;
    struct threads_share *shares; /* by site, then name; each pair once */
    uint32_t *first;              /* of site i: shares first[i] .. first[i + 1] - 1 */
};

/* False: no memory. threads_free may be called in either case. */
bool threads_load(struct threads *threads, const struct profile *profile, const struct reader *reader, struct err *err);
void threads_free(struct threads *threads);

#endif
