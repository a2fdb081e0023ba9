#include "rules.h"

#include "cold.h"
#include "memory.h"
#include "modules.h"
#include "real.h"
#include "section.h"
#include "tree.h"

#define FIRST_RULES 512u
#define RULES_MAX (1u << 22)
#define PROBES 8

/* Rules by hash, in one of PROBES places in a row. */
static struct table {
    uint32_t mask; /* rules - 1 */
    uint32_t unused[15];
    struct rule rule[];
} * table;
static uint32_t capacity; /* of the table */
uint32_t rules_generation = 1;
static bool can_teach;
static bool taught_outside; /* a rule says that its pc lies in no module */

COLD_STACK(door, 64u << 10, 200);

bool rules_try_lock(void)
{
    return cold_enter(&door);
}

void rules_unlock(void)
{
    cold_leave(&door);
}

/* Word by word and in order with pc_lo, which is 0 while a rule is being replaced: another thread may be looking at the same time. */
typedef uintptr_t __attribute__((may_alias)) word;
_Static_assert(sizeof(struct rule) % sizeof(word) == 0 && _Alignof(struct rule) >= sizeof(word), "made of words");

INLINE void load_rule(struct rule *out, const struct rule *rule)
{
    for (size_t i = 0; i < sizeof *rule / sizeof(word); i++)
        ((word *)out)[i] = __atomic_load_n((const word *)rule + i, __ATOMIC_ACQUIRE);
}

INLINE void store_rule(struct rule *rule, const struct rule *from)
{
    for (size_t i = 0; i < sizeof *rule / sizeof(word); i++)
        __atomic_store_n((word *)rule + i, ((const word *)from)[i], __ATOMIC_RELEASE);
}

INLINE bool has_generation(const struct rule *rule, uint16_t wanted)
{
    return __atomic_load_n(&rule->generation, __ATOMIC_RELAXED) == wanted;
}

INLINE struct rule *place_at(struct table *in, uintptr_t pc, uint32_t probe)
{
    return &in->rule[((rule_hash(pc) >> 8) + probe) & in->mask];
}

/* Copies the rule if it is there. The writer may be putting another rule in its place: read the key before and after. */
bool rules_look(uintptr_t pc, bool exact, struct rule *out)
{
    uint32_t wanted = rule_pc_lo(pc, exact);
    uint16_t high = rule_pc_hi(pc, exact);
    uint16_t now = (uint16_t)word_get(&rules_generation);
    struct table *in = __atomic_load_n(&table, __ATOMIC_ACQUIRE);
    for (uint32_t probe = 0; in && probe < PROBES; probe++) {
        const struct rule *rule = place_at(in, pc, probe);
        uint32_t low = word_acquire(&rule->pc_lo);
        if (!low)
            break;
        if (low != wanted || __atomic_load_n(&rule->pc_hi, __ATOMIC_RELAXED) != high || !has_generation(rule, now))
            continue;
        load_rule(out, rule);
        if (word_get(&rule->pc_lo) == low && has_generation(rule, now))
            return true;
        out->kind = RULE_NONE;
    }
    return false;
}

/* An empty or outdated place; NULL: none. */
static struct rule *find_room(struct table *in, uintptr_t pc)
{
    for (uint32_t probe = 0; probe < PROBES; probe++) {
        struct rule *rule = place_at(in, pc, probe);
        if (!rule->pc_lo || rule->generation != (uint16_t)rules_generation)
            return rule;
    }
    return NULL;
}

static bool take_over(struct table *to, const struct table *from)
{
    for (uint32_t i = 0; i <= from->mask; i++) {
        const struct rule *rule = &from->rule[i];
        if (!rule->pc_lo || rule->generation != (uint16_t)rules_generation)
            continue;
        /* The hash is of these bits only. */
        struct rule *room = find_room(to, rule->pc_lo & ~(uint32_t)(ARCH_CODE_ALIGN > 1));
        if (!room)
            return false;
        *room = *rule;
    }
    return true;
}

/* A table of at least twice the size, with the same rules. */
static bool grow(void)
{
    for (uint32_t rules = capacity ? 2 * capacity : FIRST_RULES; rules <= RULES_MAX; rules *= 2) {
        size_t bytes = sizeof(struct table) + rules * sizeof(struct rule);
        struct table *larger = memory_map(bytes), *old = table;
        if (!larger)
            return false;
        larger->mask = rules - 1;
        if (old && !take_over(larger, old)) {
            memory_unmap(larger, bytes);
            continue;
        }
        __atomic_store_n(&table, larger, __ATOMIC_RELEASE);
        if (old) /* who still looks there finds nothing, or what holds; its first page has the mask */
            memory_empty((char *)old + 4096, sizeof(struct table) + capacity * sizeof(struct rule) - 4096);
        capacity = rules;
        return true;
    }
    return false;
}

