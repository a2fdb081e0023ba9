#include "capture.h"

#include "rules.h"
#include "stack.h"

#define WORD sizeof(uintptr_t)
#define DEPTH_STEPS                                                                                                    \
    8u /* what is cut of a deeper stack is a multiple of this part of depth_max, counted from its outermost frame */
#define EXTRA_FRAMES 65536u

static bool load(struct walk *walk, uintptr_t address, uintptr_t *value)
{
    if (!stack_readable(&walk->stack, address))
        return false;
    *value = *(const uintptr_t *)address;
    return true;
}

INLINE uintptr_t base_of(const struct walk *walk, unsigned base, uintptr_t cfa)
{
    return base == BASE_CFA ? cfa : base == BASE_FP ? walk->at.reg[1] : walk->at.reg[0];
}

/* One frame outwards. False: a word that the rule needs cannot be read, or the stack would not shrink. */
INLINE bool step(struct walk *walk)
{
    const struct rule *rule = &walk->rule;
    uintptr_t cfa = walk->at.reg[rule->cfa_reg] + (uintptr_t)(intptr_t)rule->cfa_offset;
    if (rule->flags & RULE_CFA_LOADED) {
        if (!load(walk, cfa, &cfa))
            return false;
        cfa += (uintptr_t)(intptr_t)rule->cfa_add;
    }
    bool signal = rule->flags & RULE_SIGNAL;
    if (!signal && cfa <= walk->at.reg[0])
        return false;
    uintptr_t ra_at = base_of(walk, rule->ra_base, cfa) + (uintptr_t)((intptr_t)rule->ra * (intptr_t)WORD);
    if (!load(walk, ra_at, &walk->next.pc))
        return false;
    uintptr_t saved = base_of(walk, rule->saved_base, cfa);
    for (unsigned i = 1; i < walk->registers; i++) {
        walk->next.reg[i] = walk->at.reg[i];
        if (rule->saved[i - 1] != SAVED_NONE &&
            !load(walk, saved + (uintptr_t)((intptr_t)rule->saved[i - 1] * (intptr_t)WORD), &walk->next.reg[i]))
            return false;
    }
    walk->moved |= signal;
    walk->exact = signal;
    walk->at.pc = arch_pc(walk->next.pc);
    walk->at.reg[0] = cfa;
    for (unsigned i = 1; i < walk->registers; i++)
        walk->at.reg[i] = walk->next.reg[i];
    return true;
}

/*
 * Follows rules until the stack ends. Frames go to t->place as far as there is room; *total counts them all. Returns why the
 * walk ended (0: complete), or HT_CUTS when a rule needs registers that this walk does not follow.
 */
static enum ht_cut follow(struct thread *t, unsigned *total)
{
    struct walk *walk = &t->walk;
    const struct rule *rule = &walk->rule;
    *total = 0;
    for (unsigned steps = 0; steps < EXTRA_FRAMES; steps++) {
        enum ht_cut why = rules_find(walk->at.pc, walk->exact, &walk->rule);
        if (UNLIKELY(why))
            return why;
        if (LIKELY(rule->place)) { /* 0: a frame of this library */
            if (LIKELY(*total < t->depth_max))
                t->place[*total] = rule->place;
            ++*total;
        }
        if (UNLIKELY(rule->kind != RULE_STEP))
            return rule->kind == RULE_OUTERMOST ? 0 : rule->kind == RULE_REFUSED ? HT_CUT_REFUSED : HT_CUT_NO_TABLE;
        if (UNLIKELY(rule->cfa_reg >= walk->registers))
            return HT_CUTS;
        if (UNLIKELY(!step(walk)))
            return HT_CUT_MEMORY;
        if (UNLIKELY(!walk->at.pc)) /* as libgcc's unwinder reads it: nothing called this */
            return 0;
    }
    return HT_CUT_DEPTH;
}

static void begin(struct thread *t, unsigned registers, bool exact)
{
    t->walk.stack = t->stack;
    t->walk.exact = exact;
    t->walk.moved = false;
    t->walk.registers = registers;
}

/* The walk with all registers: begins right here, with this library's own frames, since the caller's registers are known nowhere else. */
static COLD enum ht_cut follow_all(struct thread *t, unsigned *total)
{
    arch_here(&t->walk.at);
    begin(t, ARCH_REGS, true);
    enum ht_cut why = follow(t, total);
    return why == HT_CUTS ? HT_CUT_REFUSED : why;
}

unsigned capture(struct thread *t, enum ht_cut *cut)
{
    unsigned total;
    t->walk.at.pc = arch_pc(t->walk.at.pc);
    begin(t, ARCH_REGS_FAST, false);
    *cut = follow(t, &total);
    if (UNLIKELY(*cut == HT_CUTS))
        *cut = follow_all(t, &total);
    if (!t->walk.moved)
        t->stack = t->walk.stack;
    if (UNLIKELY(total > t->depth_max)) {
        /*
         * Too deep. Were the innermost depth_max frames kept, each further call would move the cut, and with it make a new branch of the tree. The cut
         * stays where it is while the stack grows by one of DEPTH_STEPS.
         */
        unsigned step_frames = MAX(t->depth_max / DEPTH_STEPS, 1u);
        unsigned outer = (total - t->depth_max + step_frames - 1) / step_frames * step_frames;
        *cut = HT_CUT_DEPTH;
        return total - outer;
    }
    return total;
}
