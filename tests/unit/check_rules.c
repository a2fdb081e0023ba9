/*
 * The table of rules, with a teacher that makes rules up from the address: each address is taught once, until everything is forgotten; what is found is
 * always the rule of the address that was asked for; and a busy teacher is not waited for.
 */
#include "stage.h"

#include <shim/cold.h>
#include <shim/memory.h>
#include <shim/modules.h>
#include <shim/real.h>
#include <shim/rules.h>
#include <shim/teach.h>
#include <shim/tree.h>
#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>

/* ---- The teacher and what else is asked ---- */

#define CODE ((uintptr_t)0x10000)
#define CODE_END (CODE + (uintptr_t)0x40000000)
#define OWN_CODE ((uintptr_t)0x7f0000000000)
#define LOADER ((uintptr_t)0x7e0000000000)
#define HIGHEST (ARCH_CODE_ALIGN > 1 ? (uintptr_t)1 << 47 : (uintptr_t)1 << 46) /* bit of an address of code */

uint32_t modules_dirty;

bool modules_may_have_grown(void)
{
    return modules_dirty;
}
struct real_facts real_facts;
/* As capture asks. */
static enum ht_cut find(uintptr_t pc, bool exact, struct rule *out)
{
    return rules_look(pc, exact, out) ? 0 : rules_learn(pc, exact, out);
}

static struct module modules[] = {
    {.teach = {.start = CODE, .end = CODE_END, .bias = 0x1000}, .row = 4},
    {.teach = {.start = OWN_CODE, .end = OWN_CODE + 0x1000}, .row = 5, .flags = HT_MODULE_SHIM},
    {.teach = {.start = LOADER, .end = LOADER + 0x10000},
     .row = 6,
     .flags = HT_MODULE_LOADER,
     .entry = LOADER + 0x1000},
    {.teach = {.start = OWN_CODE + 0x10000, .end = OWN_CODE + 0x20000}, .row = HT_NO_MODULE},
    {.teach = {.start = CODE | HIGHEST, .end = CODE_END | HIGHEST}, .row = 6},
};
static unsigned questions, refreshes;
static uint32_t epoch;   /* a rule says in which it was taught */
static uint32_t waiting; /* 1: the teacher waits until it is 0; 2: it does wait */
static bool knows_nothing;
static uintptr_t sigreturn_at; /* where handlers return to */
static uintptr_t outermost;    /* an instruction whose frame nothing called */
static uintptr_t late_code;    /* becomes part of the first module at a refresh */

bool teach_init(void)
{
    return !knows_nothing;
}

static struct rule rule_for(uintptr_t pc, bool exact)
{
    return (struct rule){.kind = RULE_STEP,
                         .cfa_offset = (int32_t)((pc ^ pc >> 32) * 2654435761u >> 8),
                         .ra = (int16_t)(pc >> 4),
                         .cfa_add = exact,
                         .saved = {(arch_saved)pc, 1, 2, 3, 4, 5, 6, 7}};
}

void teach(const struct teach_module *module, uintptr_t pc, bool exact, struct rule *rule)
{
    questions++;
    ck_assert_often(pc - !exact - module->start < module->end - module->start);
    if (word_swap(&waiting, 1, 2))
        while (word_acquire(&waiting))
            sched_yield();
    *rule = rule_for(pc, exact);
    rule->flags = (uint8_t)epoch;
    if (module->start == LOADER)
        rule->kind = RULE_NO_TABLE;
    if (exact && pc == outermost)
        rule->kind = RULE_OUTERMOST;
}

bool teach_signal(uintptr_t pc, struct rule *rule)
{
    if (pc == sigreturn_at)
        *rule = (struct rule){.kind = RULE_STEP, .flags = RULE_SIGNAL};
    return pc == sigreturn_at;
}

const struct module *modules_find(uintptr_t address)
{
    for (size_t i = 0; i < ARRAY_LEN(modules); i++)
        if (address - modules[i].teach.start < modules[i].teach.end - modules[i].teach.start)
            return &modules[i];
    return NULL;
}

static bool refresh_is_refused;

bool modules_refresh(void)
{
    if (refresh_is_refused)
        return false;
    refreshes++;
    modules_dirty = MODULES_CURRENT;
    if (late_code)
        modules[0].teach.end = late_code;
    return true;
}

static struct ht_place place[1 << 16];
static uint32_t place_count, places_max = ARRAY_LEN(place) - 1;

