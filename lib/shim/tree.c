#include "tree.h"

#include "index.h"

static struct index places, nodes, sites;

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
    index_reserve(&sites, 2 * section[HT_SITES].allocated);
}

bool tree_wants(void)
{
    return index_wants(&places) || index_wants(&nodes) || index_wants(&sites);
}

COLD void tree_grow(void)
{
    section_grow();
    index_grow(&places);
    index_grow(&nodes);
    index_grow(&sites);
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

static uint64_t pair(uint32_t first, uint32_t second)
{
    return (uint64_t)first << 32 | second;
}

static bool node_match(uint32_t id, uint64_t key)
{
    const struct ht_node *node = SECTION_RECORD(const struct ht_node, HT_NODES, id);
    return word_acquire(&node->place) == (uint32_t)key && node->parent == key >> 32;
}

/* A function of its own, called last: then less of the program's stack is in use. */
static COLD uint32_t new_node(uint32_t parent, uint32_t place, uint32_t hash)
{
    uint32_t id = index_has_room(&nodes, hash) ? section_claim(&section[HT_NODES], 1) : SECTION_FULL;
    if (id == SECTION_FULL)
        return 0;
    struct ht_node *node = SECTION_RECORD(struct ht_node, HT_NODES, id);
    node->parent = parent;
    word_publish(&node->place, place);
    return index_insert(&nodes, hash, id, node_match, pair(parent, place));
}

/* The frames of a stack that is new are made one after the other: a node's first child mostly has the next id, and lies beside it. */
static bool is_next(uint32_t parent, uint32_t place)
{
    return parent + 1 < word_get(&section[HT_NODES].claimed) && node_match(parent + 1, pair(parent, place));
}

uint32_t tree_child(uint32_t parent, uint32_t place)
{
    if (is_next(parent, place))
        return parent + 1;
    uint32_t hash = hash_pair(parent, place);
    uint32_t id = index_find(&nodes, hash, node_match, pair(parent, place));
    return LIKELY(id) ? id : new_node(parent, place, hash);
}

uint32_t tree_cut_node(enum ht_cut why)
{
    return why; /* made first, in this order: tree_init */
}

static bool site_match(uint32_t id, uint64_t key)
{
    const struct ht_site *site = SECTION_RECORD(const struct ht_site, HT_SITES, id);
    return word_acquire(&site->kind) == (uint32_t)key && site->node == key >> 32;
}

static COLD uint32_t new_site(uint32_t node, enum ht_kind kind, uint32_t hash)
{
    uint32_t id = index_has_room(&sites, hash) ? section_claim(&section[HT_SITES], 1) : SECTION_FULL;
    if (id == SECTION_FULL)
        return 0;
    struct ht_site *site = SECTION_RECORD(struct ht_site, HT_SITES, id);
    site->node = node;
    word_publish(&site->kind, kind);
    return index_insert(&sites, hash, id, site_match, pair(node, kind));
}

uint32_t tree_site(uint32_t node, enum ht_kind kind)
{
    uint32_t hash = hash_pair(node, kind);
    uint32_t id = index_find(&sites, hash, site_match, pair(node, kind));
    return LIKELY(id) ? id : new_site(node, kind, hash);
}

bool tree_init(void)
{
    index_reset(&places);
    index_reset(&nodes);
    index_reset(&sites);
    section[HT_PLACES].claimed = section[HT_NODES].claimed = section[HT_SITES].claimed = 1;
    /* What must be there when everything else is full: the marks of cut stacks below the root, and a site without stack for each kind. */
    section_reach(&section[HT_NODES], HT_CUTS);
    section_reach(&section[HT_SITES], HT_KINDS);
    places.wanted = nodes.wanted = sites.wanted = 1;
    index_grow(&places);
    index_grow(&nodes);
    index_grow(&sites);
    for (uint32_t why = 1; why < HT_CUTS; why++)
        if (tree_child(0, tree_place(HT_CUT, 0, why)) != tree_cut_node(why))
            return false;
    for (uint32_t kind = 1; kind < HT_KINDS; kind++)
        if (tree_site(0, kind) != kind)
            return false;
    return true;
}
