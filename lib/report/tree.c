#include "tree.h"

#include <stdlib.h>
#include <string.h>

/* What is needed only while building. */
struct build {
    struct names *names;
    const struct profile *profile;
    enum profile_view view;
    uint32_t *row;  /* by profile node: 0 has no value, 1 has; later its tree node */
    uint32_t *list; /* profile nodes that have one, ascending */
    uint32_t listed;
    uint32_t *rank;  /* by function: order of its name, equal for equal names */
    uint32_t frames; /* of the listed nodes */
    uint32_t *hash;  /* tree nodes by (parent, rank) */
    uint32_t hash_mask;
    struct tree *tree;
};

static bool is_wanted(const struct build *build, const struct profile_site *site)
{
    return build->view == TREE_EVERYTHING || profile_view_bytes(build->view, site);
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static const char *name_of(const struct names *names, uint32_t function)
{
    return names->texts.text[names->functions[function].name];
}

static int compare_names(const void *a, const void *b, void *arg)
{
    return strcmp(name_of(arg, *(const uint32_t *)a), name_of(arg, *(const uint32_t *)b));
}

/* Visits every node on the way from the sites of the view to the root once; counts, or lists if there is a list. */
static void walk_sites(struct build *build, uint32_t mark)
{
    build->listed = 0;
    for (uint32_t i = 0; i < build->profile->site_count; i++) {
        const struct profile_site *site = &build->profile->sites[i];
        if (!is_wanted(build, site))
            continue;
        for (uint32_t node = site->node; node && build->row[node] != mark; node = build->profile->nodes[node].parent) {
            build->row[node] = mark;
            if (build->list)
                build->list[build->listed] = node;
            build->listed++;
        }
    }
}

static bool list_nodes(struct build *build)
{
    build->row = calloc(build->profile->node_count, sizeof *build->row);
    if (!build->row)
        return false;
    walk_sites(build, 1);
    build->list = malloc(((size_t)build->listed + 1) * sizeof *build->list);
    if (!build->list)
        return false;
    walk_sites(build, 2);
    qsort(build->list, build->listed, sizeof *build->list, compare_u32);
    return true;
}

/* Gives the places of the listed nodes their frames. */
static bool resolve_places(struct build *build)
{
    const struct profile *profile = build->profile;
    uint32_t count = 0;
    uint8_t *seen = calloc(profile->place_count, 1);
    uint32_t *places = malloc(((size_t)profile->place_count + 1) * sizeof *places);
    bool done = seen && places;
    for (uint32_t i = 0; done && i < build->listed; i++) {
        uint32_t place = profile->nodes[build->list[i]].place;
        if (!seen[place])
            places[count++] = place;
        seen[place] = 1;
    }
    done = done && names_resolve(build->names, places, count);
    for (uint32_t i = 0; done && i < build->listed; i++)
        build->frames += build->names->places[profile->nodes[build->list[i]].place].count;
    free(places);
    free(seen);
    return done;
}

static bool rank_functions(struct build *build)
{
    uint32_t count = build->names->function_count, rank = 0;
    uint32_t *order = malloc(((size_t)count + 1) * sizeof *order);
    build->rank = calloc((size_t)count + 1, sizeof *build->rank);
    bool done = order && build->rank;
    for (uint32_t i = 0; done && i < count; i++)
        order[i] = i;
    if (done)
        qsort_r(order, count, sizeof *order, compare_names, build->names);
    for (uint32_t i = 0; done && i < count; i++) {
        rank += i == 0 || compare_names(&order[i - 1], &order[i], build->names) != 0;
        build->rank[order[i]] = rank;
    }
    if (done)
        build->rank[build->names->frames[NAMES_NO_STACK].function] = rank + 1; /* last */
    free(order);
    return done;
}

static uint32_t rank_of(const struct build *build, uint32_t frame)
{
    return build->rank[build->names->frames[frame].function];
}

/* The child of `parent` with the name of `frame`, made if there is none. */
static uint32_t merged_child(struct build *build, uint32_t parent, uint32_t frame, uint32_t place)
{
    struct tree *tree = build->tree;
    uint32_t rank = rank_of(build, frame);
    uint64_t mixed = ((uint64_t)parent << 32 | rank) * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t at = (uint32_t)(mixed >> 32) & build->hash_mask;
    for (; build->hash[at]; at = (at + 1) & build->hash_mask) {
        const struct tree_node *node = &tree->nodes[build->hash[at]];
        if (node->parent == parent && rank_of(build, node->frame) == rank)
            return build->hash[at];
    }
    build->hash[at] = tree->count;
    tree->nodes[tree->count] = (struct tree_node){parent, frame, place};
    return tree->count++;
}

static bool merge_nodes(struct build *build)
{
    size_t capacity = 16;
    while (capacity < ((size_t)build->frames + 2) / 3 * 4)
        capacity *= 2;
    build->hash = calloc(capacity, sizeof *build->hash);
    build->hash_mask = (uint32_t)(capacity - 1);
    build->tree->nodes = malloc(((size_t)build->frames + 2) * sizeof *build->tree->nodes);
    if (!build->hash || !build->tree->nodes)
        return false;
    build->tree->nodes[0] = (struct tree_node){0, NAMES_NO_STACK, TREE_NO_PLACE};
    build->tree->count = 1;
    build->row[0] = 0;
    for (uint32_t i = 0; i < build->listed; i++) {
        uint32_t id = build->list[i];
        const struct profile_node *node = &build->profile->nodes[id];
        const struct names_place *place = &build->names->places[node->place];
        uint32_t at = build->row[node->parent];
        for (uint32_t frame = place->count; frame--;)
            at = merged_child(build, at, place->first + frame, node->place);
        build->row[id] = at;
    }
    return true;
}

static int compare_leaves(const void *a, const void *b)
{
    return compare_u32(&((const struct tree_leaf *)a)->node, &((const struct tree_leaf *)b)->node);
}

/* Sums the leaves of each node. */
static void sum_leaves(struct tree *tree)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < tree->leaf_count; i++) {
        if (kept && tree->leaves[kept - 1].node == tree->leaves[i].node)
            tree->leaves[kept - 1].value += tree->leaves[i].value;
        else
            tree->leaves[kept++] = tree->leaves[i];
    }
    tree->leaf_count = kept;
}

