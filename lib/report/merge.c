#include "merge.h"

#include "coverage.h"

#include <common/text.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_MAX 1200 /* of a module */

/* What is known of the process that is being added. */
struct addition {
    struct merge *merge;
    const struct profile *from;
    bool main;
    bool apart;        /* not one of several of its program */
    uint32_t process;  /* its index */
    uint32_t *row;     /* by its module row: row + 1; 0: not in use so far */
    uint32_t *place;   /* by its place id: id; 0: not in use so far */
    uint32_t *node;    /* by its node id: id; 0: not in use */
    uint32_t root;     /* what its stacks hang below */
    uint32_t no_stack; /* node of those that were not recorded */
};

/* The array with room for `wanted` records, moved perhaps. NULL: no memory, and the old one stays. */
static void *grown(void *array, uint32_t *capacity, uint64_t wanted, size_t record)
{
    if (array && wanted <= *capacity)
        return array;
    uint64_t more = MAX(wanted, (uint64_t)*capacity + *capacity / 2);
    if (more >= PROFILE_NO_STACK) /* above it numbers have meanings of their own */
        return NULL;
    void *larger = reallocarray(array, more, record);
    if (larger)
        *capacity = (uint32_t)more;
    return larger;
}

bool merge_init(struct merge *merge, bool roots, struct err *err)
{
    memset(merge, 0, sizeof *merge);
    merge->roots = roots;
    merge->place_hash_size = 1024;
    merge->place_hash = calloc(merge->place_hash_size, sizeof *merge->place_hash);
    struct profile *profile = &merge->profile;
    profile->places = grown(NULL, &merge->place_capacity, 512, sizeof *profile->places);
    profile->nodes = grown(NULL, &merge->node_capacity, 512, sizeof *profile->nodes);
    profile->modules = grown(NULL, &merge->module_capacity, 16, sizeof *profile->modules);
    profile->sites = grown(NULL, &merge->site_capacity, 512, sizeof *profile->sites);
    profile->processes = grown(NULL, &merge->process_capacity, 16, sizeof *profile->processes);
    bool done = intern_init(&merge->modules) && intern_init(&merge->pids) && merge->place_hash && profile->places &&
                profile->nodes && profile->modules && profile->sites && profile->processes;
    if (!done)
        return err_set(err, "no memory for a profile of several processes");
    profile->process = READER_ENDED;
    profile->places[0] = (struct profile_place){.module = PROFILE_DAMAGED};
    profile->nodes[0] = (struct profile_node){0, 0};
    profile->place_count = profile->node_count = 1;
    return true;
}

void merge_free(struct merge *merge)
{
    intern_free(&merge->modules);
    intern_free(&merge->pids);
    pairs_free(&merge->nodes);
    pairs_free(&merge->sites);
    free(merge->place_hash);
    profile_free(&merge->profile);
    memset(merge, 0, sizeof *merge);
}

/* ---- Modules ---- */

/* The same file with the same segments. One without a build-id may have been made anew in between, and then mostly differs in these. */
static void module_key(const struct ht_module *module, char to[KEY_MAX])
{
    int at = snprintf(to, KEY_MAX, "%s ", module->path);
    for (uint32_t i = 0; i < module->build_id_bytes; i++)
        at += snprintf(to + at, KEY_MAX - (size_t)at, "%02x", module->build_id[i]);
    for (uint32_t i = 0; i < module->segment_count; i++)
        at += snprintf(to + at, KEY_MAX - (size_t)at, " %llx %llx %llx",
                       (unsigned long long)(module->segment[i].start - module->bias),
                       (unsigned long long)(module->segment[i].end - module->bias),
                       (unsigned long long)module->segment[i].file_offset);
}

static bool add_module(struct addition *addition, uint32_t from_row)
{
    struct merge *merge = addition->merge;
    struct profile *to = &merge->profile;
    const struct ht_module *module = &addition->from->modules[from_row];
    char key[KEY_MAX];
    module_key(module, key);
    uint32_t number = intern_add(&merge->modules, key);
    if (number == INTERN_NONE)
        return false;
    addition->row[from_row] = number;
    if (number <= to->module_count)
        return true;
    struct ht_module *modules = grown(to->modules, &merge->module_capacity, number, sizeof *modules);
    if (!modules)
        return false;
    to->modules = modules;
    modules[to->module_count++] = *module;
    return true;
}

