/*
 * The profiles of several processes as one: the sum over them, in which each site still tells whose it is (profile_site.process). What is the same file in several
 * processes is one module, and what is the same place in it is one place: it is named once, and wherever it was loaded, it has one address (layout.h). The first
 * process that is added is the one that the profile is about: its program is the main one, and the identity in the header is its.
 */
#ifndef HEAPTAP_MERGE_H
#define HEAPTAP_MERGE_H

#include "intern.h"
#include "profile.h"

struct merge {
    struct profile profile; /* what was added so far: a profile like any other, without slots */
    uint64_t time_ns;       /* of the latest */
    bool roots;
    struct intern modules; /* number: row + 1 */
    uint32_t *place_hash;  /* open: id, 0: free; a power of two */
    uint32_t place_hash_size;
    uint32_t process_capacity, module_capacity, place_capacity, node_capacity, site_capacity;
};

/*
 * `roots`: all stacks of a process hang below a node of its own (a place of PROFILE_PROCESS), for formats that have no other way to tell whose they are.
 * False: no memory. merge_free may be called in either case.
 */
bool merge_init(struct merge *merge, bool roots, struct err *err);
void merge_free(struct merge *merge);

/* Adds a process, as it was at `time_ns` (CLOCK_REALTIME). False, and then it is not in the sums: no memory, or it ran on another kind of processor. */
bool merge_add(struct merge *merge, const struct profile *from, uint64_t time_ns, struct err *err);

#endif
