#include "capture_stage.h"

#include <sys/mman.h>

/* ---- What capture asks ---- */

struct rule rules[RULES];
uint32_t rules_generation = 1;
enum ht_cut no_rule;
bool remembered;
uint32_t asked;
const struct rule *bridge;

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

struct thread *t;
struct ht_node node[NODES];
uint32_t nodes, nodes_max;

uint32_t tree_cut_node(enum ht_cut why)
{
    return why;
}

bool again;

/* Each node's first child, and the next child of its parent; 0: none. */
static uint32_t first[NODES], next[NODES];

static uint32_t child(uint32_t parent, uint32_t place)
{
    uint32_t found = again ? first[parent] : 0;
    while (found && node[found].place != place)
        found = next[found];
    if (found || nodes == nodes_max)
        return found;
    node[++nodes] = (struct ht_node){parent, place};
    next[nodes] = first[parent];
    first[parent] = nodes;
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

uintptr_t *memory, *top;
struct regs now;
uintptr_t written;

uintptr_t pc_of(uint32_t rule)
{
    return CODE + 16 * (uintptr_t)rule;
}

void set_rule(uint32_t i, struct rule rule)
{
    for (unsigned r = 0; r < ARRAY_LEN(rule.saved); r++)
        if (!rule.saved[r])
            rule.saved[r] = SAVED_NONE;
    rule.kind = rule.kind ? rule.kind : RULE_STEP;
    rule.place = i + 1;
    rules[i] = rule;
}

void begin(uint32_t depth)
{
    memory = mmap(NULL, (WORDS + 1024) * WORD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(memory != MAP_FAILED);
    memory += 512; /* what lies around it cannot be read */
    ck_assert_int_eq(mprotect(memory, WORDS * WORD, PROT_READ | PROT_WRITE), 0);
    top = memory + WORDS;
    t = stage_thread(depth);
    nodes = HT_CUTS;
    nodes_max = ARRAY_LEN(node) - 1;
    section[HT_NODES].base = (char *)node; /* where capture looks at what it was given */
    no_rule = HT_CUT_BUSY;
    set_rule(0, (struct rule){.kind = RULE_OUTERMOST});
    now.pc = pc_of(0);
    now.reg[0] = (uintptr_t)(top - 64);
    now.reg[1] = 0x1234; /* nobody's */
}

uintptr_t *word_at(uintptr_t address)
{
    return (uintptr_t *)address;
}

uintptr_t call(void)
{
    uintptr_t cfa = now.reg[0];
    *word_at(cfa - WORD) = now.pc;
    return cfa;
}

void push_plain(uint32_t rule, uint32_t words)
{
    uintptr_t cfa = call();
    set_rule(rule, (struct rule){.cfa_offset = (int32_t)(words * WORD), .ra = -1});
    now.reg[0] = cfa - words * WORD;
    now.pc = pc_of(rule);
}

void push_with_frame_pointer(uint32_t rule, uint32_t words)
{
    uintptr_t cfa = call();
    *word_at(cfa - 2 * WORD) = now.reg[1];
    set_rule(rule, (struct rule){.cfa_reg = 1, .cfa_offset = 2 * WORD, .ra = -1, .saved = {-2}});
    now.reg[1] = cfa - 2 * WORD;
    now.reg[0] = cfa - words * WORD;
    now.pc = pc_of(rule);
}

void push_saving(uint32_t rule, uint32_t words)
{
    uintptr_t cfa = call();
    *word_at(cfa - 2 * WORD) = now.reg[1];
    set_rule(rule, (struct rule){.cfa_offset = (int32_t)(words * WORD), .ra = -1, .saved = {-2}});
    now.reg[1] = ++written;
    now.reg[0] = cfa - words * WORD;
    now.pc = pc_of(rule);
}

void push_realigned(uint32_t rule, uint32_t words)
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

__attribute__((noinline)) uint32_t capture_now(enum ht_cut *cut)
{
    static struct ht_cell cell;
    t->walk.at = now;
    *cut = 0;
    const struct counter *known = memo_recall(t, now.pc, now.reg[0], now.reg[1]); /* as record.c does */
    if (known)
        return known->site;
    const struct leaf *leaf = capture(t);
    if (leaf) {
        memo_make(t, (struct counter){leaf->node, &cell}); /* a site for each node */
        return leaf->node;
    }
    uint32_t found = capture_node(t, cut);
    if (again && t->path)
        *thread_leaf(t, t->path) = (struct leaf){t->path, found, 1};
    return found;
}

void check_node(uint32_t at, const uint32_t *expected, uint32_t count, uint32_t root)
{
    uint32_t i = 0;
    while (i < count && node[at].place == expected[i] + 1) {
        at = node[at].parent;
        i++;
    }
    ck_assert_msg(i == count && at == root, "frame %u of %u: rule %u", i, count, node[at].place - 1);
}
