#include "layout.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

/* Above all user addresses, below what a signed number could not hold. */
#define MOVED_BASE UINT64_C(0x7000000000000000) /* + segment number * MOVED_BYTES */
#define MOVED_BYTES (UINT64_C(1) << 32)
#define PROGRAM_BASE UINT64_C(0x7fe0000000000000) /* a program that is not in the module list */
#define OWN_BASE                                                                                                       \
    UINT64_C(0x7ff0000000000000) /* [heaptap]: no stack, the reasons of cuts, from OWN_PLACES on by place */
#define OWN_PLACES 4096u
#define OWN_BYTES (UINT64_C(1) << 33)

#define NO_MAPPING 0xffffffffu

/* A segment that holds places. */
struct segment {
    uint64_t start, end;
    uint32_t number; /* row * HT_MODULE_SEGMENTS + index */
    bool loaded;
    bool moved;
};

struct make {
    struct layout *layout;
    const struct profile *profile;
    uint32_t *mapping_of; /* by segment number: index + 1 */
    struct segment *segments;
    uint32_t segment_count;
    uint32_t own; /* mapping, NO_MAPPING: not used yet */
};

static uint64_t call_address(const struct profile *profile, const struct profile_place *place)
{
    uint64_t address = profile->modules[place->module].bias + place->offset;
    if (profile->header.e_machine == EM_ARM || profile->header.e_machine == EM_MIPS)
        address &= ~UINT64_C(1); /* tells the encoding */
    return address - !(place->flags & HT_PLACE_EXACT);
}

/* Number of the segment around a place; NO_MAPPING: none. */
static uint32_t segment_of(const struct profile *profile, uint32_t id)
{
    if (id >= profile->place_count)
        return NO_MAPPING;
    const struct profile_place *place = &profile->places[id];
    if (place->module >= profile->module_count || place->offset == 0)
        return NO_MAPPING;
    const struct ht_module *module = &profile->modules[place->module];
    uint64_t address = call_address(profile, place);
    for (uint32_t i = 0; i < module->segment_count; i++) {
        const struct ht_segment *segment = &module->segment[i];
        if (address >= segment->start && address < segment->end && segment->end - segment->start <= MOVED_BYTES &&
            segment->end < MOVED_BASE)
            return place->module * HT_MODULE_SEGMENTS + i;
    }
    return NO_MAPPING;
}

static void add_mapping(struct make *make, const struct layout_mapping *mapping)
{
    make->layout->mappings[make->layout->mapping_count++] = *mapping;
}

/* ---- Segments, and which of them lie where another does ---- */

static void list_segment(struct make *make, uint32_t number)
{
    const struct ht_module *module = &make->profile->modules[number / HT_MODULE_SEGMENTS];
    const struct ht_segment *segment = &module->segment[number % HT_MODULE_SEGMENTS];
    if (make->mapping_of[number])
        return;
    make->mapping_of[number] = 1; /* its own comes later */
    make->segments[make->segment_count++] = (struct segment){segment->start, segment->end, number, module->state == 1,
                                                             false};
}

/* Loaded ones first, by address. */
static int compare_segments(const void *a, const void *b)
{
    const struct segment *x = a, *y = b;
    if (x->loaded != y->loaded)
        return x->loaded ? -1 : 1;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

/* The last loaded segment that begins below `end` and stays, or NULL. Those that stay are disjoint and in order. */
static const struct segment *loaded_below(const struct segment *segments, uint32_t loaded, uint64_t end)
{
    uint32_t low = 0, high = loaded;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (segments[middle].start < end)
            low = middle + 1;
        else
            high = middle;
    }
    while (low && segments[low - 1].moved)
        low--;
    return low ? &segments[low - 1] : NULL;
}

static void find_moved(struct make *make)
{
    uint64_t reach = 0;
    uint32_t loaded = 0;
    qsort(make->segments, make->segment_count, sizeof *make->segments, compare_segments);
    for (uint32_t i = 0; i < make->segment_count; i++) {
        struct segment *segment = &make->segments[i];
        if (!segment->loaded && loaded == i)
            reach = 0; /* from here on unloaded ones */
        loaded += segment->loaded;
        const struct segment *below = segment->loaded ? NULL : loaded_below(make->segments, loaded, segment->end);
        segment->moved = segment->start < reach || (below && below->end > segment->start);
        if (!segment->moved)
            reach = segment->end;
    }
}

static void map_segment(struct make *make, const struct segment *segment)
{
    const struct ht_module *module = &make->profile->modules[segment->number / HT_MODULE_SEGMENTS];
    struct layout_mapping mapping = {.start = segment->start,
                                     .limit = segment->end,
                                     .file_offset = module->segment[segment->number % HT_MODULE_SEGMENTS].file_offset,
                                     .module = segment->number / HT_MODULE_SEGMENTS};
    if (segment->moved) {
        mapping.start = MOVED_BASE + segment->number * MOVED_BYTES;
        mapping.limit = mapping.start + (segment->end - segment->start);
    }
    add_mapping(make, &mapping);
    make->mapping_of[segment->number] = make->layout->mapping_count;
}

