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
    bool done = intern_init(&merge->modules) && merge->place_hash && profile->places && profile->nodes &&
                profile->modules && profile->sites && profile->processes;
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
    return *known = add_place(addition->merge, &place, shared);
}

/* ---- Stacks ---- */

/* The id of a new node; 0: no memory. */
static uint32_t add_node(struct merge *merge, uint32_t parent, uint32_t place)
{
    struct profile *to = &merge->profile;
    struct profile_node *nodes = grown(to->nodes, &merge->node_capacity, (uint64_t)to->node_count + 1, sizeof *nodes);
    if (!nodes || !place)
        return 0;
    to->nodes = nodes;
    nodes[to->node_count] = (struct profile_node){parent, place};
    return to->node_count++;
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

static bool add_sites(struct addition *addition)
{
    struct merge *merge = addition->merge;
    struct profile *to = &merge->profile;
    const struct profile *from = addition->from;
    struct profile_site *sites = grown(to->sites, &merge->site_capacity, (uint64_t)to->site_count + from->site_count,
                                       sizeof *sites);
    if (!sites)
        return false;
    to->sites = sites;
    for (uint32_t i = 0; i < from->site_count; i++) {
        struct profile_site *site = &sites[to->site_count + i];
        *site = from->sites[i];
        site->id = to->site_count + i;
        site->process = addition->process;
        if (!find_leaf(addition, from->sites[i].node, &site->node))
            return false;
    }
    to->site_count += from->site_count;
    return true;
}

/* ---- The process ---- */

/* Whether a process with this PID, and with this name if there is one, was added before. */
static bool is_known(const struct profile *profile, uint32_t pid, const char *name)
{
    bool known = false;
    for (uint32_t i = 0; i < profile->process_count && !known; i++)
        known = profile->processes[i].pid == pid && (!name || strcmp(profile->processes[i].name, name) == 0);
    return known;
}

/* As files of single profiles are called: a number where one process recorded twice. */
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
    *process = (struct profile_process){.pid = header->pid, .header = *header};
    if (!coverage_problem(addition->from, process->problem))
        process->problem[0] = 0;
    char safe[sizeof process->name - 8];
    err_safe_text(safe, sizeof safe, header->exe[0] ? text_basename(header->exe) : "unknown");
    text_copy(process->name, sizeof process->name, safe);
    for (unsigned n = 1; n < 10000 && is_known(to, process->pid, process->name); n++)
        snprintf(process->name, sizeof process->name, "%s.%u", safe, n);
    to->pid_count += !is_known(to, header->pid, NULL);
    to->process_count++;
    return true;
}

/* All that is summed. What was lost where is not told apart. */
static void add_figures(struct profile *to, const struct profile *from)
{
    struct ht_header *header = &to->header;
    if (to->process_count == 1) {
        *header = from->header;
        header->flags &= ~HT_FLAG_MALLOC_ELSEWHERE; /* is in the process's problem */
        to->process = from->process;
    } else {
        header->threads_seen += from->header.threads_seen;
        header->ctl_pause |= from->header.ctl_pause;
        header->flags |= from->header.flags & (HT_FLAG_FROZEN | HT_FLAG_NO_TABLES);
    }
    to->modules_lost += from->modules_lost;
    to->events_during += from->events_during;
    to->left_out += from->left_out;
    to->events += from->events;
    to->damaged += from->damaged;
    for (int cause = 0; cause < HT_LOSSES_MAX; cause++)
        to->lost[cause] += from->lost[cause];
    for (int kind = 0; kind < HT_KINDS; kind++) {
        to->total[kind].allocs += from->total[kind].allocs;
        to->total[kind].alloc_bytes += from->total[kind].alloc_bytes;
        to->total[kind].frees += from->total[kind].frees;
        to->total[kind].free_bytes += from->total[kind].free_bytes;
        to->total[kind].live += from->total[kind].live;
        to->total[kind].live_bytes += from->total[kind].live_bytes;
    }
}

bool merge_add(struct merge *merge, const struct profile *from, uint64_t time_ns, struct err *err)
{
    struct profile *to = &merge->profile;
    struct addition addition = {.merge = merge, .from = from, .process = to->process_count};
    uint32_t pids = to->pid_count;
    if (to->process_count && to->header.e_machine != from->header.e_machine)
        return err_set(err, "process %u ran on another kind of processor; it has to have a profile of its own",
                       from->header.pid);
    addition.row = calloc((size_t)from->module_count + 1, sizeof *addition.row);
    addition.place = calloc((size_t)from->place_count + 1, sizeof *addition.place);
    addition.node = calloc((size_t)from->node_count + 1, sizeof *addition.node);
    bool done = addition.row && addition.place && addition.node && add_process(&addition) && add_root(&addition) &&
                add_nodes(&addition) && add_sites(&addition);
    if (done) {
        add_figures(to, from);
        merge->time_ns = MAX(merge->time_ns, time_ns);
    } else {
        to->process_count = addition.process;
        to->pid_count = pids;
    }
    free(addition.row);
    free(addition.place);
    free(addition.node);
    return done ? true : err_set(err, "no memory for process %u beside the others", from->header.pid);
}
