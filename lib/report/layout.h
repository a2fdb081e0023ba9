/*
 * Where the places of a profile lie, as pprof wants it: mappings, one for each executable segment, and for each place an address of its own inside one of
 * them. Readers take the address for the identity of a place, so no two have the same:
 *   - the address is that of the call (return address - 1);
 *   - a segment that lies where another one does (its module was unloaded, and another took its place) is moved as a whole, far from all code: readers
 *     compute with the distance from the mapping's start;
 *   - what is no code, or lies in no segment, has an address in a mapping called [heaptap].
 * The addresses of one process stay the same from one dump to the next.
 */
#ifndef HEAPTAP_LAYOUT_H
#define HEAPTAP_LAYOUT_H

#include "profile.h"

#define LAYOUT_NO_MODULE 0xffffffffu

struct layout_mapping {
    uint64_t start, limit, file_offset;
    uint32_t
        module; /* row, or LAYOUT_NO_MODULE: the one called [heaptap], or the program when its module is not known */
    bool synthetic; /* [heaptap] */
};

struct layout_location {
    uint64_t address;
    uint32_t place;
    uint32_t mapping; /* index */
};

struct layout {
    uint32_t mapping_count;
    struct layout_mapping *mappings; /* [0] is the program */
    uint32_t location_count;
    struct layout_location *locations; /* in the order of `places` */
};

/* Stands for the place of a stack that was not recorded. */
INLINE uint32_t layout_no_stack(const struct profile *profile)
{
    return profile->place_count;
}

/* Places are distinct, layout_no_stack may be one of them. False: no memory. layout_free may be called in either case. */
bool layout_make(struct layout *layout, const struct profile *profile, const uint32_t *places, uint32_t count);
void layout_free(struct layout *layout);

#endif
