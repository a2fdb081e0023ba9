/* Stacks that are deeper than the limit. */
#include "capture_stage.h"

/* Captures a stack of frames 0 to depth, of which 64 may be shown. Returns how many are. */
static uint32_t capture_deep(uint32_t depth)
{
    enum ht_cut cut;
    uint32_t leaf = capture_now(&cut), count = 0, at = leaf;
    for (; at >= HT_CUTS && node[at].place - 1 == depth - count; at = node[at].parent)
        count++;
    ck_assert_int_eq(cut, depth + 1 > 64 ? HT_CUT_DEPTH : 0);
    ck_assert_uint_eq(at, cut);
    ck_assert_uint_le(count, 64);
    ck_assert_uint_eq(capture_now(&cut), leaf);
    return count;
}

/* The cut of a deep stack stays at one frame while the stack grows by an eighth of the limit, and while it shrinks by two. */
START_TEST(deeper_than_the_limit)
{
    static struct regs at[400];
    begin(64);
    uint32_t roots = 0, last_root = 0;
    for (uint32_t depth = 1; depth < 400; depth++) {
        push_plain(depth, 4);
        at[depth] = now;
        uint32_t count = capture_deep(depth);
        if (depth < 64) {
            ck_assert_uint_eq(count, depth + 1);
            continue;
        }
        ck_assert_uint_gt(count, 64 - 8);
        uint32_t root = depth + 1 - count;
        roots += root != last_root;
        last_root = root;
        ck_assert_uint_eq(root % 8, 0);
    }
    ck_assert_uint_le(roots, 400 / 8);
    for (uint32_t depth = 399; depth-- > 1;) {
        now = at[depth];
        uint32_t count = capture_deep(depth);
        ck_assert_uint_ge(count, MIN(depth + 1, 64 - 2 * 8));
    }
}
END_TEST

/* It is not walked to its end each time: that may be tens of thousands of frames. */
START_TEST(a_deep_stack_is_not_walked_anew)
{
    begin(64);
    enum ht_cut cut;
    uintptr_t outer = 0;
    for (uint32_t depth = 1; depth < 300; depth++) {
        if (depth == 6)
            outer = now.reg[0] - WORD; /* where frame 5 is returned to */
        push_plain(depth, 4);
    }
    uint32_t leaf = capture_now(&cut);
    *word_at(outer) = 0; /* whoever looks there sees an end */
    push_plain(300, 4);
    capture_now(&cut);
    ck_assert_int_eq(cut, HT_CUT_DEPTH);
    ck_assert_uint_eq(node[t->walk.node].parent, leaf);
}

SUITE("capture_deep", deeper_than_the_limit, a_deep_stack_is_not_walked_anew)