uint32_t tree_place(uint32_t module, uint32_t flags, uint64_t offset)
{
    if (place_count == places_max)
        return 0;
    place[++place_count] = (struct ht_place){module, flags, (uint32_t)offset, (uint32_t)(offset >> 32)};
    return place_count;
}

/* ---- The tests ---- */

static bool finds(uintptr_t pc, bool exact)
{
    struct rule rule = {0}, expected = rule_for(pc, exact);
    if (find(pc, exact, &rule))
        return false;
    return rule.kind == expected.kind && rule.cfa_offset == expected.cfa_offset && rule.cfa_add == expected.cfa_add &&
           rule.ra == expected.ra && !memcmp(rule.saved, expected.saved, sizeof rule.saved);
}

START_TEST(taught_once)
{
    struct rule rule;
    ck_assert(rules_init());
    ck_assert(finds(CODE + 16, false));
    ck_assert(finds(CODE + 16, false));
    ck_assert_uint_eq(questions, 1);
    ck_assert(finds(CODE + 16, true)); /* an interrupted instruction there is another question */
    ck_assert(finds(CODE + 16, true));
    ck_assert(finds(CODE, true));
    ck_assert_uint_eq(questions, 3);
    ck_assert_int_eq(find(CODE + 16, false, &rule), 0);
    ck_assert_uint_eq(place[rule.place].module, 5);
    ck_assert_uint_eq(place[rule.place].offset_lo, CODE + 16 - 0x1000);
    ck_assert_uint_eq(place[rule.place].flags, 0);
    find(CODE + 16, true, &rule);
    ck_assert_uint_eq(place[rule.place].flags, HT_PLACE_EXACT);
    ck_assert(
        finds(CODE_END, false)); /* a call was the last instruction: the address behind it is the return address */
}
END_TEST

START_TEST(addresses_that_differ_in_their_highest_bit)
{
    ck_assert(rules_init());
    for (uintptr_t pc = CODE + 4; pc < CODE + 400; pc += 4)
        for (int i = 0; i < 4; i++)
            ck_assert_often(finds(i & 1 ? pc | HIGHEST : pc, i & 2));
}
END_TEST

START_TEST(many_rules)
{
    ck_assert_often(rules_init());
    for (int round = 0; round < 2; round++)
        for (uintptr_t i = 1; i <= 10000; i++)
            ck_assert_often(finds(CODE + i * 7924, false));
    ck_assert_often(questions == 10000);
}
END_TEST

START_TEST(no_module)
{
    struct rule rule;
    ck_assert(rules_init());
    ck_assert(!rules_taught_outside());
    ck_assert_int_eq(find(0x123, false, &rule), 0);
    ck_assert_int_eq(rule.kind, RULE_NO_TABLE);
    ck_assert_uint_eq(place[rule.place].module, HT_NO_MODULE);
    ck_assert_uint_eq(place[rule.place].offset_lo, 0x123);
    ck_assert(rules_taught_outside());
    rules_forget();
    ck_assert(!rules_taught_outside());
    ck_assert_int_eq(find(OWN_CODE + 0x10010, false, &rule), 0); /* a module without a row */
    ck_assert_int_eq(rule.kind, RULE_STEP);
    ck_assert_uint_eq(place[rule.place].module, HT_NO_MODULE);
    ck_assert_uint_eq(place[rule.place].offset_hi, OWN_CODE >> 32);
}
END_TEST

START_TEST(a_list_that_is_old)
{
    ck_assert(rules_init());
    modules_dirty = MODULES_CHANGED;
    late_code = CODE_END + 0x1000;
    ck_assert(finds(CODE + 8, false)); /* in a module that is known: nobody is asked */
    ck_assert_uint_eq(refreshes, 0);
    ck_assert(finds(CODE_END + 0x10, false));
    ck_assert_uint_eq(refreshes, 1);
    ck_assert(!rules_taught_outside());
}
END_TEST

/* Another thread reads, or forks: what is in no module yet is not said to be in none for good. */
START_TEST(a_list_that_cannot_be_read_now)
{
    struct rule rule;
    ck_assert(rules_init());
    modules_dirty = MODULES_CHANGED;
    late_code = CODE_END + 0x1000;
    refresh_is_refused = true;
    ck_assert_int_eq(find(CODE_END + 0x10, false, &rule), HT_CUT_BUSY);
    ck_assert(!rules_taught_outside());
    refresh_is_refused = false;
    ck_assert(finds(CODE_END + 0x10, false));
}
END_TEST

