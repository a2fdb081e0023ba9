#include "profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const profile_loss_key[HT_LOSSES] = {
#define LOSS_KEY(name, key, text) key,
    HT_LOSS_LIST(LOSS_KEY)
#undef LOSS_KEY
};

const char *const profile_loss_text[HT_LOSSES] = {
#define LOSS_TEXT(name, key, text) text,
    HT_LOSS_LIST(LOSS_TEXT)
#undef LOSS_TEXT
};

const char *const profile_view_name[PROFILE_VIEWS] = {"inuse", "alloc", "exit", "mmap"};

int profile_view_by_name(const char *name)
{
    for (int i = 0; i < PROFILE_VIEWS; i++)
        if (strcmp(profile_view_name[i], name) == 0)
            return i;
    return -1;
}

const char *const profile_value_name[PROFILE_VALUES] = {"alloc_objects", "alloc_space", "inuse_objects", "inuse_space"};

void profile_values(const struct profile_site *site, uint64_t values[PROFILE_VALUES])
{
    const struct profile_totals *total = &site->total;
    values[PROFILE_ALLOC_OBJECTS] = MAX(total->allocs, total->live);
    values[PROFILE_ALLOC_SPACE] = MAX(total->alloc_bytes, total->live_bytes);
    values[PROFILE_INUSE_OBJECTS] = total->live;
    values[PROFILE_INUSE_SPACE] = total->live_bytes;
}

const char *profile_kind_name(uint32_t kind)
{
    static const char *const names[HT_KINDS] = {"unknown", "heap", "map", "reserve"};
    return names[kind < HT_KINDS ? kind : 0];
}

const char *profile_cut_name(uint64_t cut)
{
    static const char *const names[HT_CUTS] = {"unknown", "depth", "no-table", "refused",
                                               "memory",  "busy",  "frozen",   "full"};
    return names[cut < HT_CUTS ? cut : 0];
}

uint64_t profile_view_bytes(enum profile_view view, const struct profile_site *site)
{
    if ((site->kind == HT_KIND_HEAP) == (view == PROFILE_MMAP) || site->kind == HT_KIND_RESERVE)
        return 0;
    return view == PROFILE_ALLOC ? site->total.alloc_bytes : site->total.live_bytes;
}

static void load_modules(struct profile *profile, const struct reader *reader)
{
    for (uint32_t row = reader_next(reader, HT_MODULES, 0); row < profile->module_count;
         row = reader_next(reader, HT_MODULES, row + 1)) {
        const struct ht_module *source = reader_module(reader, row);
        struct ht_module *module = &profile->modules[row];
        if (!source)
            continue;
        *module = *source;
        if (module->build_id_bytes > sizeof module->build_id || module->segment_count > HT_MODULE_SEGMENTS)
            profile->damaged++;
        module->build_id_bytes = MIN(module->build_id_bytes, (uint32_t)sizeof module->build_id);
        module->segment_count = MIN(module->segment_count, (uint32_t)HT_MODULE_SEGMENTS);
    }
}

static void load_places(struct profile *profile, const struct reader *reader)
{
    if (profile->place_count)
        profile->places[0].module = PROFILE_DAMAGED;
    for (uint32_t id = reader_next(reader, HT_PLACES, 1); id < profile->place_count;
         id = reader_next(reader, HT_PLACES, id + 1)) {
        const struct ht_place *source = reader_place(reader, id);
        struct profile_place *place = &profile->places[id];
        place->module = PROFILE_DAMAGED;
        if (!source)
            continue;
        place->offset = reader_u64(source->offset_lo, source->offset_hi);
        place->flags = source->flags;
        if (source->module == HT_NO_MODULE)
            place->module = PROFILE_NO_MODULE;
        else if (source->module == HT_CUT)
            place->module = PROFILE_CUT;
        else if (reader_module(reader, source->module - 1))
            place->module = source->module - 1;
        else
            profile->damaged++;
    }
}

