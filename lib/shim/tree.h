/* The call tree in the file: places, nodes and sites, each found again by what is private: indices, and lists of a node's sites. Ids are handed out so that parent < child. */
#ifndef HEAPTAP_TREE_H
#define HEAPTAP_TREE_H

#include "section.h"
#include "thread.h"

bool tree_init(void);

/* Gives back the lists of nodes and sites beyond so many, which are no more than the sections' capacities. Context: as memory_cut; one caller at a time. */
void tree_cut(uint32_t node_count, uint32_t site_count, bool wait);

/* Makes room that was missing, as section_grow. */
void tree_grow(void);
/* Makes the indices large enough for all that is allocated. Context: cold. */
void tree_reserve(void);
/* True if it is time to. */
bool tree_wants(void);

/* Id of a place; 0: full. `module` is row + 1, HT_NO_MODULE or HT_CUT. Context: cold; grows by itself. */
uint32_t tree_place(uint32_t module, uint32_t flags, uint64_t offset);
/*
 * What a stack is found by: a hash of its places, outermost first. Those of all frames are known before the first of them is looked for, so that what the
 * processor has to fetch for one is not waited for before the next.
 */
INLINE uint64_t tree_path(uint64_t outer, uint32_t place)
{
    return (outer + place) * 0x9e3779b97f4a7c15ull;
}

/* Of the child of the root below which stacks hang that were cut; 0: of the root itself. No path is 0, but for one in 2^64. */
INLINE uint64_t tree_cut_path(enum ht_cut why)
{
    return tree_path(1, (uint32_t)why);
}

INLINE uint32_t tree_place_of(const struct frame *frame)
{
    return frame->place & ~FRAME_FP_MATTERS;
}

/*
 * Do `leaf` and the nodes that it hangs on stand for frame[0] .. frame[count - 1], which lie one on the other, outermost first, on a stack whose node is
 * `parent`? Stores them on the way. Each frame's place is there (0: it is not listed and has the node of the one it lies on).
 * Context: any thread. What comes from the file is not trusted.
 */
INLINE bool tree_stands_for(uint32_t leaf, struct frame *frame, uint32_t count, uint32_t parent)
{
    uint32_t id = leaf;
    while (count-- > 0) {
        const struct ht_node *node = SECTION_RECORD(const struct ht_node, HT_NODES, id);
        frame[count].node = id;
        if (UNLIKELY((word_acquire(&node->place) ^ frame[count].place) & ~FRAME_FP_MATTERS)) {
            if (tree_place_of(&frame[count]))
                return false;
            continue; /* not listed */
        }
        uint32_t outer = node->parent;
        if (UNLIKELY(outer >= id))
            return false;
        id = outer;
    }
    return id == parent;
}

/* Looks for the innermost's node, by its path, among those that tree_nodes was asked for. True: each frame has its node. */
bool tree_find(struct frame *frame, uint32_t count, uint32_t parent);

/*
 * The nodes of such frames, made if they are not there, with each frame's path. Returns how many got one: fewer than `count` when the tree is full, at least
 * until tree_grow. Context: any thread, lock-free; cold: it needs some stack.
 */
uint32_t tree_nodes(struct frame *frame, uint32_t count, uint32_t parent);

/* The child of the root below which stacks hang that were cut. Never 0. */
uint32_t tree_cut_node(enum ht_cut why);

/* Makes a site. 0: there is no room, at least until tree_grow. Context: as above. */
uint32_t tree_new_site(uint32_t node, enum ht_kind kind);

/* Of each node, the site that was made last (0: none), and of each site, the one before it at its node. Private. */
extern uint32_t *tree_site_of, *tree_site_before;

INLINE const struct ht_site *tree_site_record(uint32_t id)
{
    return SECTION_RECORD(const struct ht_site, HT_SITES, id);
}

/* Id of a site; 0: it was not made yet. Context: as above. */
INLINE uint32_t tree_site(uint32_t node, enum ht_kind kind)
{
    uint32_t id = word_acquire(&tree_site_of[node]);
    while (id && UNLIKELY(tree_site_record(id)->kind != (uint32_t)kind))
        id = tree_site_before[id];
    return id;
}

#endif