START_TEST(a_loader_that_must_not_be_asked)
{
    struct rule rule;
    ck_assert(rules_init());
    modules_dirty = MODULES_CHANGED;
    late_code = CODE_END + 0x1000;
    real_facts.loader_is_libc = true;
    ck_assert_int_eq(find(CODE_END + 0x10, false, &rule), 0);
    ck_assert_int_eq(rule.kind, RULE_NO_TABLE);
    ck_assert_uint_eq(refreshes, 0);
}
END_TEST

START_TEST(where_a_context_begins)
{
    struct rule rule;
    ck_assert(rules_init());
    outermost = CODE;
    ck_assert_int_eq(find(CODE, false, &rule), 0); /* the byte before it is in no module */
    ck_assert_int_eq(rule.kind, RULE_OUTERMOST);
    outermost = CODE + 64;
    ck_assert_int_eq(find(CODE + 64, false, &rule), 0); /* but a call that returns there says otherwise */
    ck_assert_int_eq(rule.kind, RULE_STEP);
}
END_TEST

START_TEST(where_a_handler_returns_to)
{
    static const uintptr_t places[] = {CODE + 64, CODE - 64}; /* in a module, and in none */
    struct rule rule;
    ck_assert(rules_init());
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        sigreturn_at = places[i];
        ck_assert_int_eq(find(sigreturn_at, false, &rule), 0);
        ck_assert_int_eq(rule.kind, RULE_STEP);
        ck_assert_uint_eq(rule.flags & 0xf, RULE_SIGNAL);
        ck_assert_uint_ne(rule.place, 0);
    }
    ck_assert_uint_eq(questions, 0);
}
END_TEST

/* No table says what the loader's first instructions are. */
START_TEST(where_the_loader_begins)
{
    struct rule rule;
    ck_assert(rules_init());
    ck_assert_int_eq(find(LOADER + 0x1020, false, &rule), 0);
    ck_assert_int_eq(rule.kind, RULE_OUTERMOST);
    ck_assert_int_eq(find(LOADER + 0x2000, false, &rule), 0); /* elsewhere it means what it says */
    ck_assert_int_eq(rule.kind, RULE_NO_TABLE);
    ck_assert_int_eq(find(LOADER + 0x800, false, &rule), 0);
    ck_assert_int_eq(rule.kind, RULE_NO_TABLE);
}
END_TEST

START_TEST(own_frames_have_no_place)
{
    struct rule rule;
    ck_assert(rules_init());
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(find(OWN_CODE + 16, false, &rule), 0);
        ck_assert_int_eq(rule.kind, RULE_STEP);
        ck_assert_uint_eq(rule.place, 0);
    }
    ck_assert_uint_eq(questions, 1);
}
END_TEST

START_TEST(without_a_teacher)
{
    struct rule rule;
    knows_nothing = true;
    ck_assert(!rules_init());
    ck_assert_int_eq(find(CODE + 16, false, &rule), 0);
    ck_assert_int_eq(rule.kind, RULE_NO_TABLE);
    ck_assert_uint_eq(place[rule.place].module, 5);
    ck_assert_uint_eq(questions, 0);
}
END_TEST

START_TEST(full)
{
    struct rule rule;
    ck_assert(rules_init());
    stage_refuse(SYS_mmap, 0, ENOMEM, 0);
    ck_assert_int_eq(find(CODE + 16, false, &rule), HT_CUT_FULL);
    stage_allow();
    ck_assert(finds(CODE + 16, false));
    places_max = place_count;
    unsigned before = questions;
    for (int i = 0; i < 3; i++) { /* taught once: or each event would be */
        ck_assert_int_eq(find(CODE + 32, false, &rule), 0);
        ck_assert_int_eq(rule.kind, RULE_NO_PLACE);
    }
    ck_assert_uint_eq(questions, before + 1);
    ck_assert(finds(CODE + 16, false));
    section[HT_PLACES].capacity = 100; /* there may be room later: then it is asked again */
    ck_assert_int_eq(find(CODE + 48, false, &rule), HT_CUT_FULL);
    places_max += 10;
    ck_assert(finds(CODE + 48, false));
}
END_TEST

START_TEST(forgotten)
{
    struct rule rule;
    ck_assert(rules_init());
    uint32_t before = rules_generation;
    ck_assert(finds(CODE + 16, false));
    rules_forget();
    epoch = 1;
    ck_assert_uint_ne(rules_generation, before);
    ck_assert_int_eq(find(CODE + 16, false, &rule), 0);
    ck_assert_uint_eq(rule.flags & 0xf, 1);
    ck_assert_uint_eq(questions, 2);
}
END_TEST

