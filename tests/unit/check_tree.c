/* Places, nodes and sites: one id for one thing, parents before children, marks for cut stacks, and 0 when there is no more room. */
#include "stage.h"

#include <shim/memory.h>
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
    if (tree_site_of)
        memory_empty(tree_site_of, section[HT_NODES].capacity * sizeof *tree_site_of);
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

/* Node of a stack, outermost place first; *path is its hash. 0: full. */
static uint32_t stack_on(uint32_t parent, uint64_t *path, const uint32_t *made_of, uint32_t count)
{
    struct frame frames[16];
    uint64_t at = *path;
    for (uint32_t i = 0; i < count; i++) {
        at = made_of[i] ? tree_path(at, made_of[i]) : at;
        frames[i] = (struct frame){.path = at, .place = made_of[i] | (i % 2 ? FRAME_FP_MATTERS : 0)};
    }
    if (tree_wants()) /* as record.c does */
        tree_grow();
    for (unsigned tries = 0; tries < GROW_TRIES; tries++) {
        if (tree_find(frames, count, parent) || tree_nodes(frames, count, parent) == count) {
            *path = at;
            return frames[count - 1].node;
        }
        tree_grow();
    }
    return 0;
}

static uint32_t child(uint32_t parent, uint64_t *path, uint32_t place)
{
    return stack_on(parent, path, &place, 1);
}

static uint32_t site(uint32_t node, enum ht_kind kind)
{
    uint32_t id = tree_site(node, kind);
    for (unsigned tries = 0; !id && tries < GROW_TRIES; tries++) {
        id = tree_new_site(node, kind);
        if (!id)
            tree_grow();
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
    uint64_t to_main = 0;
    uint32_t main_ = child(0, &to_main, a);
    uint64_t to_callee = to_main, same = to_main, to_recursion, to_other = 0;
    uint32_t callee = child(main_, &to_callee, b);
    to_recursion = to_callee;
    ck_assert_uint_gt(callee, main_);
    ck_assert_uint_eq(node_at(callee)->parent, main_);
    ck_assert_uint_eq(node_at(callee)->place, b);
    ck_assert_uint_eq(child(main_, &same, b), callee);
    ck_assert_uint_ne(child(callee, &to_recursion, b), callee); /* recursion is another node */
    ck_assert_uint_ne(child(0, &to_other, b), callee);
    uint32_t heap = site(callee, HT_KIND_HEAP), map = site(callee, HT_KIND_MAP);
    ck_assert_uint_ne(heap, map);
    ck_assert_uint_eq(site(callee, HT_KIND_HEAP), heap);
    check_all();
}
END_TEST

/* A whole stack is found by its innermost frame, and each frame gets its node; what only has the same hash is not taken for it. */
START_TEST(stacks_at_once)
{
    begin(1000);
    uint32_t place[4], unlisted[] = {0, 0, 0, 0};
    uint64_t path = 0, again = 0, other = 0, none = 0;
    for (uint32_t i = 0; i < 4; i++)
        unlisted[i] = place[i] = tree_place(1, 0, 10 + i);
    unlisted[2] = 0;
    uint32_t leaf = stack_on(0, &path, place, 4);
    for (uint32_t i = 4, at = leaf; i-- > 0; at = node_at(at)->parent)
        ck_assert_uint_eq(node_at(at)->place, place[i]);
    uint32_t used = section[HT_NODES].claimed;
    ck_assert_uint_eq(stack_on(0, &again, place, 4), leaf);
    ck_assert_uint_eq(section[HT_NODES].claimed, used);
    uint32_t without = stack_on(0, &other, unlisted, 4);
    ck_assert_uint_eq(node_at(without)->parent, node_at(node_at(leaf)->parent)->parent);
    ck_assert_uint_eq(stack_on(leaf, &none, unlisted + 2, 1), leaf); /* nothing but a frame that is not listed */
    /* Found by its innermost frame, from then on. */
    struct frame whole[4];
    for (uint32_t i = 0; i < 4; i++)
        whole[i] = (struct frame){.place = place[i], .path = i < 3 ? 0 : path};
    ck_assert(tree_find(whole, 4, 0));
    for (uint32_t i = 4, at = leaf; i-- > 0; at = node_at(at)->parent)
        ck_assert_uint_eq(whole[i].node, at);
    whole[1].place = place[0];
    ck_assert(!tree_find(whole, 4, 0));
    /* The same hash: */
    struct frame frames[2] = {{.path = 1, .place = place[0]}, {.path = path, .place = place[1]}};
    ck_assert_uint_eq(tree_nodes(frames, 2, 0), 2);
    ck_assert_uint_ne(frames[1].node, leaf);
    ck_assert_uint_eq(node_at(frames[1].node)->place, place[1]);
    ck_assert_uint_eq(node_at(frames[1].node)->parent, frames[0].node);
    check_all();
}
END_TEST

START_TEST(sites_of_a_node)
{
    begin(1000);
    uint64_t path = 0;
    uint32_t node = child(0, &path, tree_place(1, 0, 10)), ids[HT_KINDS] = {0};
    for (uint32_t kind = HT_KIND_HEAP; kind < HT_KINDS; kind++) {
        ck_assert_uint_eq(tree_site(node, kind), 0);
        ids[kind] = site(node, kind);
        ck_assert_uint_eq(site_at(ids[kind])->node, node);
        ck_assert_uint_eq(site_at(ids[kind])->kind, kind);
    }
    for (uint32_t kind = HT_KIND_HEAP; kind < HT_KINDS; kind++)
        ck_assert_uint_eq(tree_site(node, kind), ids[kind]);
}
END_TEST

/* A parent that somebody else has written into the file. */
START_TEST(a_file_that_is_not_trusted)
{
    begin(1000);
    uint32_t place[3];
    uint64_t path = tree_cut_path(0), again = path;
    for (uint32_t i = 0; i < 3; i++)
        place[i] = tree_place(1, 0, 10 + i);
    uint32_t leaf = stack_on(0, &path, place, 3);
    ((struct ht_node *)(uintptr_t)node_at(leaf))->parent = 0xfffffff0;
    ck_assert_uint_ne(stack_on(0, &again, place, 3), leaf);
}
END_TEST

/* As many as a program has: some under one frame, some deep, some that recur. */
START_TEST(many_stacks)
{
    begin(1 << 18);
    uint32_t random = 1, made_of[16];
    for (uint32_t n = 0; n < 40000; n++) {
        uint32_t count = 1 + stage_random(&random) % 16;
        for (uint32_t i = 0; i < count; i++)
            made_of[i] = tree_place(1, 0, n % 3 ? n % 5 : i + 1 < count ? i : n);
        uint64_t path = tree_cut_path(0), again = path;
        uint32_t leaf = stack_on(0, &path, made_of, count);
        ck_assert_often(leaf);
        ck_assert_often(stack_on(0, &again, made_of, count) == leaf);
    }
    check_all();
}
END_TEST

/* ---- The index of leaves: without it a stack is found all the same, frame by frame ---- */

#define LEAVES 20000u /* the index begins with room for 512 */

static void leaf_frames(struct frame frames[2], uint32_t i)
{
    uint32_t outer = tree_place(1, 0, i / 200), inner = tree_place(2, 0, i % 200);
    uint64_t path = tree_path(tree_cut_path(0), outer);
    frames[0] = (struct frame){.path = path, .place = outer};
    frames[1] = (struct frame){.path = tree_path(path, inner), .place = inner};
}

static void make_leaves(uint32_t count, bool grow)
{
    for (uint32_t i = 0; i < count; i++) {
        struct frame frames[2];
        leaf_frames(frames, i);
        if (grow && tree_wants()) /* as record.c does */
            tree_grow();
        bool there = tree_find(frames, 2, 0) || tree_nodes(frames, 2, 0) == 2;
        for (unsigned tries = 0; !there && grow && tries < GROW_TRIES; tries++) {
            tree_grow();
            there = tree_nodes(frames, 2, 0) == 2;
        }
        ck_assert_often(there);
    }
}

/* How many are found by their innermost frame; each of these is the right one. */
static uint32_t count_found(void)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < LEAVES; i++) {
        struct frame frames[2];
        leaf_frames(frames, i);
        if (!tree_find(frames, 2, 0))
            continue;
        const struct ht_node *node = node_at(frames[1].node);
        ck_assert_often(place_at(node->place)->module == 2 && place_at(node->place)->offset_lo == i % 200);
        ck_assert_often(node->parent == frames[0].node && place_at(node_at(node->parent)->place)->offset_lo == i / 200);
        found++;
    }
    return found;
}

