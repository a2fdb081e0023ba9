/* Stacks that the thread comes back to: what is remembered of them is what is there, or else they are walked. */
#include "capture_stage.h"

#include <sys/mman.h>

/* What a stack is found by that needs no walk: the last stack then ends where the memo begins. */
static bool was_recalled(uint32_t frames)
{
    return t->frame_count < frames;
}

static void check_stack(const uint32_t *expected, uint32_t count)
{
    enum ht_cut cut;
    uint32_t found = capture_now(&cut);
    ck_assert_int_eq(cut, 0);
    check_node(found, expected, count, 0);
}

/* Captures: the places are those that are told, innermost first, and frames were walked or were not. */
#define CHECK_RECALLED(recalled, ...)                                                                                  \
    do {                                                                                                               \
        static const uint32_t frames_[] = {__VA_ARGS__};                                                               \
        check_stack(frames_, ARRAY_LEN(frames_));                                                                      \
        ck_assert_int_eq(was_recalled(ARRAY_LEN(frames_)), recalled);                                                  \
    } while (0)

static struct regs base; /* where the frames are put that change */

/* Rule 0, and three frames that stay. */
static void begin_memo(void)
{
    begin(100);
    again = remembered = true;
    push_plain(1, 4);
    push_plain(2, 4);
    push_saving(3, 4);
    base = now;
}

static void two_frames(uint32_t outer, uint32_t inner)
{
    now = base;
    push_plain(outer, 6);
    push_plain(inner, 6);
}

/* Both are met, remembered (the second time: what a stack is counted in is known then), and so is where they part from each other. */
static void learn(void)
{
    for (int i = 0; i < 3; i++) {
        two_frames(10, 20);
        CHECK_STACK(0, 20, 10, 3, 2, 1, 0);
        two_frames(11, 21);
        CHECK_STACK(0, 21, 11, 3, 2, 1, 0);
    }
}

START_TEST(stacks_that_come_back)
{
    begin_memo();
    learn();
    for (int i = 0; i < 3; i++) {
        two_frames(10, 20);
        CHECK_RECALLED(true, 20, 10, 3, 2, 1, 0);
        two_frames(11, 21);
        CHECK_RECALLED(true, 21, 11, 3, 2, 1, 0);
    }
}
END_TEST

START_TEST(another_caller_of_the_innermost_frame)
{
    begin_memo();
    learn();
    for (int i = 0; i < 3; i++) {
        two_frames(12, 20);
        CHECK_RECALLED(i > 1, 20, 12, 3, 2, 1, 0);
        two_frames(10, 20);
        CHECK_RECALLED(true, 20, 10, 3, 2, 1, 0);
    }
}
END_TEST

/* Of the words that are remembered, each one. */
START_TEST(another_caller_further_out)
{
    begin_memo();
    for (uint32_t changed = 0; changed < 6; changed++)
        for (uint32_t i = 0; i < 8; i++) {
            uint32_t expected[7 + 4], count = ARRAY_LEN(expected);
            now = base;
            for (uint32_t f = 0; f < 4; f++)
                expected[count - 1 - f] = f;
            for (uint32_t f = 0; f < 7; f++) {
                uint32_t rule = 30 + 2 * f + (f == changed && i % 2);
                push_plain(rule, 3);
                expected[count - 5 - f] = rule;
            }
            check_stack(expected, count);
        }
}
END_TEST

static void outermost_two(void)
{
    now.pc = pc_of(0);
    now.reg[0] = (uintptr_t)(top - 64);
    push_plain(1, 4);
}

/* As begin_memo, with 5 for 2. */
static void on_another_caller(void)
{
    outermost_two();
    push_plain(5, 4);
    push_saving(3, 4);
    base = now;
}