/* ---- Places ---- */

static bool same_place(const struct profile_place *a, const struct profile_place *b)
{
    return a->offset == b->offset && a->module == b->module && a->flags == b->flags;
}

static uint32_t *find_place(const struct merge *merge, const struct profile_place *place)
{
    uint64_t mixed = (place->offset ^ (uint64_t)place->module << 40 ^ place->flags) * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t mask = merge->place_hash_size - 1, at = (uint32_t)(mixed >> 32) & mask;
    while (merge->place_hash[at] && !same_place(&merge->profile.places[merge->place_hash[at]], place))
        at = (at + 1) & mask;
    return &merge->place_hash[at];
}

/* Half of the hash stays free. */
static bool grow_places(struct merge *merge)
{
    struct profile *to = &merge->profile;
    struct profile_place *places = grown(to->places, &merge->place_capacity, (uint64_t)to->place_count + 1,
                                         sizeof *places);
    if (!places)
        return false;
    to->places = places;
    if (to->place_count < merge->place_hash_size / 2)
        return true;
    uint32_t *hash = merge->place_hash_size < 1u << 31 ? calloc((size_t)merge->place_hash_size * 2, sizeof *hash)
                                                       : NULL;
    if (!hash)
        return false;
    free(merge->place_hash);
    merge->place_hash = hash;
    merge->place_hash_size *= 2;
    for (uint32_t id = 1; id < to->place_count; id++)
        *find_place(merge, &to->places[id]) = id;
    return true;
}

/* The id of a place; 0: no memory. Generated code is another in each process, though its address may be the same. */
static uint32_t add_place(struct merge *merge, const struct profile_place *place, bool shared)
{
    struct profile *to = &merge->profile;
    uint32_t *found = find_place(merge, place);
    if (shared && *found)
        return *found;
    if (!grow_places(merge))
        return 0;
    to->places[to->place_count] = *place;
    found = find_place(merge, place);
    if (!*found)
        *found = to->place_count;
    return to->place_count++;
}

static uint32_t place_of(struct addition *addition, uint32_t from_id)
{
    struct profile_place place = addition->from->places[from_id];
    uint32_t *known = &addition->place[from_id];
    if (*known)
        return *known;
    if (place.module < addition->from->module_count) {
        if (!addition->row[place.module] && !add_module(addition, place.module))
            return 0;
        place.module = addition->row[place.module] - 1;
    }
    bool shared = place.module < addition->merge->profile.module_count || place.module == PROFILE_CUT;
    if (!shared && !addition->apart) { /* whatever it is, it is one place of them all */
        place.offset = 0;
        shared = true;
    }
    return *known = add_place(addition->merge, &place, shared);
}

/* ---- Stacks ---- */

/* The id of a node; 0: no memory. */
static uint32_t add_node(struct merge *merge, uint32_t parent, uint32_t place)
{
    struct profile *to = &merge->profile;
    struct profile_node *nodes = grown(to->nodes, &merge->node_capacity, (uint64_t)to->node_count + 1, sizeof *nodes);
    if (nodes)
        to->nodes = nodes;
    if (!nodes || !place || !pairs_reserve(&merge->nodes, 1))
        return 0;
    uint32_t id = pairs_add(&merge->nodes, parent, place, to->node_count);
    if (id == to->node_count)
        nodes[to->node_count++] = (struct profile_node){parent, place};
    return id;
}

static bool add_root(struct addition *addition)
{
    struct merge *merge = addition->merge;
    struct profile_place place = {.offset = addition->process, .module = PROFILE_PROCESS};
    if (!merge->roots)
        return true;
    addition->root = add_node(merge, 0, add_place(merge, &place, true));
    return addition->root;
}

