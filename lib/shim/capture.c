#include "capture.h"

#include "rules.h"
#include "stack.h"
#include "tree.h"

#define WORD sizeof(uintptr_t)
#define DEPTH_STEPS                                                                                                    \
    8u /* what is cut of a deeper stack is a multiple of this part of depth_max, counted from its outermost frame */
#define EXTRA_FRAMES 65536u
#define NONE UINT32_MAX

INLINE bool load(struct walk *walk, uintptr_t address, uintptr_t *value)
{
    if (UNLIKELY(!stack_readable(&walk->stack, address)))
        return false;
    *value = *(const uintptr_t *)address;
    return true;
}

INLINE uintptr_t base_of(const struct walk *walk, unsigned base, uintptr_t cfa)
{
    return base == BASE_CFA ? cfa : base == BASE_FP ? walk->at.reg[1] : walk->at.reg[0];
}

INLINE uintptr_t words(intptr_t count)
{
    return (uintptr_t)(count * (intptr_t)WORD);
}

/* Registers that the caller finds changed. */
INLINE bool restore(struct walk *walk, uintptr_t cfa, struct frame *frame)
{
    uintptr_t base = base_of(walk, walk->rule.saved_base, cfa);
    for (unsigned i = 1; i < walk->registers; i++) {
        arch_saved saved = walk->rule.saved[i - 1];
        if (saved == SAVED_NONE) {
            walk->next.reg[i] = walk->at.reg[i];
            continue;
        }
        uintptr_t at = (walk->rule.saved_at_cfa >> (i - 1) & 1 ? cfa : base) + words(saved);
        if (i == 1)
            frame->fp_at = at;
        if (!load(walk, at, &walk->next.reg[i]))
            return false;
    }
    return true;
}

/* One frame outwards; *frame gets what was read. False: a word that the rule needs cannot be read, or the stack would not shrink. */
INLINE bool step(struct walk *walk, struct frame *frame)
{
    const struct rule *rule = &walk->rule;
    uintptr_t cfa = walk->at.reg[rule->cfa_reg] + (uintptr_t)(intptr_t)rule->cfa_offset;
    if (UNLIKELY(rule->flags & RULE_CFA_LOADED)) {
        frame->cfa_at = cfa;
        frame->cfa_add = rule->cfa_add;
        if (!load(walk, cfa, &cfa))
            return false;
        cfa += (uintptr_t)(intptr_t)rule->cfa_add;
    }
    bool signal = rule->flags & RULE_SIGNAL;
    if (UNLIKELY(!signal && cfa <= walk->at.reg[0]))
        return false;
    frame->ra_at = base_of(walk, rule->ra_base, cfa) + words(rule->ra);
    if (!load(walk, frame->ra_at, &walk->next.pc) || !restore(walk, cfa, frame))
        return false;
    if (UNLIKELY(signal)) {
        walk->moved = true;
        if (!stack_enter(&walk->stack, cfa))
            return false;
    }
    walk->exact = signal;
    walk->at.pc = arch_pc(walk->next.pc);
    walk->at.reg[0] = cfa;
    for (unsigned i = 1; i < walk->registers; i++)
        walk->at.reg[i] = walk->next.reg[i];
    return true;
}

INLINE void note(const struct walk *walk, struct frame *frame)
{
    const struct rule *rule = &walk->rule;
    bool uses_fp = rule->kind == RULE_STEP &&
                   (rule->cfa_reg == 1 || rule->ra_base == BASE_FP || rule->saved_base == BASE_FP);
    frame->pc = walk->at.pc;
    frame->sp = walk->at.reg[0];
    frame->fp = walk->at.reg[1];
    frame->ra_at = frame->fp_at = frame->cfa_at = 0;
    frame->place = rule->place;
    frame->flags = (walk->exact ? FRAME_EXACT : 0) | (uses_fp ? FRAME_USES_FP : 0) |
                   (rule->flags & RULE_SIGNAL ? FRAME_JUMP : 0);
}

/* The last stack while a new one is being walked. */
struct reuse {
    uint32_t next; /* frames from here inwards cannot match any more: they lie below the walk; NONE: no frame is left */
    uint32_t good; /* frames up to here are verified; NONE: nothing was compared yet */
    uint32_t kept; /* frames of the last stack that are the new one's too; 0: none */
};