/* The frame in which a memo ends is there again, on other frames. */
START_TEST(on_other_frames)
{
    begin_memo();
    learn();
    on_another_caller();
    CHECK_STACK(0, 3, 5, 1, 0);
    two_frames(10, 20);
    CHECK_RECALLED(false, 20, 10, 3, 5, 1, 0);
    two_frames(10, 20);
    CHECK_STACK(0, 20, 10, 3, 5, 1, 0);
}
END_TEST

/* What the last stack was made from has changed, and it has not been looked at since. */
START_TEST(on_frames_that_have_changed)
{
    begin_memo();
    learn();
    on_another_caller();
    two_frames(10, 20);
    CHECK_RECALLED(false, 20, 10, 3, 5, 1, 0);
}
END_TEST

/* The last stack is a part only of what it was. */
START_TEST(on_fewer_frames)
{
    begin_memo();
    learn();
    outermost_two();
    struct regs outer = now;
    CHECK_STACK(0, 1, 0);
    ck_assert_uint_eq(t->frame_count, 2);
    now = outer;
    push_plain(2, 4);
    push_saving(3, 4);
    two_frames(10, 20);
    CHECK_STACK(0, 20, 10, 3, 2, 1, 0);
}
END_TEST

/* A function that calls itself and others from the same place, on an outer frame that has grown by as much as its own (alloca). */
START_TEST(the_same_frames_at_another_depth)
{
    begin(100);
    again = remembered = true;
    push_with_frame_pointer(1, 4);
    struct regs outer = now;
    for (int i = 0; i < 3; i++) {
        now = outer;
        now.reg[0] -= 6 * WORD; /* alloca */
        push_saving(2, 6);
        struct regs once = now;
        for (uint32_t leaf = 3; leaf < 5; leaf++) {
            now = once;
            push_plain(leaf, 4);
            check_stack((const uint32_t[]){leaf, 2, 1, 0}, 4);
        }
    }
    now = outer;
    push_saving(2, 6);
    CHECK_STACK(0, 2, 1, 0);
    push_saving(2, 6); /* where the only one was */
    push_plain(3, 4);
    CHECK_STACK(0, 3, 2, 2, 1, 0);
}
END_TEST

/* The frame register is part of what the walk from there on is a function of. */
START_TEST(a_frame_register_that_matters)
{
    begin_memo();
    for (uint32_t i = 0; i < 12; i++) {
        now = base;
        push_with_frame_pointer(4 + i % 3, 4 + 2 * (i % 3)); /* alloca */
        push_with_frame_pointer(40, 10 - 2 * (i % 3));
        push_plain(42, 4);
        ck_assert(now.reg[0] == base.reg[0] - 18 * WORD); /* always, and with the same caller */
        check_stack((const uint32_t[]){42, 40, 4 + i % 3, 3, 2, 1, 0}, 7);
    }
}
END_TEST

/* What a frame record looks like, in a frame that reads its own, so many words below that: with this return address. */
static uintptr_t *record_inside(const struct regs *frame, uintptr_t return_address, uint32_t below)
{
    uintptr_t *record = word_at(frame->reg[1] - below * WORD);
    record[0] = 0x5678;
    record[1] = return_address;
    return record;
}

/* The frame that a memo ends in reads it: where that points elsewhere, so does the stack. */
START_TEST(a_frame_register_that_matters_further_out)
{
    begin_memo();
    push_with_frame_pointer(4, 20);
    struct regs outer = now;
    uintptr_t *other = record_inside(&outer, pc_of(9), 8);
    set_rule(9, (struct rule){.kind = RULE_OUTERMOST});
    for (uint32_t i = 0; i < 8; i++) {
        now = outer;
        push_plain(5 + i % 2, 4);
        check_stack((const uint32_t[]){5 + i % 2, 4, 3, 2, 1, 0}, 6);
        ck_assert_int_eq(was_recalled(6), i > 3);
    }
    now = outer;
    now.reg[1] = (uintptr_t)other;
    push_plain(5, 4);
    CHECK_STACK(0, 5, 4, 9);
}
END_TEST