/* Those that a site needs, in their order: parents first. */
static bool add_nodes(struct addition *addition)
{
    const struct profile *from = addition->from;
    for (uint32_t i = 0; i < from->site_count; i++)
        for (uint32_t id = from->sites[i].node; id && !addition->node[id]; id = from->nodes[id].parent)
            addition->node[id] = 1;
    for (uint32_t id = 1; id < from->node_count; id++) {
        uint32_t parent = from->nodes[id].parent;
        if (!addition->node[id])
            continue;
        addition->node[id] = add_node(addition->merge, parent ? addition->node[parent] : addition->root,
                                      place_of(addition, from->nodes[id].place));
        if (!addition->node[id])
            return false;
    }
    return true;
}

static bool find_leaf(struct addition *addition, uint32_t node, uint32_t *leaf)
{
    *leaf = node ? addition->node[node] : addition->no_stack;
    if (node || !addition->root || addition->no_stack)
        return true;
    struct profile_place place = {.offset = addition->process, .module = PROFILE_NO_STACK};
    *leaf = addition->no_stack = add_node(addition->merge, addition->root, add_place(addition->merge, &place, true));
    return *leaf;
}

/* Room for its sites, and a leaf for each: what follows cannot fail. */
static bool prepare_sites(struct addition *addition)
{
    struct merge *merge = addition->merge;
    struct profile *to = &merge->profile;
    const struct profile *from = addition->from;
    uint32_t leaf;
    struct profile_site *sites = grown(to->sites, &merge->site_capacity, (uint64_t)to->site_count + from->site_count,
                                       sizeof *sites);
    if (sites)
        to->sites = sites;
    bool done = sites && (addition->apart || pairs_reserve(&merge->sites, from->site_count));
    for (uint32_t i = 0; i < from->site_count && done; i++)
        done = find_leaf(addition, from->sites[i].node, &leaf);
    return done;
}

static void add_totals(struct profile_totals *to, const struct profile_totals *from)
{
    to->allocs += from->allocs;
    to->alloc_bytes += from->alloc_bytes;
    to->frees += from->frees;
    to->free_bytes += from->free_bytes;
    to->live += from->live;
    to->live_bytes += from->live_bytes;
}

static void add_sites(struct addition *addition)
{
    struct merge *merge = addition->merge;
    struct profile *to = &merge->profile;
    for (uint32_t i = 0; i < addition->from->site_count; i++) {
        struct profile_site site = addition->from->sites[i];
        uint32_t index = to->site_count;
        find_leaf(addition, site.node, &site.node);
        site.id = index;
        site.process = addition->process;
        if (!addition->apart)
            index = pairs_add(&merge->sites, site.node, site.process * HT_KINDS + site.kind, index + 1) - 1;
        if (index < to->site_count)
            add_totals(&to->sites[index].total, &site.total);
        else
            to->sites[to->site_count++] = site;
    }
}

/* ---- The process ---- */

/* The index of what is called like this; their count if there is nothing. */
static uint32_t find_process(const struct profile *profile, uint32_t pid, const char *name)
{
    uint32_t i = 0;
    while (i < profile->process_count &&
           (profile->processes[i].pid != pid || strcmp(profile->processes[i].name, name) != 0))
        i++;
    return i;
}

/* As files of single profiles are called: a number where one process recorded twice. */
static void name_process(const struct profile *profile, struct profile_process *process, const char *name)
{
    text_copy(process->name, sizeof process->name, name);
    for (unsigned n = 1; n < 10000 && find_process(profile, process->pid, process->name) < profile->process_count; n++)
        snprintf(process->name, sizeof process->name, "%s.%u", name, n);
}

static bool add_process(struct addition *addition)
{
    struct merge *merge = addition->merge;
    struct profile *to = &merge->profile;
    const struct ht_header *header = &addition->from->header;
    struct profile_process *processes = grown(to->processes, &merge->process_capacity, (uint64_t)to->process_count + 1,
                                              sizeof *processes);
    if (!processes)
        return false;
    to->processes = processes;
    struct profile_process *process = &processes[to->process_count];
    *process = (struct profile_process){.pid = addition->apart ? header->pid : 0, .header = *header};
    char safe[sizeof process->name - 8];
    err_safe_text(safe, sizeof safe, header->exe[0] ? text_basename(header->exe) : "unknown");
    if (addition->apart)
        name_process(to, process, safe);
    else
        text_copy(process->name, sizeof process->name, safe);
    addition->process = addition->apart ? to->process_count : find_process(to, 0, safe);
    process = &processes[addition->process];
    if (!process->problem[0] && !coverage_problem(addition->from, process->problem))
        process->problem[0] = 0;
    to->process_count = MAX(to->process_count, addition->process + 1);
    return true;
}

