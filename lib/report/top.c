#include "top.h"

#include <stdlib.h>
#include <string.h>

struct top top_sites(const struct profile *profile, enum profile_view view, struct top_site *to, uint32_t capacity)
{
    struct top top = {0};
    for (uint32_t i = 0; i < profile->site_count; i++) {
        const struct profile_site *site = &profile->sites[i];
        uint64_t bytes = profile_view_bytes(view, site);
        uint64_t blocks = view == PROFILE_ALLOC ? site->total.allocs : site->total.live;
        if (!bytes)
            continue;
        top.sites++;
        top.bytes += bytes;
        top.blocks += blocks;
        uint32_t at = top.count;
        while (at && to[at - 1].bytes < bytes)
            at--;
        if (at == capacity)
            continue;
        top.count = MIN(top.count + 1, capacity);
        memmove(&to[at + 1], &to[at], (top.count - 1 - at) * sizeof *to);
        to[at] = (struct top_site){site, bytes, blocks, 1};
    }
    return top;
}

bool top_resolve(struct names *names, const struct top_site *sites, uint32_t count, struct err *err)
{
    const struct profile *profile = names->profile;
    uint8_t *seen = calloc((size_t)profile->place_count + 1, 1);
    uint32_t *places = calloc((size_t)profile->place_count + 1, sizeof *places);
    uint32_t listed = 0;
    bool done = seen && places;
    for (uint32_t i = 0; done && i < count; i++)
        for (uint32_t node = sites[i].site->node; node; node = profile->nodes[node].parent) {
            uint32_t place = profile->nodes[node].place;
            if (!seen[place])
                places[listed++] = place;
            seen[place] = 1;
        }
    done = done && names_resolve(names, places, listed);
    free(places);
    free(seen);
    return done ? true : err_set(err, "no memory for the names of %u stacks", count);
}

bool top_next(struct top_walk *walk, const struct names *names, uint32_t *frame)
{
    if (walk->empty) {
        walk->empty = false;
        *frame = NAMES_NO_STACK;
        return true;
    }
    while (walk->node) {
        const struct profile_node *node = &names->profile->nodes[walk->node];
        const struct names_place *place = &names->places[node->place];
        if (walk->inner < place->count) {
            *frame = place->first + walk->inner++;
            return true;
        }
        walk->node = node->parent;
        walk->inner = 0;
    }
    return false;
}
