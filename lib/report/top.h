/* The sites with the most bytes of a view. Asks for no names: a report resolves only those of the few stacks that it shows. */
#ifndef HEAPTAP_TOP_H
#define HEAPTAP_TOP_H

#include "names.h"

struct top_site {
    const struct profile_site *site;
    uint64_t bytes, blocks;
    uint32_t sites; /* that are summed up here: 1, or more behind same_paths_merge */
};

struct top {
    uint64_t bytes, blocks; /* of all sites of the view */
    uint32_t sites;         /* that have any bytes */
    uint32_t count;         /* of those below */
};

/* Fills `to` with at most `capacity` sites, the largest first; of equals the one that was seen first. */
struct top top_sites(const struct profile *profile, enum profile_view view, struct top_site *to, uint32_t capacity);

/* Gives the places of these sites' stacks their names, all in one go: that opens each module's files once. False: no memory. */
bool top_resolve(struct names *names, const struct top_site *sites, uint32_t count, struct err *err);

/*
 * Goes through the frames of a site's stack, innermost first, inlined ones included; top_resolve comes before.
 *   struct top_walk walk = top_walk(site);
 *   while (top_next(&walk, names, &frame)) ...
 */
struct top_walk {
    uint32_t node, inner;
    bool empty; /* no stack was recorded: one frame that says so */
};
INLINE struct top_walk top_walk(const struct profile_site *site)
{
    return (struct top_walk){.node = site->node, .empty = !site->node};
}
bool top_next(struct top_walk *walk, const struct names *names, uint32_t *frame);

#endif