/* The last stack had another one and the same places, and what this one points to has changed. */
START_TEST(a_frame_register_that_is_not_the_last_stacks)
{
    begin_memo();
    push_with_frame_pointer(4, 20);
    struct regs outer = now;
    uintptr_t *real = word_at(outer.reg[1]), *other = record_inside(&outer, pc_of(3), 16);
    for (uint32_t outwards = 0; outwards < 3; outwards++) /* callers like those of the real one */
        other[5 + 4 * outwards] = pc_of(2 - outwards);
    for (uint32_t i = 0; i < 9; i++) {
        now = outer;
        now.reg[1] = (uintptr_t)(i < 8 ? real : other);
        push_plain(5 + i % 2, 4);
        check_stack((const uint32_t[]){5 + i % 2, 4, 3, 2, 1, 0}, 6);
    }
    set_rule(9, (struct rule){.kind = RULE_OUTERMOST});
    real[1] = pc_of(9);
    now = outer;
    push_plain(6, 4);
    CHECK_STACK(0, 6, 4, 9);
}
END_TEST

/* Where the CFA was loaded from there is another one, all else is as it was. */
START_TEST(a_cfa_that_is_loaded)
{
    begin_memo();
    for (uint32_t i = 0; i < 10; i++) {
        now = base;
        if (i % 2) {
            push_plain(14, 4);
            CHECK_STACK(0, 14, 3, 2, 1, 0);
            continue;
        }
        push_plain(10, 20);
        push_realigned(11, 3);
        push_plain(12, 4);
        if (i < 8) {
            CHECK_STACK(0, 12, 11, 10, 3, 2, 1, 0);
        } else {
            *word_at(now.reg[0] + (4 + 3 + 1) * WORD) = base.reg[0]; /* where push_realigned has it */
            CHECK_STACK(0, 12, 11, 3, 2, 1, 0);
        }
    }
}
END_TEST

/* Other code at the same place, with a larger frame: no word has changed. */
START_TEST(rules_that_have_changed)
{
    begin_memo();
    learn();
    two_frames(10, 20);
    rules[10].cfa_offset += 4 * (int32_t)WORD; /* all of what was frame 3 */
    rules_generation++;
    CHECK_STACK(0, 20, 10, 2, 1, 0);
}
END_TEST

/* The same of a stack that is not the first with its innermost frame. */
START_TEST(rules_that_have_changed_of_another_caller)
{
    begin_memo();
    for (int i = 0; i < 3; i++) {
        learn();
        two_frames(12, 20);
        CHECK_STACK(0, 20, 12, 3, 2, 1, 0);
    }
    rules[12].cfa_offset += 4 * (int32_t)WORD;
    rules_generation++;
    learn();
    now = base; /* as two_frames, which would set the rule anew */
    push_plain(10, 6);
    now.pc = pc_of(12);
    push_plain(20, 6);
    CHECK_STACK(0, 20, 12, 2, 1, 0);
}
END_TEST

/* Two innermost frames that have the same places, of memos, and the same callers. */
START_TEST(frames_that_fight_for_a_place)
{
    const uint32_t inner[] = {20, 20 + 256 / 16};
    begin_memo();
    ck_assert_ptr_eq(thread_memo(t, pc_of(inner[0]), 0), thread_memo(t, pc_of(inner[1]), 0));
    for (uint32_t f = 0; f < 2; f++)
        for (uint32_t outer = 10; outer < 12 - f; outer++)
            for (int i = 0; i < 3; i++) {
                two_frames(outer, inner[f]);
                check_stack((const uint32_t[]){inner[f], outer, 3, 2, 1, 0}, 6);
                now = base;
                CHECK_STACK(0, 3, 2, 1, 0);
            }
    two_frames(11, inner[1]);
    check_stack((const uint32_t[]){inner[1], 11, 3, 2, 1, 0}, 6);
}
END_TEST

/* ---- Frames that are not listed: their stacks have the same node ---- */

