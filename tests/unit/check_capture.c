/*
 * Capture over stacks made by hand, with rules made by hand: each form that a rule can have, each way in which a stack can end, and, at random, stacks that
 * change between two captures as a program's do. What must come out is known from how the stack was made.
 */
#include "stage.h"

#include <shim/capture.h>
#include <shim/rules.h>
#include <shim/tree.h>
#include <sys/mman.h>

#define WORD sizeof(uintptr_t)
#define WORDS 8192u
#define CODE ((uintptr_t)0x400000) /* the pc of rule i is CODE + 16 * i */
#define RULES 4096u

/* ---- What capture asks ---- */

static struct rule rules[RULES];
uint32_t rules_generation = 1;
static enum ht_cut no_rule;       /* why a rule cannot be had, of pc 0 in the table */
static bool remembered;           /* a thread may keep rules: they do not change */
static uint32_t asked;            /* for rules */
static const struct rule *bridge; /* for any pc that is not in the table: heaptap's own code */

bool rules_look(uintptr_t pc, bool exact, struct rule *out)
{
    (void)pc, (void)exact, (void)out;
    return false;
}

enum ht_cut rules_learn(uintptr_t pc, bool exact, struct rule *out)
{
    uintptr_t i = (pc - CODE) / 16;
    asked++;
    if (pc < CODE || i >= RULES) {
        ck_assert_ptr_nonnull(bridge);
        *out = *bridge;
        return 0;
    }
    (void)exact;
    *out = rules[i];
    rule_classify(out);
    if (remembered)
        out->generation = (uint16_t)rules_generation;
    return rules[i].kind == RULE_NONE ? no_rule : 0;
}

static struct thread *t;
static struct ht_node node[1 << 18];
static uint32_t nodes, nodes_max;

uint32_t tree_cut_node(enum ht_cut why)
{
    return why;
}

static uint32_t child(uint32_t parent, uint32_t place)
{
    if (nodes == nodes_max)
        return 0;
    node[++nodes] = (struct ht_node){parent, place};
    return nodes;
}

bool tree_find(struct frame *frame, uint32_t count, uint32_t parent)
{
    (void)frame, (void)count, (void)parent;
    return false;
}

/* Every stack that is asked for is new. What a frame is found by must be made of all places outside it, and of nothing else. */
uint32_t tree_nodes(struct frame *frame, uint32_t count, uint32_t parent)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = frame[i].place & ~FRAME_FP_MATTERS;
        uint64_t outer = &frame[i] > t->frame ? (&frame[i])[-1].path : tree_cut_path(t->frame_cut);
        ck_assert(frame[i].path == (place ? tree_path(outer, place) : outer));
        if (place && !(frame[i].node = child(parent, place)))
            return i;
        parent = frame[i].node = place ? frame[i].node : parent;
    }
    return count;
}

static uint32_t grown;

void tree_grow(void)
{
    grown++;
}

bool tree_wants(void)
{
    return grown;
}

/* ---- The stack, and how a frame is put on it ---- */

static uintptr_t *memory, *top; /* all of it, and its end */
static struct regs now;         /* of the innermost frame */
static uintptr_t written;       /* seeds what the program leaves in its frames */

static uintptr_t pc_of(uint32_t rule)
{
    return CODE + 16 * (uintptr_t)rule;
}

/* Every rule has its own number, plus one, as place. */
static void set_rule(uint32_t i, struct rule rule)
{
    for (unsigned r = 0; r < ARRAY_LEN(rule.saved); r++)
        if (!rule.saved[r])
            rule.saved[r] = SAVED_NONE;
    rule.kind = rule.kind ? rule.kind : RULE_STEP;
    rule.place = i + 1;
    rules[i] = rule;
}