START_TEST(generations_that_wrap)
{
    struct rule rule;
    ck_assert_often(rules_init());
    for (uintptr_t i = 1; i < 2000; i++)
        ck_assert_often(finds(CODE + i * 64, false));
    for (uint32_t i = 0; i < 1u << 16; i++) /* sixteen bits are as they were */
        rules_forget();
    epoch = 1;
    for (uintptr_t i = 1; i < 2000; i++) {
        ck_assert_int_eq(find(CODE + i * 64, false, &rule), 0);
        ck_assert_often((rule.flags & 0xf) == 1);
    }
    ck_assert_often(questions == 2 * 1999);
}
END_TEST

START_TEST(memory_stays_what_it_is)
{
    ck_assert_often(rules_init());
    for (uintptr_t i = 1; i < 5000; i++)
        finds(CODE + i * 64, false);
    size_t bytes = memory_bytes();
    for (uint32_t round = 0; round < 3; round++) { /* outdated rules make room */
        rules_forget();
        place_count = 0;
        for (uintptr_t i = 1; i < 5000; i++)
            ck_assert_often(finds(CODE + i * 64, false));
    }
    ck_assert_often(memory_bytes() <= bytes * 3);
}
END_TEST

START_TEST(busy)
{
    struct rule rule;
    ck_assert(rules_init());
    ck_assert(finds(CODE + 16, false));
    ck_assert(rules_try_lock());
    ck_assert(!rules_try_lock());
    ck_assert_int_eq(find(CODE + 32, false, &rule), HT_CUT_BUSY);
    ck_assert(finds(CODE + 16, false)); /* what is known needs no teacher */
    rules_unlock();
    ck_assert(finds(CODE + 32, false));
    ck_assert(rules_try_lock());
    cold_open_all(); /* in a fork child: the thread that held it is the parent's */
    rules_reset();
    ck_assert(finds(CODE + 48, false));
}
END_TEST

static void ask_meanwhile(unsigned i)
{
    struct rule rule;
    if (i == 0) {
        ck_assert(finds(CODE + 64, false));
        return;
    }
    while (word_acquire(&waiting) != 2)
        sched_yield();
    ck_assert_int_eq(find(CODE + 128, false, &rule), HT_CUT_BUSY);
    ck_assert(finds(CODE + 16, false));
    word_publish(&waiting, 0);
}

START_TEST(nobody_waits_for_a_slow_teacher)
{
    ck_assert(rules_init());
    ck_assert(finds(CODE + 16, false));
    waiting = 1;
    stage_crowd(2, ask_meanwhile);
    ck_assert(finds(CODE + 128, false));
}
END_TEST

static uint32_t asking, answers;

/* The first thread forgets again and again; the others must never get another address's rule. */
static void ask_and_forget(unsigned i)
{
    uint32_t random = i + 1;
    if (i == 0) {
        while (word_acquire(&asking))
            if (rules_try_lock()) {
                place_count = 0;
                rules_forget();
                rules_unlock();
                sched_yield();
            }
        return;
    }
    for (int n = 0; n < 10000; n++) {
        uintptr_t pc = CODE + (stage_random(&random) % 3000 + 1) * 64;
        struct rule rule, expected = rule_for(pc, n & 1);
        if (find(pc, n & 1, &rule))
            continue;
        ck_assert_often(rule.cfa_offset == expected.cfa_offset);
        ck_assert_often(rule.ra == expected.ra);
        ck_assert_often(rule.cfa_add == expected.cfa_add);
        ck_assert_often(!memcmp(rule.saved, expected.saved, sizeof rule.saved));
        word_add(&answers, 1);
    }
    word_add(&asking, UINT32_MAX);
}

START_TEST(threads_while_everything_is_forgotten)
{
    ck_assert(rules_init());
    asking = 4;
    stage_crowd(5, ask_and_forget);
    ck_assert_uint_gt(answers, 1000);
}
END_TEST

SUITE("rules", taught_once, addresses_that_differ_in_their_highest_bit, many_rules, no_module, a_list_that_is_old,
      a_list_that_cannot_be_read_now, a_loader_that_must_not_be_asked, where_a_context_begins,
      where_a_handler_returns_to, where_the_loader_begins, own_frames_have_no_place, without_a_teacher, full, forgotten,
      generations_that_wrap, memory_stays_what_it_is, busy, nobody_waits_for_a_slow_teacher,
      threads_while_everything_is_forgotten)