/* One that leaves the frame register alone, in the place of one that restores it. */
START_TEST(a_frame_register_that_matters_behind_an_unlisted_frame)
{
    begin(100);
    again = remembered = true;
    push_with_frame_pointer(1, 20);
    struct regs outer = now;
    uintptr_t *other = record_inside(&outer, pc_of(5), 8);
    set_rule(5, (struct rule){.kind = RULE_OUTERMOST});
    for (int i = 0; i < 8; i++) {
        now = outer;
        push_saving(6, 4);
        rules[6].place = 0;
        push_plain(3, 4);
        push_plain(i % 2 ? 4 : 8, 4);
        check_stack((const uint32_t[]){i % 2 ? 4 : 8, 3, 1, 0}, 4);
    }
    for (int i = 0; i < 2; i++) {
        now = outer;
        push_plain(7, 4);
        rules[7].place = 0;
        if (i)
            now.reg[1] = (uintptr_t)other;
        push_plain(3, 4);
        push_plain(i % 2 ? 4 : 8, 4);
        check_stack((const uint32_t[]){i % 2 ? 4 : 8, 3, 1, i ? 5 : 0}, 4);
    }
}
END_TEST

/* A smaller one in the place of a larger one, with the same caller as it had once: which it has no more. */
START_TEST(another_unlisted_frame)
{
    begin(100);
    again = remembered = true;
    struct regs outer = now;
    for (int i = 0; i < 9; i++) {
        bool larger = i == 8;
        now = outer;
        now.reg[0] += larger * 2 * WORD;
        push_plain(1, 4);
        push_plain(2, 6);
        push_plain(larger ? 7 : 6, larger ? 6 : 4);
        rules[larger ? 7 : 6].place = 0;
        push_plain(i % 2 ? 4 : 8, 4);
        check_stack((const uint32_t[]){i % 2 ? 4 : 8, 2, 1, 0}, 4);
    }
    uintptr_t *unlisted = word_at(outer.reg[0] - 14 * WORD); /* its stack pointer, of both */
    now.pc = pc_of(6);
    now.reg[0] = (uintptr_t)unlisted;
    push_plain(4, 4);
    set_rule(9, (struct rule){.cfa_offset = 8 * WORD, .ra = -1});
    unlisted[3] = pc_of(9);
    CHECK_STACK(0, 4, 9, 1, 0);
}
END_TEST

/* ---- What can be read ---- */

/* Beyond the end of the memory that can be read there is nothing to be compared with. */
START_TEST(a_stack_near_the_end_of_memory)
{
    begin_memo();
    learn();
    t->stack = (struct stack){0, 0}; /* another thread's stack was unmapped: nothing is known */
    two_frames(10, 20);
    CHECK_RECALLED(false, 20, 10, 3, 2, 1, 0); /* the walk asks */
    ck_assert_uint_ge(t->stack.high, base.reg[0]);
    two_frames(11, 21);
    CHECK_RECALLED(true, 21, 11, 3, 2, 1, 0);
}
END_TEST

/* As if another thread had unmapped a part of it: what is known is found out anew, by the walk. */
START_TEST(a_stack_that_another_thread_has_unmapped)
{
    begin_memo();
    learn();
    t->stack_unmapped = 1;
    ck_assert_int_eq(mprotect(top - 512, 4096, PROT_NONE), 0); /* where all frames are */
    ck_assert_ptr_null(memo_recall(t, pc_of(20), base.reg[0] - 12 * WORD, 0));
    ck_assert_int_eq(mprotect(top - 512, 4096, PROT_READ | PROT_WRITE), 0);
    two_frames(10, 20);
    CHECK_RECALLED(false, 20, 10, 3, 2, 1, 0);
    ck_assert_uint_eq(t->stack_unmapped, 0);
    two_frames(11, 21);
    CHECK_RECALLED(true, 21, 11, 3, 2, 1, 0);
}
END_TEST