/* The program's segments first; if it has none that is used, its first; if it has none at all, something with its name. */
static void map_segments(struct make *make)
{
    const struct profile *profile = make->profile;
    uint32_t main = profile->main_module ? profile->main_module - 1 : LAYOUT_NO_MODULE;
    for (uint32_t row = 0; row < profile->module_count && main == LAYOUT_NO_MODULE; row++)
        if (profile->modules[row].state && (profile->modules[row].flags & HT_MODULE_MAIN))
            main = row;
    for (uint32_t i = 0; i < make->segment_count; i++)
        if (make->segments[i].number / HT_MODULE_SEGMENTS == main)
            map_segment(make, &make->segments[i]);
    if (!make->layout->mapping_count && main != LAYOUT_NO_MODULE && profile->modules[main].segment_count) {
        const struct ht_segment *segment = &profile->modules[main].segment[0];
        add_mapping(make, &(struct layout_mapping){segment->start, segment->end, segment->file_offset, main, false});
    }
    if (!make->layout->mapping_count)
        add_mapping(make, &(struct layout_mapping){PROGRAM_BASE, PROGRAM_BASE + 4096, 0, main, false});
    for (uint32_t i = 0; i < make->segment_count; i++)
        if (make->segments[i].number / HT_MODULE_SEGMENTS != main)
            map_segment(make, &make->segments[i]);
}

/* ---- Locations ---- */

static void put_in_own(struct make *make, struct layout_location *location)
{
    const struct profile_place *place = &make->profile->places[location->place];
    if (make->own == NO_MAPPING) {
        make->own = make->layout->mapping_count;
        add_mapping(
            make, &(struct layout_mapping){
                      .start = OWN_BASE, .limit = OWN_BASE + OWN_BYTES, .module = LAYOUT_NO_MODULE, .synthetic = true});
    }
    location->mapping = make->own;
    location->address = OWN_BASE + OWN_PLACES + location->place;
    if (location->place == layout_no_stack(make->profile))
        location->address = OWN_BASE + 1;
    else if (place->module == PROFILE_CUT && place->offset < HT_CUTS)
        location->address = OWN_BASE + 16 + place->offset;
}

static void locate(struct make *make, struct layout_location *location)
{
    const struct profile *profile = make->profile;
    uint32_t number = segment_of(profile, location->place);
    if (number == NO_MAPPING) {
        put_in_own(make, location);
        return;
    }
    location->mapping = make->mapping_of[number] - 1;
    uint64_t start = profile->modules[number / HT_MODULE_SEGMENTS].segment[number % HT_MODULE_SEGMENTS].start;
    location->address = call_address(profile, &profile->places[location->place]) - start +
                        make->layout->mappings[location->mapping].start;
}

/* An address and whose it is. */
struct claim {
    uint64_t address;
    uint32_t place;
    uint32_t location;
};

static int compare_claims(const void *a, const void *b)
{
    const struct claim *x = a, *y = b;
    if (x->address != y->address)
        return x->address < y->address ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

/* An interrupted instruction may have the address of a call; a damaged file may have anything twice. */
static bool make_unique(struct make *make)
{
    struct layout *layout = make->layout;
    struct claim *claims = calloc((size_t)layout->location_count + 1, sizeof *claims);
    if (!claims)
        return false;
    for (uint32_t i = 0; i < layout->location_count; i++)
        claims[i] = (struct claim){layout->locations[i].address, layout->locations[i].place, i};
    qsort(claims, layout->location_count, sizeof *claims, compare_claims);
    for (uint32_t i = 1; i < layout->location_count; i++) {
        struct layout_location *location = &layout->locations[claims[i].location];
        if (claims[i].address != claims[i - 1].address)
            continue;
        put_in_own(make, location);
        location->address = OWN_BASE + OWN_PLACES + location->place;
    }
    free(claims);
    return true;
}

bool layout_make(struct layout *layout, const struct profile *profile, const uint32_t *places, uint32_t count)
{
    struct make make = {.layout = layout, .profile = profile, .own = NO_MAPPING};
    size_t numbers = (size_t)profile->module_count * HT_MODULE_SEGMENTS;
    memset(layout, 0, sizeof *layout);
    make.mapping_of = calloc(numbers + 1, sizeof *make.mapping_of);
    make.segments = calloc((size_t)MIN(count, numbers) + 1, sizeof *make.segments);
    layout->mappings = calloc((size_t)MIN(count, numbers) + 3, sizeof *layout->mappings);
    layout->locations = calloc((size_t)count + 1, sizeof *layout->locations);
    bool done = make.mapping_of && make.segments && layout->mappings && layout->locations;
    for (uint32_t i = 0; done && i < count; i++) {
        uint32_t number = segment_of(profile, places[i]);
        if (number != NO_MAPPING)
            list_segment(&make, number);
    }
    if (done) {
        find_moved(&make);
        map_segments(&make);
    }
    for (uint32_t i = 0; done && i < count; i++) {
        struct layout_location *location = &layout->locations[layout->location_count++];
        location->place = places[i];
        locate(&make, location);
    }
    done = done && make_unique(&make);
    free(make.mapping_of);
    free(make.segments);
    return done;
}

void layout_free(struct layout *layout)
{
    free(layout->mappings);
    free(layout->locations);
    memset(layout, 0, sizeof *layout);
}