START_TEST(the_index_of_leaves_grows)
{
    begin(1 << 16);
    make_leaves(LEAVES, true);
    ck_assert_uint_ge(count_found(), LEAVES / 100 * 99); /* some lie in the line behind the one that is looked at */
    check_all();
}
END_TEST

/* The nodes have room, their index has, and that of leaves has not: it is told, and what was not put in is put in when it is met again. */
START_TEST(leaves_without_room_are_put_in_later)
{
    begin(1 << 16);
    ck_assert(section_reach(&section[HT_NODES], 2 * LEAVES));
    for (uint32_t i = 0; i < LEAVES; i++) { /* places make room for whatever wants it: they are there before */
        struct frame frames[2];
        leaf_frames(frames, i);
    }
    tree_reserve();
    ck_assert_uint_gt(section[HT_SITES].allocated, 1000);
    make_leaves(section[HT_SITES].allocated, false);
    ck_assert(!tree_wants()); /* these had room made for them */
    make_leaves(LEAVES, false);
    ck_assert(tree_wants());
    uint32_t before = section[HT_NODES].claimed, found = count_found();
    ck_assert_uint_lt(found, LEAVES / 2);
    for (int round = 0; round < 2; round++) {
        tree_grow();
        make_leaves(LEAVES, true);
    }
    ck_assert_uint_ge(count_found(), LEAVES / 100 * 99);
    ck_assert_uint_eq(section[HT_NODES].claimed, before); /* nothing was made twice */
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
    uint64_t path = 0;
    while ((next = child(node, &path, last)))
        node = next;
    ck_assert_uint_eq(node, 49);
    ck_assert_uint_eq(child(node, &path, last), 0);
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
        uint32_t path = thread & 1 ? i : PATHS - 1 - i, chosen[10];
        uint64_t hash = 0;
        for (uint32_t depth = 0; depth < 10; depth++)
            chosen[depth] = tree_place(1, 0, path >> (10 - depth));
        leaf[thread][path] = site(stack_on(0, &hash, chosen, 10), HT_KIND_HEAP);
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

SUITE("tree", what_is_there_from_the_beginning, places, stacks, stacks_at_once, sites_of_a_node, many_stacks,
      a_file_that_is_not_trusted, the_index_of_leaves_grows, leaves_without_room_are_put_in_later, full_tables,
      no_room_for_the_beginning, threads_make_the_same_stacks)