/* The outer end of a stack is not there any more, which was looked at long ago. */
START_TEST(outer_frames_that_cannot_be_read)
{
    begin(100);
    again = remembered = true;
    push_plain(1, 600); /* more than a page */
    push_plain(2, 4);
    push_plain(3, 4);
    base = now;
    learn();
    t->stack = (struct stack){0, 0};
    ck_assert_int_eq(mprotect(top - 512, 4096, PROT_NONE), 0);
    two_frames(10, 20);
    CHECK_STACK(HT_CUT_MEMORY, 20, 10, 3, 2, 1);
}
END_TEST

START_TEST(a_caller_that_cannot_be_read)
{
    begin_memo();
    for (int i = 0; i < 6; i++) {
        now = base;
        push_plain(10, 6);
        push_plain(20 + i % 2, 600);
        check_stack((const uint32_t[]){20 + i % 2, 10, 3, 2, 1, 0}, 6);
    }
    struct regs inner = now;
    now.pc = pc_of(0); /* another stack, below */
    now.reg[0] = (uintptr_t)(memory + 1000);
    CHECK_STACK(0, 0);
    t->stack = (struct stack){0, 0};
    ck_assert_int_eq(mprotect(top - 512, 4096, PROT_NONE), 0);
    now = inner;
    CHECK_STACK(HT_CUT_MEMORY, 21);
}
END_TEST

/* Each of these frames has two. */
START_TEST(more_words_than_are_remembered)
{
    begin_memo();
    push_with_frame_pointer(4, 4);
    base = now;
    for (int i = 0; i < 8; i++) {
        uint32_t expected[MEMO_WORDS / 2 + 1 + 5];
        now = base;
        for (uint32_t f = 0; f < ARRAY_LEN(expected); f++)
            expected[ARRAY_LEN(expected) - 1 - f] = f < 5 ? f : 50 + 2 * f + (uint32_t)i % 2;
        for (uint32_t f = 5; f < ARRAY_LEN(expected); f++)
            push_with_frame_pointer(50 + 2 * f + (uint32_t)i % 2, 4);
        check_stack(expected, ARRAY_LEN(expected));
        ck_assert(!was_recalled(ARRAY_LEN(expected)));
    }
}
END_TEST

START_TEST(more_frames_than_are_remembered)
{
    begin_memo();
    for (int i = 0; i < 4; i++)
        for (uint32_t words = 3; words < 5; words++) {
            now = base;
            for (uint32_t f = 0; f < MEMO_WORDS + 1; f++)
                push_plain(50 + 20 * words + f, words);
            enum ht_cut cut;
            capture_now(&cut);
            ck_assert_int_eq(cut, 0);
            ck_assert_uint_eq(t->frame_count, 4 + MEMO_WORDS + 1);
        }
}
END_TEST

static void through(uint32_t site, uint32_t g_words, uint32_t f_words)
{
    now = base;
    push_plain(site, g_words);
    push_with_frame_pointer(20, f_words);
}
/* Where the first memo of this frame has the return address, there is that of the second one, whose own lies elsewhere and is another one now. */
START_TEST(another_caller_at_the_same_place)
{
    begin_memo();
    for (int i = 0; i < 4; i++) {
        through(10, 10, 6);
        CHECK_STACK(0, 20, 10, 3, 2, 1, 0);
        through(11, 6, 10);
        CHECK_STACK(0, 20, 11, 3, 2, 1, 0);
    }
    through(12, 6, 10);
    *word_at(base.reg[0] - 11 * WORD) = pc_of(11); /* in the VLA of frame 20, which nobody has written */
    CHECK_STACK(0, 20, 12, 3, 2, 1, 0);
}
END_TEST