/* A node that cannot be right is taken as a child of the root at an unknown place. */
static bool node_sound(const struct profile *profile, const struct reader *reader, uint32_t id,
                       const struct ht_node *node, const uint16_t *depth)
{
    const struct ht_place *place = reader_place(reader, node->place);
    bool parent = node->parent == 0 || (node->parent < id && reader_node(reader, node->parent));
    if (!place || !parent || depth[node->parent] >= PROFILE_DEPTH_MAX)
        return false;
    return profile->places[node->place].module != PROFILE_CUT || node->parent == 0;
}

static void load_nodes(struct profile *profile, const struct reader *reader, uint16_t *depth)
{
    for (uint32_t id = reader_next(reader, HT_NODES, 1); id < profile->node_count;
         id = reader_next(reader, HT_NODES, id + 1)) {
        const struct ht_node *node = reader_node(reader, id);
        if (!node)
            continue;
        if (node_sound(profile, reader, id, node, depth)) {
            profile->nodes[id] = (struct profile_node){node->parent, node->place};
            depth[id] = (uint16_t)(depth[node->parent] + 1);
        } else {
            depth[id] = 1;
            profile->damaged++;
        }
    }
}

static void load_slots(struct profile *profile, const struct reader *reader)
{
    if (profile->header.slot_count < profile->slot_count)
        profile->slots[profile->header.slot_count].shared = true;
    for (uint32_t i = reader_next(reader, HT_SLOTS, 0); i < profile->slot_count;
         i = reader_next(reader, HT_SLOTS, i + 1)) {
        const struct ht_slot *source = reader_record(reader, HT_SLOTS, i);
        struct profile_slot *slot = &profile->slots[i];
        slot->owner = source->owner;
        slot->adoptions = source->adoptions;
        memcpy(slot->name, source->name, sizeof slot->name);
        slot->events = reader_value(&source->events);
        profile->events += slot->events;
        for (int cause = 0; cause < HT_LOSSES_MAX; cause++) {
            slot->lost[cause] = reader_value(&source->lost[cause]);
            profile->lost[cause] += slot->lost[cause];
        }
    }
}

/* ---- Sites: first find those that anything happened at, then sum. ---- */

struct site_index {
    const struct reader *reader;
    struct profile *profile;
    uint32_t *row; /* by site id: 0 nothing happened there; while summing, index in profile->sites + 1 */
    uint32_t active;
};

static void mark(struct site_index *index, uint32_t site)
{
    const struct ht_site *record = reader_site(index->reader, site);
    if (record && record->kind < HT_KINDS && !index->row[site]) {
        index->row[site] = 1;
        index->active++;
    }
}

static void mark_block(void *arg, const struct reader_block *block)
{
    mark(arg, block->site);
}

static void mark_cell(void *arg, const struct reader_cell *cell)
{
    mark(arg, cell->site);
}

/* Two sums to add to: of the site, or if there is none, of what is unknown. */
static struct profile_totals *totals_of(struct site_index *index, uint32_t site)
{
    if (reader_record(index->reader, HT_SITES, site) && index->row[site])
        return &index->profile->sites[index->row[site] - 1].total;
    index->profile->damaged++;
    return &index->profile->total[0];
}

static void add_block(void *arg, const struct reader_block *block)
{
    struct profile_totals *totals = totals_of(arg, block->site);
    totals->live++;
    totals->live_bytes += block->size;
}

static void add_cell(void *arg, const struct reader_cell *cell)
{
    struct profile_totals *totals = totals_of(arg, cell->site);
    totals->allocs += cell->allocs;
    totals->alloc_bytes += cell->alloc_bytes;
    totals->frees += cell->frees;
    totals->free_bytes += cell->free_bytes;
}