static bool collect_leaves(struct build *build)
{
    struct tree *tree = build->tree;
    uint32_t count = build->profile->site_count;
    tree->leaves = malloc(((size_t)count + 1) * sizeof *tree->leaves);
    tree->site_node = calloc((size_t)count + 1, sizeof *tree->site_node);
    if (!tree->leaves || !tree->site_node)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct profile_site *site = &build->profile->sites[i];
        if (!is_wanted(build, site))
            continue;
        tree->site_node[i] = site->node ? build->row[site->node]
                                        : merged_child(build, 0, NAMES_NO_STACK, TREE_NO_PLACE);
        if (build->view != TREE_EVERYTHING)
            tree->leaves[tree->leaf_count++] = (struct tree_leaf){tree->site_node[i],
                                                                  profile_view_bytes(build->view, site)};
    }
    qsort(tree->leaves, tree->leaf_count, sizeof *tree->leaves, compare_leaves);
    sum_leaves(tree);
    return true;
}

static int compare_children(const void *a, const void *b, void *arg)
{
    const struct build *build = arg;
    const struct tree_node *x = &build->tree->nodes[*(const uint32_t *)a],
                           *y = &build->tree->nodes[*(const uint32_t *)b];
    uint32_t x_rank = rank_of(build, x->frame), y_rank = rank_of(build, y->frame);
    if (x->parent != y->parent)
        return x->parent < y->parent ? -1 : 1;
    return (x_rank > y_rank) - (x_rank < y_rank);
}

static bool sort_children(struct build *build)
{
    struct tree *tree = build->tree;
    tree->child = malloc(((size_t)tree->count + 1) * sizeof *tree->child);
    tree->first = malloc(((size_t)tree->count + 1) * sizeof *tree->first);
    if (!tree->child || !tree->first)
        return false;
    for (uint32_t i = 1; i < tree->count; i++)
        tree->child[i - 1] = i;
    qsort_r(tree->child, tree->count - 1, sizeof *tree->child, compare_children, build);
    uint32_t at = 0;
    for (uint32_t node = 0; node <= tree->count; node++) {
        while (at < tree->count - 1 && tree->nodes[tree->child[at]].parent < node)
            at++;
        tree->first[node] = at;
    }
    return true;
}

static bool measure_depth(struct tree *tree)
{
    uint32_t *depth = calloc(tree->count, sizeof *depth);
    bool measured = depth != NULL;
    for (uint32_t i = 1; depth && i < tree->count; i++) {
        depth[i] = depth[tree->nodes[i].parent] + 1;
        tree->depth = MAX(tree->depth, depth[i]);
    }
    free(depth);
    return measured;
}

bool tree_build(struct tree *tree, struct names *names, enum profile_view view, struct err *err)
{
    struct build build = {.names = names, .profile = names->profile, .view = view, .tree = tree};
    memset(tree, 0, sizeof *tree);
    bool done = list_nodes(&build) && resolve_places(&build) && rank_functions(&build) && merge_nodes(&build) &&
                collect_leaves(&build);
    free(build.hash);
    free(build.list);
    free(build.row);
    done = done && sort_children(&build) && measure_depth(tree);
    free(build.rank);
    return done ? true : err_set(err, "no memory for a call tree of %u nodes", build.listed);
}

void tree_free(struct tree *tree)
{
    free(tree->nodes);
    free(tree->leaves);
    free(tree->site_node);
    free(tree->first);
    free(tree->child);
    memset(tree, 0, sizeof *tree);
}

uint64_t tree_value(const struct tree *tree, uint32_t node)
{
    uint32_t low = 0, high = tree->leaf_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (tree->leaves[middle].node < node)
            low = middle + 1;
        else
            high = middle;
    }
    return low < tree->leaf_count && tree->leaves[low].node == node ? tree->leaves[low].value : 0;
}