/* Where a new rule goes. NULL: no memory. */
static struct rule *make_room(uintptr_t pc)
{
    struct rule *room = NULL;
    do {
        room = table ? find_room(table, pc) : NULL;
    } while (!room && grow());
    return room;
}

struct question {
    uintptr_t pc;
    bool exact;
    struct rule *rule;
    enum ht_cut why;
    bool list_is_old; /* no module holds pc, but the list of them may have changed */
};

static uint32_t place_of(const struct module *module, uintptr_t pc, bool exact)
{
    uint32_t flags = exact ? HT_PLACE_EXACT : 0;
    if (!module || module->row == HT_NO_MODULE)
        return tree_place(HT_NO_MODULE, flags, pc);
    return tree_place(module->row + 1, flags, pc - module->teach.bias);
}

/*
 * A return address that no call left: where a context begins (makecontext, thread starts) it is the very first instruction of a function that its
 * table calls outermost, and the byte before it belongs to nothing. Only that one answer counts.
 */
static void first_of_stack(uintptr_t pc, struct rule *rule)
{
    struct rule first = {.kind = RULE_NO_TABLE};
    const struct module *module = modules_find(pc);
    if (module)
        teach(&module->teach, pc, true, &first);
    if (first.kind == RULE_OUTERMOST)
        rule->kind = RULE_OUTERMOST;
}

/*
 * ld.so's first instructions have no table, and nothing called them. Constructors of libraries run below them, so most C++ programs have such a stack.
 */
#define ENTRY_BYTES 256u /* from the entry point to the jump to the program */

static bool is_entry(const struct module *module, uintptr_t pc)
{
    return module && module->entry && pc - module->entry < ENTRY_BYTES;
}

/* On the cold stack, with the lock. */
static void ask(void *argument)
{
    struct question *question = argument;
    struct rule *rule = question->rule;
    uintptr_t pc = question->pc;
    if (rules_look(pc, question->exact, rule)) /* another thread was first */
        return;
    *rule = (struct rule){.kind = RULE_NO_TABLE};
    bool signal = can_teach &&
                  teach_signal(pc, rule); /* no call returns there: what lies before it is something else */
    const struct module *module = modules_find(question->exact || signal ? pc : pc - 1);
    question->list_is_old = !module && !question->list_is_old && modules_may_have_grown();
    if (question->list_is_old)
        return;
    if (module && can_teach && !signal)
        teach(&module->teach, pc, question->exact, rule);
    if (rule->kind == RULE_NO_TABLE && !question->exact && can_teach)
        first_of_stack(pc, rule);
    if (rule->kind == RULE_NO_TABLE && is_entry(module, pc))
        rule->kind = RULE_OUTERMOST;
    taught_outside |= !module;
    bool own = module && (module->flags & HT_MODULE_SHIM);
    rule->place = own ? 0 : place_of(module, pc, question->exact);
    if (!rule->place && !own &&
        !section_may_grow(&section[HT_PLACES], 1)) /* or each event would be taught this again */
        *rule = (struct rule){.kind = RULE_NO_PLACE};
    struct rule *room = rule->place || own || rule->kind == RULE_NO_PLACE ? make_room(pc) : NULL;
    if (!room) {
        question->why = HT_CUT_FULL;
        return;
    }
    rule->pc_lo = 0;
    rule->pc_hi = rule_pc_hi(pc, question->exact);
    rule->generation = (uint16_t)rules_generation;
    rule_classify(rule);
    word_publish(&room->pc_lo, 0);
    store_rule(room, rule);
    word_publish(&room->pc_lo, rule_pc_lo(pc, question->exact));
}

COLD enum ht_cut rules_learn(uintptr_t pc, bool exact, struct rule *out)
{
    struct question question = {.pc = pc, .exact = exact, .rule = out};
    if (!cold_run(&door, ask, &question))
        return HT_CUT_BUSY;
    if (question.list_is_old) {
        /*
         * The loader calls on behalf of what it has just loaded. glibc's lets its own thread look at the list meanwhile; musl's before 1.2.2 would wait
         * for itself.
         */
        if (!real_facts.loader_is_libc && !modules_refresh())
            return HT_CUT_BUSY; /* not for good: what is now in no module may be in one that is not yet known */
        if (!cold_run(&door, ask, &question))
            return HT_CUT_BUSY;
    }
    return question.why;
}

void rules_forget(void)
{
    word_publish(&rules_generation, rules_generation + 1);
    if (!(rules_generation &
          0xffff)) /* sixteen bits of it are in each rule: start with truly empty tables when they wrap */
        for (uint32_t i = 0; i < capacity; i++)
            word_publish(&table->rule[i].pc_lo, 0);
    taught_outside = false;
}

bool rules_taught_outside(void)
{
    return taught_outside;
}

bool rules_init(void)
{
    can_teach = teach_init();
    return can_teach;
}

void rules_reset(void)
{
    if (table) /* it is zero */
        table->mask = capacity - 1;
    taught_outside = false;
}
