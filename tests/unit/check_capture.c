/* Each form that a rule can have, and each way in which a stack can end. */
#include "capture_stage.h"

START_TEST(one_frame)
{
    begin(100);
    CHECK_STACK(0, 0);
    CHECK_STACK(0, 0);
}
END_TEST

START_TEST(every_form_of_a_frame)
{
    begin(100);
    push_plain(1, 4);
    push_with_frame_pointer(2, 8);
    push_saving(3, 5);
    push_plain(4, 1);
    push_realigned(5, 3);
    push_saving(6, 2);
    push_realigned(7, 9);
    push_with_frame_pointer(8, 2);
    push_plain(9, 100);
    for (int i = 0; i < 3; i++)
        CHECK_STACK(0, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
}
END_TEST

START_TEST(return_addresses_in_odd_places)
{
    begin(100);
    now.reg[1] = (uintptr_t)(top - 100);
    top[-97] = pc_of(0); /* from the frame register */
    set_rule(1, (struct rule){.cfa_offset = 400, .ra = 3, .ra_base = BASE_FP});
    now.reg[0] = (uintptr_t)(top - 200);
    now.pc = pc_of(1);
    CHECK_STACK(0, 1, 0);
    top[-195] = pc_of(
        1); /* from the stack pointer, and the frame register from the CFA although others come from elsewhere */
    set_rule(
        2,
        (struct rule){
            .cfa_offset = 16, .ra = 15, .ra_base = BASE_SP, .saved = {-1}, .saved_base = BASE_SP, .saved_at_cfa = 1});
    now.reg[0] = (uintptr_t)(top - 210);
    top[-209] = (uintptr_t)(top - 100);
    now.reg[1] = 0;
    now.pc = pc_of(2);
    set_rule(1, (struct rule){.cfa_offset = 1000, .ra = 3, .ra_base = BASE_FP});
    CHECK_STACK(0, 2, 1, 0);
}
END_TEST

START_TEST(a_return_address_of_zero_ends_it)
{
    begin(100);
    now.pc = 0;
    push_plain(1, 4);
    push_plain(2, 4);
    CHECK_STACK(0, 2, 1);
}
END_TEST

/* Where a stack ended there may be a caller later: all else is as it was. */
START_TEST(an_end_that_does_not_last)
{
    begin(100);
    push_plain(1, 4);
    push_plain(2, 4);
    push_plain(3, 4);
    uintptr_t *end = top - 64 - 1;
    *end = 0;
    for (int i = 0; i < 2; i++)
        CHECK_STACK(0, 3, 2, 1);
    *end = pc_of(0);
    CHECK_STACK(0, 3, 2, 1, 0);
    *end = 0;
    CHECK_STACK(0, 3, 2, 1);
}
END_TEST

START_TEST(frames_that_are_not_listed)
{
    begin(100);
    push_plain(1, 4);
    push_plain(2, 4);
    rules[2].place = 0;
    push_plain(3, 4);
    for (int i = 0; i < 2; i++)
        CHECK_STACK(0, 3, 1, 0);
    rules[3].place = 0;
    rules_generation++;
    CHECK_STACK(0, 1, 0);
}
END_TEST

START_TEST(every_way_to_be_cut)
{
    begin(100);
    push_plain(1, 4);
    push_plain(2, 4);
    push_plain(3, 4);
    rules[1].kind = RULE_NO_TABLE;
    CHECK_STACK(HT_CUT_NO_TABLE, 3, 2, 1);
    CHECK_STACK(HT_CUT_NO_TABLE, 3, 2, 1); /* the second one by what is known from the first */
    rules[1].kind = RULE_REFUSED;
    rules_generation++;
    CHECK_STACK(HT_CUT_REFUSED, 3, 2, 1);
    rules[1].kind = RULE_NONE;
    rules_generation++;
    for (no_rule = HT_CUT_BUSY; no_rule <= HT_CUT_FULL; no_rule++) {
        static const uint32_t expected[] = {3, 2};
        enum ht_cut cut;
        uint32_t leaf = capture_now(&cut);
        ck_assert_int_eq(cut, no_rule);
        check_node(leaf, expected, 2, no_rule);
    }
    rules[1].kind = RULE_STEP; /* what was cut for the moment's sake is whole again */
    CHECK_STACK(0, 3, 2, 1, 0);
}
END_TEST

START_TEST(memory_that_cannot_be_read)
{
    begin(100);
    push_plain(1, 4);
    push_plain(2, 4);
    rules[1].cfa_offset = 65 * (int32_t)WORD +
                          4 * (int32_t)WORD; /* its return address would lie at the end of the memory */
    CHECK_STACK(HT_CUT_MEMORY, 2, 1);
    rules[1].cfa_offset = 0x7ffffff0;
    CHECK_STACK(HT_CUT_MEMORY, 2, 1);
    rules[1].cfa_offset = 4 * (int32_t)WORD + 1; /* not aligned */
    CHECK_STACK(HT_CUT_MEMORY, 2, 1);
    rules[1].cfa_offset = 4 * (int32_t)WORD;
    rules[1].cfa_reg = 1; /* which holds no address */
    CHECK_STACK(HT_CUT_MEMORY, 2, 1);
    rules[1].cfa_reg = 0;
    CHECK_STACK(0, 2, 1, 0);
    now.reg[0] = (uintptr_t)(top + 100); /* not even the first frame's */
    rules_generation++;
    CHECK_STACK(HT_CUT_MEMORY, 2);
}
END_TEST

/* A word that begins in memory that can be read and ends behind it. */
START_TEST(a_stack_pointer_that_is_not_aligned)
{
    begin(100);
    set_rule(1, (struct rule){.cfa_offset = 4 * WORD, .ra = -1});
    set_rule(2, (struct rule){.cfa_offset = 4 * WORD, .ra = -1});
    now.reg[0] = (uintptr_t)(top - 8) + 4;
    top[-5] = pc_of(2), top[-4] = pc_of(2) << 32; /* what a load that is not aligned would find */
    now.pc = pc_of(1);
    remembered = true;
    for (int i = 0; i < 3; i++)
        CHECK_STACK(HT_CUT_MEMORY, 1);
    now.reg[0] = (uintptr_t)(top - 4) + 4; /* the return address would lie at the very end */
    for (int i = 0; i < 3; i++)
        CHECK_STACK(HT_CUT_MEMORY, 1);
    set_rule(3, (struct rule){.flags = RULE_CFA_LOADED, .ra = -1, .ra_base = BASE_SP}); /* leads to such a place */
    now.reg[0] = (uintptr_t)(top - 100);
    top[-100] = (uintptr_t)(top - 4) + 4;
    top[-101] = pc_of(1);
    now.pc = pc_of(3);
    for (int i = 0; i < 3; i++)
        CHECK_STACK(HT_CUT_MEMORY, 3, 1);
}
END_TEST

/* CFA = the frame register + 2 words, which lies behind the end of the address space. */
START_TEST(a_frame_register_near_the_end_of_memory)
{
    begin(100);
    push_with_frame_pointer(1, 8);
    now.reg[1] = (uintptr_t)-8;
    CHECK_STACK(HT_CUT_MEMORY, 1);
    now.reg[1] = (uintptr_t)-16;
    CHECK_STACK(HT_CUT_MEMORY, 1);
}
END_TEST

/* No compiler puts it there. */
START_TEST(a_saved_register_above_the_return_address)
{
    begin(100);
    push_with_frame_pointer(1, 8);
    rules[1].saved[0] = 120;
    CHECK_STACK(HT_CUT_MEMORY, 1);
}
END_TEST

/* CFA = the frame register itself. */
START_TEST(a_frame_register_that_is_the_cfa)
{
    begin(100);
    struct regs outermost = now;
    for (uint32_t i = 0; i < 2; i++) {
        now = outermost;
        if (i)
            push_plain(2, 4);
        push_with_frame_pointer(1, i ? 4 : 8);
        uintptr_t cfa = call();
        *word_at(cfa - 2 * WORD) = now.reg[1];
        set_rule(3, (struct rule){.cfa_reg = 1, .ra = -1, .saved = {-2}});
        now = (struct regs){pc_of(3), {cfa - 4 * WORD, cfa}};
        if (i)
            CHECK_STACK(0, 3, 1, 2, 0);
        else
            CHECK_STACK(0, 3, 1, 0);
    }
}
END_TEST

START_TEST(a_stack_that_does_not_shrink)
{
    begin(100);
    push_plain(1, 4);
    push_plain(2, 4);
    for (int32_t offset = 0; offset >= -80; offset -= 8) {
        rules[1].cfa_offset = offset;
        rules_generation++;
        CHECK_STACK(HT_CUT_MEMORY, 2, 1);
    }
}
END_TEST

START_TEST(a_full_tree)
{
    begin(100);
    for (uint32_t i = 1; i < 10; i++)
        push_plain(i, 4);
    static const uint32_t outer[] = {3, 2, 1, 0};
    enum ht_cut cut;
    nodes_max = nodes + 4;
    uint32_t leaf = capture_now(&cut);
    ck_assert_int_eq(cut, HT_CUT_FULL);
    check_node(leaf, outer, 4, 0);
    nodes_max = nodes + 100;
    CHECK_STACK(0, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
}
END_TEST

/* Not even the first rule can be had: nothing of another stack comes in. */
START_TEST(no_room_for_the_first_rule)
{
    begin(100);
    push_plain(1, 4);
    push_plain(2, 4);
    CHECK_STACK(0, 2, 1, 0);
    push_plain(3, 4);
    rules[3].kind = RULE_NONE;
    no_rule = HT_CUT_FULL;
    enum ht_cut cut;
    ck_assert_uint_eq(capture_now(&cut), HT_CUT_FULL);
    ck_assert_int_eq(cut, HT_CUT_FULL);
}
END_TEST

/*
 * A rule whose CFA hangs on another register: only a walk that begins in heaptap's own code knows that one. Two frames of that code lead from this thread's
 * stack to the one made by hand.
 */
START_TEST(the_walk_with_all_registers)
{
    enum { LAST = ARCH_REGS - 1 };
    begin(100);
    push_plain(1, 4);
    uintptr_t cfa = call();
    uintptr_t own[2] = {cfa - 10 * WORD, pc_of(3)};
    set_rule(2, (struct rule){.cfa_reg = LAST, .ra = -1, .flags = RULE_FULL});
    set_rule(3, (struct rule){.cfa_offset = 4 * WORD, .ra = -1, .saved = {[LAST - 1] = -2}});
    rules[3].place = 0;
    *word_at(cfa - 7 * WORD) = pc_of(2);
    *word_at(cfa - 8 * WORD) = cfa; /* the last register */
    now.pc = pc_of(2);
    now.reg[0] = cfa - 6 * WORD;
    struct rule over = {.kind = RULE_REFUSED, .flags = RULE_SIGNAL | RULE_CFA_LOADED, .ra_base = BASE_SP};
    memset(over.saved, (uint8_t)SAVED_NONE, sizeof over.saved);
    bridge = &over;
    enum ht_cut cut;
    capture_now(&cut); /* its numbers depend on where the walk begins, which this tells */
    ck_assert_int_eq(cut, HT_CUT_REFUSED);
    uintptr_t sp = t->walk.at.reg[0];
    over.kind = RULE_STEP;
    over.cfa_offset = (int32_t)((uintptr_t)own - sp);
    over.ra = (int16_t)(((uintptr_t)(own + 1) - sp) / WORD);
    CHECK_STACK(0, 2, 1, 0);
    rules[2].cfa_reg = ARCH_REGS;
    CHECK_STACK(HT_CUT_REFUSED, 2);
    rules[2].cfa_reg = LAST;
    CHECK_STACK(0, 2, 1, 0);
    ck_assert_uint_eq(t->frame_count, 0); /* nothing of it is kept */
}
END_TEST

SUITE("capture", one_frame, every_form_of_a_frame, return_addresses_in_odd_places, a_return_address_of_zero_ends_it,
      an_end_that_does_not_last, frames_that_are_not_listed, every_way_to_be_cut, memory_that_cannot_be_read,
      a_stack_pointer_that_is_not_aligned, a_frame_register_near_the_end_of_memory,
      a_saved_register_above_the_return_address, a_frame_register_that_is_the_cfa, a_stack_that_does_not_shrink,
      a_full_tree, no_room_for_the_first_rule, the_walk_with_all_registers)
