#include "step.h"

#include "stack.h"

INLINE bool load(struct walk *walk, uintptr_t address, uintptr_t *value)
{
    if (UNLIKELY(!stack_readable(walk->stack, address)))
        return false;
    *value = *(const uintptr_t *)address;
    return true;
}

COLD void step_note(struct thread *t, uintptr_t at, uintptr_t value, bool saved_fp)
{
    struct walk *walk = &t->walk;
    if (walk->reuse.fresh <= t->depth_max)
        t->fresh_extra[walk->extras++] = (struct extra){{at, value}, walk->reuse.fresh, saved_fp};
}

INLINE uintptr_t base_of(const struct walk *walk, unsigned base, uintptr_t cfa)
{
    return base == BASE_CFA ? cfa : base == BASE_FP ? walk->at.reg[1] : walk->at.reg[0];
}

/* Registers that the caller finds changed. Of them only the frame register is followed from one capture to the next. */
INLINE bool restore(struct thread *t, const struct rule *rule, uintptr_t cfa)
{
    struct walk *walk = &t->walk;
    uintptr_t base = base_of(walk, rule->saved_base, cfa);
    for (unsigned i = 1; i < walk->registers; i++) {
        arch_saved saved = rule->saved[i - 1];
        walk->next.reg[i] = walk->at.reg[i];
        if (saved == SAVED_NONE)
            continue;
        uintptr_t at = (rule->saved_at_cfa >> (i - 1) & 1 ? cfa : base) + words(saved);
        if (!load(walk, at, &walk->next.reg[i]))
            return false;
        if (i == 1)
            step_note(t, at, walk->next.reg[1], true);
    }
    return true;
}

/* The link register is followed from where a signal interrupted the program to the next frame only. */
INLINE bool restore_link(struct walk *walk, const struct rule *rule, uintptr_t cfa)
{
    arch_saved saved = ARCH_LINK ? rule->saved[ARCH_LINK - 1] : SAVED_NONE;
    return saved == SAVED_NONE ||
           load(walk, base_of(walk, rule->saved_base, cfa) + words(saved), &walk->at.reg[ARCH_LINK]);
}

COLD unsigned step_by_rule(struct thread *t)
{
    struct walk *walk = &t->walk;
    const struct rule *rule = &walk->rule;
    switch (rule->kind) {
    case RULE_STEP: break;
    case RULE_OUTERMOST: return 0;
    case RULE_REFUSED: return HT_CUT_REFUSED;
    case RULE_NO_PLACE: return HT_CUT_FULL;
    default: return HT_CUT_NO_TABLE;
    }
    if (rule->cfa_reg >= walk->registers)
        return HT_CUTS;
    uintptr_t cfa = walk->at.reg[rule->cfa_reg] + (uintptr_t)(intptr_t)rule->cfa_offset;
    if (rule->flags & RULE_CFA_LOADED) {
        uintptr_t at = cfa;
        if (!load(walk, at, &cfa))
            return HT_CUT_MEMORY;
        step_note(t, at, cfa, false);
        cfa += (uintptr_t)(intptr_t)rule->cfa_add;
    }
    bool signal = rule->flags & RULE_SIGNAL;
    bool link = ARCH_LINK && (rule->flags & RULE_RA_IN_REGISTER); /* such a frame may be empty */
    if (!signal && (link ? cfa < walk->at.reg[0] : cfa <= walk->at.reg[0]))
        return HT_CUT_MEMORY;
    walk->ret_at = base_of(walk, rule->ra_base, cfa) + words(rule->ra);
    if (link)
        walk->next.pc = walk->at.reg[ARCH_LINK];
    else if (!load(walk, walk->ret_at, &walk->next.pc))
        return HT_CUT_MEMORY;
    if (!restore(t, rule, cfa))
        return HT_CUT_MEMORY;
    if (signal) {
        if (!restore_link(walk, rule, cfa))
            return HT_CUT_MEMORY;
        walk->other = *walk->stack;
        walk->stack = &walk->other;
        if (!stack_enter(walk->stack, cfa))
            return HT_CUT_MEMORY;
    }
    if (signal || link) /* never compared, since nothing is reused beyond a jump */
        walk->ret_at = cfa - WORD;
    walk->exact = signal;
    walk->at.pc = arch_pc(walk->next.pc);
    walk->at.reg[0] = cfa;
    for (unsigned i = 1; i < walk->registers; i++)
        walk->at.reg[i] = walk->next.reg[i];
    return STEPPED;
}
