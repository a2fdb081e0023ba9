#include "tree.h"

#include "index.h"

static struct index places, nodes;
/* Of the nodes those at which something was allocated: a small part of them, and what is looked for most. */
static struct index leaves;
uint32_t *tree_site_of, *tree_site_before;

struct place_key {
    uint32_t module, flags, lo, hi;
};

static bool place_match(uint32_t id, uint64_t key)
{
    const struct place_key *k = (const struct place_key *)(uintptr_t)key;
    const struct ht_place *place = SECTION_RECORD(const struct ht_place, HT_PLACES, id);
    return word_acquire(&place->module) == k->module && place->flags == k->flags && place->offset_lo == k->lo &&
           place->offset_hi == k->hi;
}

void tree_reserve(void)
{
    index_reserve(&places, 2 * section[HT_PLACES].allocated);
    index_reserve(&nodes, 2 * section[HT_NODES].allocated);
    index_reserve(&leaves, 2 * section[HT_SITES].allocated);
}

bool tree_wants(void)
{
    return index_wants(&places) || index_wants(&nodes) || index_wants(&leaves);
}

COLD void tree_grow(void)
{
    section_grow();
    index_grow(&places);
    index_grow(&nodes);
    index_grow(&leaves);
}

static uint32_t new_place(const struct place_key *key, uint32_t hash)
{
    uint32_t id = index_has_room(&places, hash) ? section_claim(&section[HT_PLACES], 1) : SECTION_FULL;
    if (id == SECTION_FULL)
        return 0;
    struct ht_place *place = SECTION_RECORD(struct ht_place, HT_PLACES, id);
    place->flags = key->flags;
    place->offset_lo = key->lo;
    place->offset_hi = key->hi;
    word_publish(&place->module, key->module);
    return index_insert(&places, hash, id, place_match, (uintptr_t)key);
}

uint32_t tree_place(uint32_t module, uint32_t flags, uint64_t offset)
{
    struct place_key key = {module, flags, (uint32_t)offset, (uint32_t)(offset >> 32)};
    uint32_t hash = hash_pair(key.lo ^ key.hi, module * 2 + flags);
    uint32_t id = index_find(&places, hash, place_match, (uintptr_t)&key);
    for (unsigned tries = 0; !id && tries < GROW_TRIES; tries++) {
        if (tries || tree_wants())
            tree_grow();
        if (tries && (tree_wants() || !section_may_grow(&section[HT_PLACES], 1)))
            break;
        id = new_place(&key, hash);
    }
    return id;
}

/* ---- Nodes ---- */

struct node_key {
    uint32_t parent, place;
};

static bool node_match(uint32_t id, uint64_t key)
{
    const struct node_key *k = (const struct node_key *)(uintptr_t)key;
    const struct ht_node *node = SECTION_RECORD(const struct ht_node, HT_NODES, id);
    return word_acquire(&node->place) == k->place && node->parent == k->parent;
}

INLINE uint32_t hash_of(uint64_t path)
{
    return (uint32_t)(path >> 32); /* the upper bits are the mixed ones */
}

static COLD uint32_t new_node(const struct node_key *key, uint32_t hash)
{
    uint32_t id = index_has_room(&nodes, hash) ? section_claim(&section[HT_NODES], 1) : SECTION_FULL;
    if (id == SECTION_FULL)
        return 0;
    struct ht_node *node = SECTION_RECORD(struct ht_node, HT_NODES, id);
    node->parent = key->parent;
    word_publish(&node->place, key->place);
    return index_insert(&nodes, hash, id, node_match, (uintptr_t)key);
}

/* The frames of a stack that is new are made one after the other: a node's first child mostly has the next id, and lies beside it. */
static bool is_next(const struct node_key *key)
{
    return key->parent + 1 < word_get(&section[HT_NODES].claimed) && node_match(key->parent + 1, (uintptr_t)key);
}

INLINE uint32_t child(uint32_t parent, uint32_t place, uint64_t path)
{
    struct node_key key = {parent, place};
    if (is_next(&key))
        return parent + 1;
    uint32_t id = index_find(&nodes, hash_of(path), node_match, (uintptr_t)&key);
    return LIKELY(id) ? id : new_node(&key, hash_of(path));
}

static bool is_id(uint32_t id, uint64_t key)
{
    return id == key;
}

COLD uint32_t tree_nodes(struct frame *frame, uint32_t count, uint32_t parent)
{
    for (uint32_t i = 0; i < count; i++)
        index_fetch(&nodes, hash_of(frame[i].path));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = tree_place_of(&frame[i]), node = place ? child(parent, place, frame[i].path) : parent;
        if (!node && place)
            return i;
        frame[i].node = parent = node;
    }
    uint32_t hash = hash_of(frame[count - 1].path);
    if (index_has_room(&leaves, hash))
        index_insert(&leaves, hash, parent, is_id, parent);
    return count;
}

bool tree_find(struct frame *frame, uint32_t count, uint32_t parent)
{
    uint32_t leaf = index_first(&leaves, hash_of(frame[count - 1].path));
    return LIKELY(leaf) && tree_stands_for(leaf, frame, count, parent);
}

uint32_t tree_cut_node(enum ht_cut why)
{
    return why; /* made first, in this order: tree_init */
}

/* ---- Sites: a node has one of each kind at most, mostly one ---- */

COLD uint32_t tree_new_site(uint32_t node, enum ht_kind kind)
{
    uint32_t id = section_claim(&section[HT_SITES], 1), last = word_acquire(&tree_site_of[node]);
    if (id == SECTION_FULL)
        return 0;
    struct ht_site *site = SECTION_RECORD(struct ht_site, HT_SITES, id);
    site->node = node;
    word_publish(&site->kind, kind);
    do {
        tree_site_before[id] = last;
    } while (!__atomic_compare_exchange_n(&tree_site_of[node], &last, id, false, __ATOMIC_RELEASE, __ATOMIC_ACQUIRE));
    return id;
}

static uint32_t nodes_max, sites_max; /* of the lists */

COLD void tree_cut(uint32_t node_count, uint32_t site_count, bool wait)
{
    memory_cut_rows(tree_site_of, &nodes_max, node_count, sizeof *tree_site_of, wait);
    memory_cut_rows(tree_site_before, &sites_max, site_count, sizeof *tree_site_before, wait);
}

bool tree_init(void)
{
    index_reset(&places);
    index_reset(&nodes);
    index_reset(&leaves);
    section[HT_PLACES].claimed = section[HT_NODES].claimed = section[HT_SITES].claimed = 1;
    /* What must be there when everything else is full: the marks of cut stacks below the root, and a site without stack for each kind. */
    section_reach(&section[HT_NODES], HT_CUTS);
    section_reach(&section[HT_SITES], HT_KINDS);
    places.wanted = nodes.wanted = leaves.wanted = 1;
    index_grow(&places);
    index_grow(&nodes);
    index_grow(&leaves);
    if (!memory_make_rows(&tree_site_of, &nodes_max, section[HT_NODES].capacity, sizeof *tree_site_of) ||
        !memory_make_rows(&tree_site_before, &sites_max, section[HT_SITES].capacity, sizeof *tree_site_before))
        return false;
    for (uint32_t why = 1; why < HT_CUTS; why++)
        if (child(0, tree_place(HT_CUT, 0, why), tree_cut_path(why)) != tree_cut_node(why))
            return false;
    for (uint32_t kind = 1; kind < HT_KINDS; kind++)
        if (tree_new_site(0, kind) != kind)
            return false;
    return true;
}