/* Index of the innermost frame from which on outwards every word is as it was, but not beyond `last`. */
static uint32_t verify(const struct thread *t, uint32_t last)
{
    for (uint32_t i = 1; i <= last; i++) {
        const struct frame *frame = &t->frame[i], *outer = frame - 1;
        if (arch_pc(*(const uintptr_t *)frame->ra_at) != outer->pc ||
            (frame->fp_at && *(const uintptr_t *)frame->fp_at != outer->fp) ||
            UNLIKELY(frame->cfa_at &&
                     *(const uintptr_t *)frame->cfa_at + (uintptr_t)(intptr_t)frame->cfa_add != outer->sp))
            return i - 1;
    }
    return last;
}

/* Does the last stack go on from here as the walk would? True: its frames 0 to reuse->next are those of the new stack. */
INLINE bool rejoins(struct thread *t, struct reuse *reuse)
{
    struct walk *walk = &t->walk;
    uintptr_t sp = walk->at.reg[0];
    while (reuse->next != NONE && t->frame[reuse->next].sp < sp)
        reuse->next--; /* from 0 to NONE */
    if (reuse->next == NONE)
        return false;
    const struct frame *frame = &t->frame[reuse->next];
    if (frame->sp != sp || frame->pc != walk->at.pc || walk->exact != !!(frame->flags & FRAME_EXACT) ||
        ((frame->flags & FRAME_FP_LIVE) && frame->fp != walk->at.reg[1]))
        return false;
    if (reuse->good == NONE) {
        /* All the words lie between here and the outermost stack pointer; the known part of the stack is without holes. */
        if (reuse->next && !stack_readable(&walk->stack, t->frame[0].sp - WORD))
            return false;
        reuse->good = verify(t, reuse->next);
        if (reuse->good < reuse->next)
            reuse->next = reuse->good;
    }
    return frame == &t->frame[reuse->next];
}

/*
 * Follows rules until the stack ends or rejoins the last one. New frames are written from the end of t->frame downwards, so that they stand outermost
 * first; *total counts them all. Returns why the walk ended (0: complete or rejoined), or HT_CUTS when a rule needs registers that this walk does
 * not follow.
 */
static enum ht_cut follow(struct thread *t, struct reuse *reuse, uint32_t *total)
{
    struct walk *walk = &t->walk;
    const struct rule *rule = &walk->rule;
    struct frame spare;
    *total = 0;
    for (unsigned steps = 0; steps < EXTRA_FRAMES; steps++) {
        if (rejoins(t, reuse)) {
            reuse->kept = reuse->next + 1;
            return 0;
        }
        enum ht_cut why = rules_find(walk->at.pc, walk->exact, &walk->rule);
        if (UNLIKELY(why))
            return why;
        struct frame *frame = LIKELY(*total < t->depth_max) ? &t->frame[t->depth_max - 1 - *total] : &spare;
        if (UNLIKELY(reuse->next != NONE && reuse->next >= t->depth_max - 1 - MIN(*total, t->depth_max - 1)))
            reuse->next = NONE; /* the new frames have reached the last stack's */
        note(walk, frame);
        ++*total;
        if (UNLIKELY(rule->kind != RULE_STEP))
            return rule->kind == RULE_OUTERMOST ? 0 : rule->kind == RULE_REFUSED ? HT_CUT_REFUSED : HT_CUT_NO_TABLE;
        if (UNLIKELY(rule->cfa_reg >= walk->registers))
            return HT_CUTS;
        if (UNLIKELY(!step(walk, frame)))
            return HT_CUT_MEMORY;
        if (UNLIKELY(!walk->at.pc)) /* as libgcc's unwinder reads it: nothing called this */
            return 0;
    }
    return HT_CUT_DEPTH;
}