static void make_rows(struct site_index *index)
{
    struct profile *profile = index->profile;
    uint32_t count = reader_count(index->reader, HT_SITES);
    for (uint32_t id = reader_next(index->reader, HT_SITES, 1); id < count;
         id = reader_next(index->reader, HT_SITES, id + 1)) {
        if (!index->row[id])
            continue;
        const struct ht_site *source = reader_site(index->reader, id);
        struct profile_site *site = &profile->sites[profile->site_count++];
        index->row[id] = profile->site_count;
        site->id = id;
        site->kind = source->kind;
        site->node = source->node;
        if (source->node && !reader_node(index->reader, source->node)) {
            site->node = 0;
            profile->damaged++;
        }
    }
}

static void sum_by_kind(struct profile *profile)
{
    for (uint32_t i = 0; i < profile->site_count; i++) {
        const struct profile_totals *from = &profile->sites[i].total;
        struct profile_totals *to = &profile->total[profile->sites[i].kind];
        to->allocs += from->allocs;
        to->alloc_bytes += from->alloc_bytes;
        to->frees += from->frees;
        to->free_bytes += from->free_bytes;
        to->live += from->live;
        to->live_bytes += from->live_bytes;
    }
}

static bool load_sites(struct profile *profile, const struct reader *reader)
{
    struct site_index index = {.reader = reader, .profile = profile};
    index.row = calloc((size_t)reader_count(reader, HT_SITES) + 1, sizeof *index.row);
    if (!index.row)
        return false;
    reader_each_block(reader, mark_block, &index);
    reader_each_cell(reader, mark_cell, &index);
    profile->sites = calloc((size_t)index.active + 1, sizeof *profile->sites);
    if (profile->sites) {
        make_rows(&index);
        reader_each_block(reader, add_block, &index);
        reader_each_cell(reader, add_cell, &index);
        sum_by_kind(profile);
    }
    free(index.row);
    return profile->sites;
}

/* Room for the tables. Never-touched parts of a large calloc cost nothing. */
static bool make_tables(struct profile *profile)
{
    profile->modules = calloc((size_t)profile->module_count + 1, sizeof *profile->modules);
    profile->places = calloc((size_t)profile->place_count + 1, sizeof *profile->places);
    profile->nodes = calloc((size_t)profile->node_count + 1, sizeof *profile->nodes);
    profile->slots = calloc((size_t)profile->slot_count + 1, sizeof *profile->slots);
    return profile->modules && profile->places && profile->nodes && profile->slots;
}

bool profile_load(struct profile *profile, const struct reader *reader, struct err *err)
{
    memset(profile, 0, sizeof *profile);
    profile->header = reader->header;
    profile->process = reader->process;
    profile->events_during = reader->events_after - reader->events_before;
    profile->left_out = reader->left_out;
    profile->modules_lost = reader_value(&reader->header.modules_lost);
    profile->module_count = reader_count(reader, HT_MODULES);
    profile->place_count = MAX(reader_count(reader, HT_PLACES), 1u);
    profile->node_count = MAX(reader_count(reader, HT_NODES), 1u);
    profile->slot_count = reader_count(reader, HT_SLOTS);
    uint16_t *depth = calloc((size_t)profile->node_count + 1, sizeof *depth);
    bool done = make_tables(profile) && depth;
    if (done) {
        load_modules(profile, reader);
        load_places(profile, reader);
        load_nodes(profile, reader, depth);
        load_slots(profile, reader);
        done = load_sites(profile, reader);
    }
    free(depth);
    return done ? true
                : err_set(err, "%s: no memory for its profile of %u stack nodes", reader->path, profile->node_count);
}

void profile_process_pid(const struct profile_process *process, char to[16])
{
    if (process->pid)
        snprintf(to, 16, "%u", process->pid);
    else
        snprintf(to, 16, "others");
}

void profile_free(struct profile *profile)
{
    free(profile->modules);
    free(profile->places);
    free(profile->nodes);
    free(profile->sites);
    free(profile->slots);
    free(profile->processes);
    memset(profile, 0, sizeof *profile);
}