/* After an exec it is the same process. */
static void count_process(struct addition *addition)
{
    struct merge *merge = addition->merge;
    const struct ht_header *header = &addition->from->header;
    char key[64];
    snprintf(key, sizeof key, "%u %llu", header->pid, (unsigned long long)header->start_ticks);
    merge->profile.processes[addition->process].count++;
    merge->profile.program_count++;
    intern_add(&merge->pids, key);
    merge->profile.pid_count = merge->pids.count - 1;
}

/* What of a second header is in that of both. */
static void add_header(struct ht_header *to, const struct ht_header *from)
{
    to->threads_seen += from->threads_seen;
    to->ctl_pause |= from->ctl_pause;
    to->flags |= from->flags & (HT_FLAG_FROZEN | HT_FLAG_NO_TABLES | HT_FLAG_LIMITED);
}

static uint32_t row_of_program(const struct addition *addition)
{
    const struct profile *from = addition->from;
    for (uint32_t row = 0; row < from->module_count; row++)
        if (from->modules[row].state && from->modules[row].flags & HT_MODULE_MAIN)
            return addition->row[row];
    return 0;
}

static void become_main(const struct addition *addition)
{
    struct profile *to = &addition->merge->profile;
    struct ht_header before = to->header;
    to->header = addition->from->header;
    to->header.flags &= ~HT_FLAG_MALLOC_ELSEWHERE; /* is in the process's problem */
    to->process = addition->from->process;
    to->main_module = row_of_program(addition);
    if (to->program_count > 1)
        add_header(&to->header, &before);
}

/* All that is summed. What was lost where is not told apart. */
static void add_figures(const struct addition *addition)
{
    struct profile *to = &addition->merge->profile;
    const struct profile *from = addition->from;
    if (addition->main || to->program_count == 1)
        become_main(addition);
    else
        add_header(&to->header, &from->header);
    to->modules_lost += from->modules_lost;
    to->events_during += from->events_during;
    to->left_out += from->left_out;
    to->events += from->events;
    to->damaged += from->damaged;
    for (int cause = 0; cause < HT_LOSSES_MAX; cause++)
        to->lost[cause] += from->lost[cause];
    for (int kind = 0; kind < HT_KINDS; kind++)
        add_totals(&to->total[kind], &from->total[kind]);
}

bool merge_add(struct merge *merge, const struct profile *from, bool main, uint64_t time_ns, struct err *err)
{
    struct profile *to = &merge->profile;
    struct addition addition = {.merge = merge, .from = from, .main = main};
    uint32_t processes = to->process_count;
    addition.apart = main || (to->process_count < MERGE_APART_MAX && to->site_count < MERGE_SITES_MAX &&
                              to->node_count < MERGE_NODES_MAX);
    if (to->process_count && to->header.e_machine != from->header.e_machine)
        return err_set(err, "process %u ran on another kind of processor; it has to have a profile of its own",
                       from->header.pid);
    addition.row = calloc((size_t)from->module_count + 1, sizeof *addition.row);
    addition.place = calloc((size_t)from->place_count + 1, sizeof *addition.place);
    addition.node = calloc((size_t)from->node_count + 1, sizeof *addition.node);
    bool done = addition.row && addition.place && addition.node && add_process(&addition) && add_root(&addition) &&
                add_nodes(&addition) && prepare_sites(&addition);
    if (done) {
        add_sites(&addition);
        count_process(&addition);
        add_figures(&addition);
        merge->time_ns = MAX(merge->time_ns, time_ns);
    } else {
        to->process_count = processes;
    }
    free(addition.row);
    free(addition.place);
    free(addition.node);
    return done ? true : err_set(err, "no memory for process %u beside the others", from->header.pid);
}