/* The outer frame's was not compared when the memo was made: an unlisted frame restored it further out, and now there is one that does not. */
START_TEST(a_frame_register_that_did_not_matter_then)
{
    begin(100);
    again = remembered = true;
    push_plain(1, 2);
    push_plain(2, 2);
    push_with_frame_pointer(3, 20);
    struct regs outer = now;
    uintptr_t *other = record_inside(&outer, pc_of(5), 8);
    set_rule(5, (struct rule){.kind = RULE_OUTERMOST});
    uintptr_t j0 = outer.reg[1], j1 = (uintptr_t)other;
    for (uint32_t i = 0; i < 8; i++) {
        now = outer;
        push_saving(6, 4);
        rules[6].place = 0;
        now.reg[1] = i ? j1 : j0;
        push_plain(4, 4);
        push_plain(i % 2 ? 17 : 7, 4);
        push_with_frame_pointer(i % 2 ? 9 : 8, 4);
        check_stack((const uint32_t[]){i % 2 ? 9 : 8, i % 2 ? 17 : 7, 4, 3, 2, 1, 0}, 7);
    }
    for (int i = 0; i < 2; i++) {
        now = outer;
        push_plain(10, 4);
        rules[10].place = 0;
        if (i)
            now.reg[1] = j1;
        push_plain(4, 4);
        push_plain(i % 2 ? 17 : 7, 4);
        push_with_frame_pointer(i % 2 ? 9 : 8, 4);
        if (i)
            CHECK_STACK(0, 9, 17, 4, 3, 5);
        else
            CHECK_STACK(0, 8, 7, 4, 3, 2, 1, 0);
    }
}
END_TEST

/* No memo is made of it: a word that lies half in the next page must not be read. */
START_TEST(a_stack_pointer_that_is_not_aligned)
{
    begin_memo();
    for (int i = 0; i < 6; i++) {
        now = base;
        push_with_frame_pointer(10 + i % 2, 6);
        now.reg[0] -= 4;
        check_stack((const uint32_t[]){10 + i % 2, 3, 2, 1, 0}, 5);
    }
    for (uint32_t i = 0; i < room_count(&t->memos); i++)
        if (t->memo[i].pc)
            ck_assert_uint_eq(t->memo[i].sp % WORD, 0);
}
END_TEST

/* In the bits that are taken off a return address on AArch64: it is none, and points elsewhere. */
START_TEST(a_saved_frame_register_with_other_upper_bits)
{
    begin_memo();
    push_with_frame_pointer(4, 8);
    base = now;
    for (uint32_t i = 0; i < 8; i++) {
        now = base;
        push_saving(15 + i % 2, 6);
        now.reg[1] = 0x77;
        uintptr_t *saved = word_at(base.reg[0] - 2 * WORD);
        ck_assert(*saved == base.reg[1]);
        push_plain(25 + i % 2, 4);
        check_stack((const uint32_t[]){25 + i % 2, 15 + i % 2, 4, 3, 2, 1, 0}, 7);
        if (i == 7) {
            now = base;
            push_saving(15, 6);
            now.reg[1] = 0x77;
            *saved ^= (uintptr_t)1 << 54;
            push_plain(25, 4);
            CHECK_STACK(HT_CUT_MEMORY, 25, 15, 4);
        }
    }
}
END_TEST

SUITE("memo", stacks_that_come_back, another_caller_of_the_innermost_frame, another_caller_at_the_same_place,
      another_caller_further_out, on_other_frames, on_frames_that_have_changed, on_fewer_frames,
      the_same_frames_at_another_depth, a_frame_register_that_matters, a_frame_register_that_matters_further_out,
      a_frame_register_that_is_not_the_last_stacks, a_frame_register_that_did_not_matter_then,
      a_saved_frame_register_with_other_upper_bits, a_cfa_that_is_loaded, rules_that_have_changed,
      rules_that_have_changed_of_another_caller, frames_that_fight_for_a_place,
      a_frame_register_that_matters_behind_an_unlisted_frame, another_unlisted_frame, a_stack_near_the_end_of_memory,
      a_stack_that_another_thread_has_unmapped, outer_frames_that_cannot_be_read, a_caller_that_cannot_be_read,
      a_stack_pointer_that_is_not_aligned, more_frames_than_are_remembered, more_words_than_are_remembered)
