/* Stacks that change between two captures, as a program's do: what is taken from the one before is what has not changed. */
#include "capture_stage.h"

/* Where every word is as it was, the same code at the same depth can still have been called from elsewhere: its frame register tells. */
START_TEST(a_frame_register_that_tells)
{
    begin(100);
    struct regs outermost = now;
    push_with_frame_pointer(1, 8);
    CHECK_STACK(0, 1, 0);
    now = outermost;
    push_plain(2, 4);
    push_with_frame_pointer(1, 4);
    CHECK_STACK(0, 1, 2, 0);
}
END_TEST

/* The same with a frame in between that saves the register: of all words, only the one where it lies has changed. */
START_TEST(a_saved_register_that_tells)
{
    begin(100);
    struct regs outermost = now;
    push_with_frame_pointer(1, 8);
    push_saving(3, 4);
    CHECK_STACK(0, 3, 1, 0);
    now = outermost;
    push_plain(2, 4);
    push_with_frame_pointer(1, 4);
    push_saving(3, 4);
    CHECK_STACK(0, 3, 1, 2, 0);
}
END_TEST

/* A saved register that nothing reads may change: it is not even remembered. */
START_TEST(a_saved_register_that_nothing_reads)
{
    begin(100);
    push_saving(1, 4);
    push_saving(2, 4);
    CHECK_STACK(0, 2, 1, 0);
    ck_assert_uint_eq(t->extra_count, 0);
}
END_TEST

struct made {
    struct regs regs; /* after this frame was put there */
    uint32_t rule;
};
static struct made made[256];
static uint32_t made_count;

/* A signal handler's frame, on the same stack. */
static void push_signal(uint32_t rule, uint32_t words)
{
    uintptr_t *context = word_at(now.reg[0] - (20 + words) * WORD);
    context[10] = now.reg[0];
    context[11] = now.pc;
    context[12] = now.reg[1];
    set_rule(rule, (struct rule){.flags = RULE_CFA_LOADED | RULE_SIGNAL,
                                 .cfa_offset = 10 * WORD,
                                 .ra = 11,
                                 .ra_base = BASE_SP,
                                 .saved = {12},
                                 .saved_base = BASE_SP});
    now.pc = pc_of(rule);
    now.reg[0] = (uintptr_t)context;
    now.reg[1] = written % 2 ? ++written : now.reg[1];
}

/* What is read, is read from the stack pointer. */
static void push_from_sp(uint32_t rule, uint32_t words)
{
    uintptr_t cfa = call();
    *word_at(cfa - 2 * WORD) = now.reg[1];
    set_rule(rule, (struct rule){.cfa_offset = (int32_t)((words + 1) * WORD),
                                 .ra = (int16_t)words,
                                 .ra_base = BASE_SP,
                                 .saved = {(arch_saved)(words - 1)},
                                 .saved_base = BASE_SP});
    now.reg[1] = ++written;
    now.reg[0] = cfa - (words + 1) * WORD;
    now.pc = pc_of(rule);
}

/* Rule numbers tell form and size, so that the same call site always means the same frame, but for what is known from the frame register, which may be larger (alloca). */
static void push_form(uint32_t choice, uint32_t alloca)
{
    static void (*const forms[])(uint32_t, uint32_t) = {
        push_plain, push_with_frame_pointer, push_saving, push_realigned, push_signal, push_from_sp};
    uint32_t form = choice / 128 % 16 ? choice % 4 : 4 + choice % 2, words = 2 + choice / 4 % 8, site = choice / 32 % 3;
    uint32_t rule = 1 + form + 6 * (words + 16 * site);
    forms[form](rule, words + (form == 1 ? alloca : 0));
    made[made_count++] = (struct made){now, rule};
}

static bool
    framed; /* most have frame pointers, and rooms of different sizes (alloca), in which other stacks have been */

/* One of a few frames, so that stacks come back; mostly a plain one. */
static void push_known(uint32_t choice)
{
    if (framed) {
        uint32_t form = choice % 8 < 3 ? 1 : choice % 8 < 5 ? 2 : 0;
        push_form(128 + form + 4 * (choice / 8 % 2) + 32 * (choice / 16 % 2), choice / 64 % 3 * 2);
        return;
    }
    static const uint32_t odd[] = {1, 3, 4, 5}; /* forms */
    uint32_t kind = choice % 4096, form = kind < 4 ? odd[kind] : kind < 64 ? 1 : kind < 1024 ? 2 : 0;
    push_form((form < 4 ? 128 : 0) + form % 4 + 4 * (choice / 4096 % 8 == 0) + 32 * (choice / 32768 % 4 == 0),
              choice / 131072 % 2);
}

static void pop_to(uint32_t count)
{
    made_count = count;
    now = made[count - 1].regs;
}

/* How often a stack was not walked. */
static uint32_t change_as_a_programs(bool keep)
{
    uint32_t random = 12345, whole = 0, recalled = 0;
    begin(200);
    remembered = keep;
    made[made_count++] = (struct made){now, 0};
    for (int round = 0; round < 20000; round++) {
        uint32_t choice = stage_random(&random);
        if (choice % 3 && made_count > 1) /* mostly near the leaf, sometimes far out */
            pop_to(MAX(1, made_count - MIN(made_count - 1, choice / 8 % (choice % (again ? 500 : 50) ? 4 : 60))));
        for (uint32_t n = choice / 1024 % (choice % (again ? 501 : 61) ? 4 : 60); n && made_count < 150; n--)
            again ? push_known(stage_random(&random) >> 8) : push_form(stage_random(&random) >> 8, 0);
        if (choice % 997 == 0)
            rules_generation++;
        if (choice % 13 == 0) /* another call from the same frame */
            now.pc = pc_of(made[made_count - 1].rule);
        enum ht_cut cut;
        uint32_t expected[256];
        for (uint32_t i = 0; i < made_count; i++)
            expected[i] = made[made_count - 1 - i].rule;
        if (nodes > nodes_max - 1000)
            nodes = HT_CUTS, rules_generation++;
        uint32_t leaf = capture_now(&cut);
        ck_assert_int_eq(cut, 0);
        check_node(leaf, expected, made_count, 0);
        whole += made_count;
        recalled += t->frame_count < made_count;
    }
    ck_assert_uint_gt(whole, 20000 * 10);
    return recalled;
}

START_TEST(stacks_that_change_as_a_programs_do)
{
    ck_assert_uint_eq(change_as_a_programs(false), 0);
}
END_TEST

START_TEST(and_rules_that_are_remembered)
{
    ck_assert_uint_eq(change_as_a_programs(true), 0);
}
END_TEST

START_TEST(and_stacks_that_are_remembered)
{
    again = true;
    ck_assert_uint_gt(change_as_a_programs(true), 500);
}
END_TEST

START_TEST(and_stacks_with_frame_pointers)
{
    again = framed = true;
    ck_assert_uint_gt(change_as_a_programs(true), 500);
}
END_TEST

SUITE("capture_changes", a_frame_register_that_tells, a_saved_register_that_tells, a_saved_register_that_nothing_reads,
      stacks_that_change_as_a_programs_do, and_rules_that_are_remembered, and_stacks_that_are_remembered,
      and_stacks_with_frame_pointers)
