/*
 * The call tree of one view, inlined functions included, with frames of equal name below equal callers made one: what folded text, reports and flame graphs show.
 * Only stacks with a value are in it, or with TREE_EVERYTHING all that anything happened at. Children are in the order of their names, stacks that were not recorded come last.
 */
#ifndef HEAPTAP_TREE_H
#define HEAPTAP_TREE_H

#include "names.h"

/* A tree of no one view, without values: site_node tells where those of each site belong. */
#define TREE_EVERYTHING PROFILE_VIEWS

struct tree_node {
    uint32_t parent; /* less than its own index; node 0 is the root */
    uint32_t frame;  /* of names: one of those with this name (file and line are that one's) */
    uint32_t place;  /* of the profile: that frame's; TREE_NO_PLACE for the root and "[no stack]" */
};
#define TREE_NO_PLACE 0xffffffffu

struct tree_leaf {
    uint32_t node;
    uint64_t value; /* of the stacks that end here, not of what lies below */
};

struct tree {
    uint32_t count;
    uint32_t depth;          /* of the deepest node; the root has 0 */
    struct tree_node *nodes; /* [0] is the root */
    uint32_t leaf_count;
    struct tree_leaf *leaves; /* by node, each once, values other than 0 */
    uint32_t *site_node;      /* by index in profile.sites: where its stack ends; 0: not in this tree */
    uint32_t *first;          /* children of node i: child[first[i]] .. child[first[i + 1] - 1], by name */
    uint32_t *child;
};

/* Builds the tree, resolving the names of its places. Time: n log n. tree_free may be called in either case. */
bool tree_build(struct tree *tree, struct names *names, enum profile_view view, struct err *err);
void tree_free(struct tree *tree);

/* Own value of a node (binary search in leaves). */
uint64_t tree_value(const struct tree *tree, uint32_t node);

#endif
