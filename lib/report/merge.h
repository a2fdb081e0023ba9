/*
 * The profiles of several processes as one: the sum over them, in which each site still tells whose it is (profile_site.process). What is the same file in several
 * processes is one module, and what is the same place in it is one place: it is named once, and wherever it was loaded, it has one address (layout.h). What the
 * profile is about is the process that is added as the main one, or else the first: its program is the main one, and the identity in the header is its.
 *
 * Memory is bounded by what is different, not by how many processes there are: above MERGE_APART_MAX processes, or MERGE_SITES_MAX or MERGE_NODES_MAX
 * records, those that follow are told apart by their programs only, and what happened at the same stack in several of them is one site.
 */
#ifndef HEAPTAP_MERGE_H
#define HEAPTAP_MERGE_H

#include "intern.h"
#include "pairs.h"
#include "profile.h"

#define MERGE_APART_MAX 1000
#define MERGE_SITES_MAX (1u << 20)
#define MERGE_NODES_MAX (1u << 21)

struct merge {
    struct profile profile; /* what was added so far: a profile like any other, without slots */
    uint64_t time_ns;       /* of the latest */
    bool roots;
    struct intern modules; /* number: row + 1 */
    struct intern pids;    /* that were seen, each with when it began */
    struct pairs nodes;    /* id by parent and place */
    struct pairs sites;    /* index + 1 by node and process with kind: of those that are told apart by program only */
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
bool merge_add(struct merge *merge, const struct profile *from, bool main, uint64_t time_ns, struct err *err);

#endif
