/* Places, nodes and sites: one id for one thing, parents before children, marks for cut stacks, and 0 when there is no more room. */
#include "stage.h"

#include <shim/tree.h>
#include <errno.h>
#include <sys/syscall.h>

static const struct ht_place *place_at(uint32_t id)
{
    return SECTION_RECORD(const struct ht_place, HT_PLACES, id);
}

static const struct ht_node *node_at(uint32_t id)
{
    return SECTION_RECORD(const struct ht_node, HT_NODES, id);
}

static const struct ht_site *site_at(uint32_t id)
{
    return SECTION_RECORD(const struct ht_site, HT_SITES, id);
}

static void begin(uint32_t capacity)
{
    stage_tables(capacity);
    ck_assert(tree_init());
}

/* V2 of format.h, for all that is there. */
static void check_all(void)
{
    for (uint32_t id = 1; id < section[HT_PLACES].file->used; id++)
        ck_assert_uint_ne(place_at(id)->module, 0);
    for (uint32_t id = 1; id < section[HT_NODES].file->used; id++) {
        const struct ht_node *node = node_at(id);
        if (!node->place)
            continue;
        ck_assert_uint_lt(node->parent, id);
        ck_assert(!node->parent || node_at(node->parent)->place);
        ck_assert_uint_lt(node->place, section[HT_PLACES].file->used);
    }
    for (uint32_t id = 1; id < section[HT_SITES].file->used; id++)
        ck_assert_uint_lt(site_at(id)->node, MAX(section[HT_NODES].file->used, 1));
}

static uint32_t child(uint32_t parent, uint32_t place)
{
    if (tree_wants()) /* as record.c does */
        tree_grow();
    uint32_t id = tree_child(parent, place);
    for (unsigned tries = 1; !id && tries < GROW_TRIES; tries++) {
        tree_grow();
        id = tree_child(parent, place);
    }
    return id;
}

static uint32_t site(uint32_t node, enum ht_kind kind)
{
    uint32_t id = tree_site(node, kind);
    for (unsigned tries = 1; !id && tries < GROW_TRIES; tries++) {
        tree_grow();
        id = tree_site(node, kind);
    }
    return id;
}

START_TEST(what_is_there_from_the_beginning)
{
    begin(1000);
    for (enum ht_cut why = HT_CUT_DEPTH; why < HT_CUTS; why++) {
        const struct ht_node *node = node_at(tree_cut_node(why));
        ck_assert_uint_eq(node->parent, 0);
        ck_assert_uint_eq(place_at(node->place)->module, HT_CUT);
        ck_assert_uint_eq(place_at(node->place)->offset_lo, why);
    }
    for (uint32_t kind = HT_KIND_HEAP; kind < HT_KINDS; kind++) {
        ck_assert_uint_eq(site_at(kind)->kind, kind);
        ck_assert_uint_eq(site_at(kind)->node, 0);
        ck_assert_uint_eq(site(0, kind), kind);
    }
    check_all();
}
END_TEST

START_TEST(places)
{
    begin(1000);
    uint32_t id = tree_place(3, HT_PLACE_EXACT, UINT64_C(0x123456789abc));
    ck_assert_uint_eq(place_at(id)->module, 3);
    ck_assert_uint_eq(place_at(id)->flags, HT_PLACE_EXACT);
    ck_assert_uint_eq(place_at(id)->offset_lo, 0x56789abc);
    ck_assert_uint_eq(place_at(id)->offset_hi, 0x1234);
    ck_assert_uint_eq(tree_place(3, HT_PLACE_EXACT, UINT64_C(0x123456789abc)), id);
    ck_assert_uint_ne(tree_place(4, HT_PLACE_EXACT, UINT64_C(0x123456789abc)), id);
    ck_assert_uint_ne(tree_place(3, 0, UINT64_C(0x123456789abc)), id);
    ck_assert_uint_ne(tree_place(3, HT_PLACE_EXACT, UINT64_C(0x56789abc1234)), id); /* the same hash */
    ck_assert_uint_ne(tree_place(HT_NO_MODULE, 0, 0), 0);
    check_all();
}
END_TEST

START_TEST(stacks)
{
    begin(1000);
    uint32_t a = tree_place(1, 0, 10), b = tree_place(1, 0, 20);
    uint32_t main_ = child(0, a), callee = child(main_, b);
    ck_assert_uint_gt(callee, main_);
    ck_assert_uint_eq(node_at(callee)->parent, main_);
    ck_assert_uint_eq(node_at(callee)->place, b);
    ck_assert_uint_eq(child(main_, b), callee);
    ck_assert_uint_ne(child(callee, b), callee); /* recursion is another node */
    ck_assert_uint_ne(child(0, b), callee);
    uint32_t heap = site(callee, HT_KIND_HEAP), map = site(callee, HT_KIND_MAP);
    ck_assert_uint_ne(heap, map);
    ck_assert_uint_eq(site(callee, HT_KIND_HEAP), heap);
    check_all();
}
END_TEST

START_TEST(full_tables)
{
    begin(50);
    uint32_t place = 0, last = 0, node = 0, next;
    for (uint64_t offset = 0; (place = tree_place(1, 0, offset)); offset++)
        last = place;
    ck_assert_uint_eq(last, 49);
    ck_assert_uint_eq(section[HT_PLACES].file->full, 1);
    ck_assert_uint_ne(tree_place(1, 0, 0), 0); /* what is there stays */
    while ((next = child(node, last)))
        node = next;
    ck_assert_uint_eq(node, 49);
    ck_assert_uint_eq(child(node, last), 0);
    for (uint32_t n = 1; n < 50 && site(n, HT_KIND_HEAP); n++) {
    }
    ck_assert_uint_eq(site(49, HT_KIND_HEAP), 0);
    ck_assert_uint_eq(site(0, HT_KIND_MAP), HT_KIND_MAP);
    check_all();
}
END_TEST

START_TEST(no_room_for_the_beginning)
{
    stage_tables(HT_CUTS - 1);
    ck_assert(!tree_init());
    stage_tables(1000);
    stage_refuse(SYS_madvise, 0, ENOMEM, 0);
    ck_assert(!tree_init());
    stage_allow();
    begin(1000);
    begin(1000); /* and once more, as a fork child does */
    ck_assert_uint_ne(tree_place(1, 0, 10), 0);
}
END_TEST

#define PATHS 3000

static uint32_t leaf[6][PATHS];

/* Every thread makes the same stacks, ten frames deep. */
static void make_stacks(unsigned thread)
{
    for (uint32_t i = 0; i < PATHS; i++) {
        uint32_t path = thread & 1 ? i : PATHS - 1 - i, node = 0;
        for (uint32_t depth = 0; depth < 10; depth++)
            node = child(node, tree_place(1, 0, path >> (10 - depth)));
        leaf[thread][path] = site(node, HT_KIND_HEAP);
    }
}

START_TEST(threads_make_the_same_stacks)
{
    begin(1 << 17);
    stage_crowd(6, make_stacks);
    check_all();
    for (unsigned thread = 0; thread < 6; thread++)
        for (uint32_t path = 0; path < PATHS; path++) {
            uint32_t node = site_at(leaf[thread][path])->node;
            for (uint32_t depth = 10; depth--; node = node_at(node)->parent)
                ck_assert_uint_eq(place_at(node_at(node)->place)->offset_lo, path >> (10 - depth));
            ck_assert_uint_eq(node, 0);
        }
}
END_TEST

SUITE("tree", what_is_there_from_the_beginning, places, stacks, full_tables, no_room_for_the_beginning,
      threads_make_the_same_stacks)