static void begin(uint32_t depth)
{
    memory = mmap(NULL, (WORDS + 1024) * WORD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(memory != MAP_FAILED);
    memory += 512; /* what lies around it cannot be read */
    ck_assert_int_eq(mprotect(memory, WORDS * WORD, PROT_READ | PROT_WRITE), 0);
    top = memory + WORDS;
    t = stage_thread(depth);
    nodes = HT_CUTS;
    nodes_max = ARRAY_LEN(node) - 1;
    no_rule = HT_CUT_BUSY;
    set_rule(0, (struct rule){.kind = RULE_OUTERMOST});
    now.pc = pc_of(0);
    now.reg[0] = (uintptr_t)(top - 64);
    now.reg[1] = 0x1234; /* nobody's */
}

static uintptr_t *word_at(uintptr_t address)
{
    return (uintptr_t *)address;
}

/* A call from where the program is: what the call itself stores. Returns the callee's CFA. */
static uintptr_t call(void)
{
    uintptr_t cfa = now.reg[0];
    *word_at(cfa - WORD) = now.pc;
    return cfa;
}

/* Frames of `words` words. The rule is that of the call that the new frame is about to make. */
static void push_plain(uint32_t rule, uint32_t words)
{
    uintptr_t cfa = call();
    set_rule(rule, (struct rule){.cfa_offset = (int32_t)(words * WORD), .ra = -1});
    now.reg[0] = cfa - words * WORD;
    now.pc = pc_of(rule);
}

/* push rbp; mov rsp, rbp */
static void push_with_frame_pointer(uint32_t rule, uint32_t words)
{
    uintptr_t cfa = call();
    *word_at(cfa - 2 * WORD) = now.reg[1];
    set_rule(rule, (struct rule){.cfa_reg = 1, .cfa_offset = 2 * WORD, .ra = -1, .saved = {-2}});
    now.reg[1] = cfa - 2 * WORD;
    now.reg[0] = cfa - words * WORD;
    now.pc = pc_of(rule);
}

/* push rbp, which then holds something else */
static void push_saving(uint32_t rule, uint32_t words)
{
    uintptr_t cfa = call();
    *word_at(cfa - 2 * WORD) = now.reg[1];
    set_rule(rule, (struct rule){.cfa_offset = (int32_t)(words * WORD), .ra = -1, .saved = {-2}});
    now.reg[1] = ++written;
    now.reg[0] = cfa - words * WORD;
    now.pc = pc_of(rule);
}

/* lea 8(rsp), r10; and $-32, rsp; push -8(r10); push rbp; mov rsp, rbp; push r10 */
static void push_realigned(uint32_t rule, uint32_t words)
{
    uintptr_t cfa = call();
    uintptr_t base = (cfa - WORD) & ~(uintptr_t)31;
    *word_at(base - WORD) = now.pc;
    *word_at(base - 2 * WORD) = now.reg[1];
    *word_at(base - 3 * WORD) = cfa;
    /* the frame register's place is given from the frame register: word 0 would be "none" in set_rule */
    set_rule(rule, (struct rule){.cfa_reg = 1, .cfa_offset = -(int32_t)WORD, .flags = RULE_CFA_LOADED, .ra = -1});
    rules[rule].saved_base = BASE_FP;
    rules[rule].saved[0] = 0;
    now.reg[1] = base - 2 * WORD;
    now.reg[0] = base - (words + 4) * WORD;
    now.pc = pc_of(rule);
}

/* Captures; returns the node. */
__attribute__((noinline)) static uint32_t capture_now(enum ht_cut *cut)
{
    t->walk.at = now;
    const struct leaf *leaf = capture(t);
    *cut = 0;
    return leaf ? leaf->node : capture_node(t, cut);
}

/* The places of a node, innermost first, against rules; the root of it all is `root`. */
static void check_node(uint32_t at, const uint32_t *expected, uint32_t count, uint32_t root)
{
    uint32_t i = 0;
    while (i < count && node[at].place == expected[i] + 1) {
        at = node[at].parent;
        i++;
    }
    ck_assert_msg(i == count && at == root, "frame %u of %u: rule %u", i, count, node[at].place - 1);
}

#define CHECK_STACK(why, ...)                                                                                          \
    do {                                                                                                               \
        static const uint32_t expected_[] = {__VA_ARGS__};                                                             \
        enum ht_cut cut_;                                                                                              \
        uint32_t node_ = capture_now(&cut_);                                                                           \
        ck_assert_int_eq(cut_, why);                                                                                   \
        check_node(node_, expected_, ARRAY_LEN(expected_), why);                                                       \
    } while (0)

/* ---- The tests ---- */

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

/* A handler on a stack of its own, and the interrupted code with a red zone and all registers in its context. */
START_TEST(signal_frames)
{
    begin(100);
    push_plain(1, 4);
    push_with_frame_pointer(2, 6);
    struct regs interrupted = now;
    uintptr_t *other = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(other != MAP_FAILED);
    other += 900; /* the context: where the CFA, the return address and the frame register lie */
    other[10] = interrupted.reg[0];
    other[11] = interrupted.pc;
    other[12] = interrupted.reg[1];
    set_rule(3, (struct rule){.flags = RULE_CFA_LOADED | RULE_SIGNAL,
                              .cfa_offset = 10 * WORD,
                              .ra = 11,
                              .ra_base = BASE_SP,
                              .saved = {12},
                              .saved_base = BASE_SP});
    now.pc = pc_of(3);
    now.reg[0] = (uintptr_t)other;
    now.reg[1] = 99;
    push_plain(4, 5);
    for (int i = 0; i < 3; i++)
        CHECK_STACK(0, 4, 3, 2, 1, 0);
    /* The program goes on and is interrupted elsewhere: nothing of the other stack is taken for granted. */
    now = interrupted;
    push_plain(5, 5);
    CHECK_STACK(0, 5, 2, 1, 0);
    other[10] = now.reg[0];
    other[11] = now.pc;
    other[12] = now.reg[1];
    now.pc = pc_of(3);
    now.reg[0] = (uintptr_t)other;
    push_plain(4, 5);
    for (int i = 0; i < 3; i++)
        CHECK_STACK(0, 4, 3, 5, 2, 1, 0);
}
END_TEST

/* The stack that a handler interrupted is gone when the handler's own is walked again: nothing of it is read any more. */
START_TEST(an_interrupted_stack_that_goes_away)
{
    begin(100);
    uintptr_t *other[2] = {memory, memory + 1024},
              *context = top - 100; /* what may be read is known upwards: it lies below */
    set_rule(1, (struct rule){
                    .flags = RULE_CFA_LOADED | RULE_SIGNAL, .cfa_offset = 10 * WORD, .ra = 11, .ra_base = BASE_SP});
    for (uint32_t i = 0; i < 2; i++) {
        set_rule(2 + i, (struct rule){.cfa_offset = 4 * WORD, .ra = -1});
        other[i][103] = pc_of(0);
    }
    now.pc = pc_of(1);
    now.reg[0] = (uintptr_t)context;
    context[10] = (uintptr_t)(other[0] + 100);
    context[11] = pc_of(2);
    CHECK_STACK(0, 1, 2, 0);
    ck_assert_int_eq(mprotect(other[0], 4096, PROT_NONE), 0);
    CHECK_STACK(HT_CUT_MEMORY, 1);
    context[10] = (uintptr_t)(other[1] + 100);
    context[11] = pc_of(3);
    CHECK_STACK(0, 1, 3, 0);
}
END_TEST

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

START_TEST(a_ring_of_signal_frames_ends)
{
    begin(100);
    uintptr_t *frame = top - 100;
    frame[0] = (uintptr_t)frame;
    frame[1] = pc_of(1);
    set_rule(1, (struct rule){.flags = RULE_CFA_LOADED | RULE_SIGNAL, .ra = 1, .ra_base = BASE_SP});
    now.pc = pc_of(1);
    now.reg[0] = (uintptr_t)frame;
    enum ht_cut cut;
    capture_now(&cut);
    ck_assert_int_eq(cut, HT_CUT_DEPTH);
}
END_TEST

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

/* ---- Stacks that change ---- */

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

/* Rule numbers tell form and size, so that the same call site always means the same frame. */
static void push_form(uint32_t choice)
{
    static void (*const forms[])(uint32_t, uint32_t) = {
        push_plain, push_with_frame_pointer, push_saving, push_realigned, push_signal, push_from_sp};
    uint32_t form = choice / 128 % 16 ? choice % 4 : 4 + choice % 2, words = 2 + choice / 4 % 8, site = choice / 32 % 3;
    uint32_t rule = 1 + form + 6 * (words + 16 * site);
    forms[form](rule, words);
    made[made_count++] = (struct made){now, rule};
}

static void pop_to(uint32_t count)
{
    made_count = count;
    now = made[count - 1].regs;
}

static void change_as_a_programs(bool keep)
{
    uint32_t random = 12345, whole = 0;
    begin(200);
    remembered = keep;
    made[made_count++] = (struct made){now, 0};
    for (int round = 0; round < 20000; round++) {
        uint32_t choice = stage_random(&random);
        if (choice % 3 && made_count > 1) /* mostly near the leaf, sometimes far out */
            pop_to(MAX(1, made_count - MIN(made_count - 1, choice / 8 % (choice % 50 ? 4 : 60))));
        for (uint32_t n = choice / 1024 % (choice % 61 ? 4 : 60); n && made_count < 150; n--)
            push_form(stage_random(&random) >> 8);
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
    }
    ck_assert_uint_gt(whole, 20000 * 10);
}

START_TEST(stacks_that_change_as_a_programs_do)
{
    change_as_a_programs(false);
}
END_TEST

START_TEST(and_rules_that_are_remembered)
{
    change_as_a_programs(true);
}
END_TEST

/* Calls two functions in turn whose call sites have the same place among a thread's steps at first. Returns how often a rule was asked for. */
static uint32_t call_in_turn(uint32_t times, uint64_t ns_between)
{
    const struct regs caller = now;
    const uint32_t rule[] = {1, 1 + THREAD_FEW * ARCH_CODE_ALIGN / 16};
    uint32_t before = asked;
    for (uint32_t i = 0; i < times; i++, t->now_ns += ns_between) {
        enum ht_cut cut;
        now = caller;
        push_plain(rule[i % 2], 4);
        check_node(capture_now(&cut), (const uint32_t[]){rule[i % 2], 0}, 2, 0);
    }
    now = caller;
    return asked - before;
}

START_TEST(steps_that_fight_for_a_place)
{
    begin(100);
    remembered = true;
    ck_assert_uint_ge(call_in_turn(100, 0), 100);
    call_in_turn(4 * THREAD_FEW, 0);
    ck_assert_uint_eq(call_in_turn(100, 0), 0);
    ck_assert_uint_eq(room_count(&t->steps), 2 * THREAD_FEW);
}
END_TEST

START_TEST(steps_that_fight_slowly)
{
    begin(100);
    remembered = true;
    call_in_turn(20 * THREAD_FEW, ROOM_NS / THREAD_FEW);
    ck_assert_uint_ge(call_in_turn(100, 0), 100);
    ck_assert_uint_eq(room_count(&t->steps), THREAD_FEW);
}
END_TEST

SUITE("capture", one_frame, every_form_of_a_frame, return_addresses_in_odd_places, a_return_address_of_zero_ends_it,
      an_end_that_does_not_last, frames_that_are_not_listed, every_way_to_be_cut, memory_that_cannot_be_read,
      a_stack_pointer_that_is_not_aligned, a_frame_register_near_the_end_of_memory,
      a_saved_register_above_the_return_address, a_frame_register_that_is_the_cfa, a_stack_that_does_not_shrink,
      a_full_tree, no_room_for_the_first_rule, signal_frames, an_interrupted_stack_that_goes_away,
      a_frame_register_that_tells, a_saved_register_that_tells, a_saved_register_that_nothing_reads,
      a_ring_of_signal_frames_ends, deeper_than_the_limit, a_deep_stack_is_not_walked_anew, the_walk_with_all_registers,
      stacks_that_change_as_a_programs_do, and_rules_that_are_remembered, steps_that_fight_for_a_place,
      steps_that_fight_slowly)