static void begin(struct thread *t, unsigned registers, bool exact, struct reuse *reuse)
{
    bool same_rules = t->frame_generation == rules_generation();
    uint32_t usable = same_rules && registers == ARCH_REGS_FAST ? MIN(t->frame_count, t->frame_barrier) : 0;
    t->walk.stack = t->stack;
    stack_enter(&t->walk.stack, t->walk.at.reg[0] - WORD); /* where the return address of the hook lies */
    t->walk.exact = exact;
    t->walk.moved = false;
    t->walk.registers = registers;
    t->frame_generation = rules_generation();
    *reuse = (struct reuse){.next = usable ? usable - 1 : NONE, .good = NONE};
}

/* The walk with all registers: begins right here, with this library's own frames, since the caller's registers are known nowhere else. */
static COLD enum ht_cut follow_all(struct thread *t, struct reuse *reuse, uint32_t *total)
{
    arch_here(&t->walk.at);
    begin(t, ARCH_REGS, true, reuse);
    enum ht_cut why = follow(t, reuse, total);
    return why == HT_CUTS ? HT_CUT_REFUSED : why;
}

/*
 * A stack deeper than depth_max. Were the innermost depth_max frames kept, each further call would move the cut, and with it make a new branch of the
 * tree. The cut stays where it is while the stack grows by one of DEPTH_STEPS. Returns how many frames are kept.
 */
static COLD uint32_t shorten(const struct thread *t, uint32_t total)
{
    uint32_t step_frames = MAX(t->depth_max / DEPTH_STEPS, 1u);
    return total - (total - t->depth_max + step_frames - 1) / step_frames * step_frames;
}

/* Gives frames `from` .. frame_count their nodes. Returns the innermost; sets *cut when the tree is full. */
static uint32_t grow(struct thread *t, uint32_t from, enum ht_cut *cut)
{
    uint32_t node = from ? t->frame[from - 1].node : *cut ? tree_cut_node(*cut) : 0;
    bool live = from && (t->frame[from - 1].flags & FRAME_FP_LIVE);
    for (uint32_t i = from; i < t->frame_count; i++) {
        struct frame *frame = &t->frame[i];
        live = (frame->flags & FRAME_USES_FP) || (live && !frame->fp_at);
        frame->flags = live ? frame->flags | FRAME_FP_LIVE : frame->flags & ~FRAME_FP_LIVE;
        if (UNLIKELY((frame->flags & FRAME_JUMP) && t->frame_barrier > i))
            t->frame_barrier = i;
        if (LIKELY(frame->place)) {
            uint32_t child = tree_child(node, frame->place);
            if (UNLIKELY(!child)) {
                *cut = HT_CUT_FULL;
                t->frame_count = 0;
                return node;
            }
            node = child;
        }
        frame->node = node;
    }
    return node;
}

/* Puts the new frames behind those that are kept. */
INLINE void splice(struct thread *t, uint32_t kept, uint32_t fresh)
{
    const struct frame *from = &t->frame[t->depth_max - fresh];
    for (uint32_t i = 0; i < fresh; i++)
        t->frame[kept + i] = from[i];
    t->frame_count = kept + fresh;
    if (!kept || t->frame_barrier >= kept)
        t->frame_barrier = NONE;
}

uint32_t capture(struct thread *t, enum ht_cut *cut)
{
    struct reuse reuse;
    uint32_t fresh;
    t->walk.at.pc = arch_pc(t->walk.at.pc);
    begin(t, ARCH_REGS_FAST, false, &reuse);
    *cut = follow(t, &reuse, &fresh);
    if (UNLIKELY(*cut == HT_CUTS))
        *cut = follow_all(t, &reuse, &fresh);
    if (LIKELY(!t->walk.moved))
        t->stack = t->walk.stack;
    if (LIKELY(reuse.kept))
        *cut = t->frame_cut;
    else if (UNLIKELY(fresh > t->depth_max)) {
        *cut = HT_CUT_DEPTH;
        fresh = shorten(t, fresh);
    }
    t->frame_cut = *cut;
    splice(t, reuse.kept, fresh);
    uint32_t node = grow(t, reuse.kept, cut);
    /* What another walk might see otherwise is not kept: neither a cut that has to do with the moment, nor frames whose other registers are not compared. */
    if (UNLIKELY(t->walk.registers != ARCH_REGS_FAST || (*cut && *cut != HT_CUT_NO_TABLE && *cut != HT_CUT_REFUSED)))
        t->frame_count = 0;
    return node;
}
