#include "capture.h"

#include "rules.h"
#include "stack.h"
#include "tree.h"

#define WORD sizeof(uintptr_t)
#define DEPTH_STEPS                                                                                                    \
    8u /* a deeper stack is cut at a multiple of this part of depth_max, counted from its outermost frame */
#define EXTRA_FRAMES 65536u
#define NONE UINT32_MAX
#define JUMPS (ARCH_LINK ? RULE_SIGNAL | RULE_RA_IN_REGISTER : RULE_SIGNAL)
#define UNKNOWN (HT_CUTS + 1) /* the walk has come to a pc without a rule */

INLINE bool load(struct walk *walk, uintptr_t address, uintptr_t *value)
{
    if (UNLIKELY(!stack_readable(&walk->stack, address)))
        return false;
    *value = *(const uintptr_t *)address;
    return true;
}

/* The same for a word that decides how the walk goes on. */
INLINE bool load_and_note(struct walk *walk, uintptr_t address, uintptr_t *value, struct fresh *fresh)
{
    if (!load(walk, address, value))
        return false;
    fresh->word[fresh->words++] = (struct word){address, *value};
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

/* Registers that the caller finds changed. Of them only the frame register is followed from one capture to the next. */
INLINE bool restore(struct walk *walk, uintptr_t cfa, struct fresh *fresh)
{
    uintptr_t base = base_of(walk, walk->rule.saved_base, cfa);
    for (unsigned i = 1; i < walk->registers; i++) {
        arch_saved saved = walk->rule.saved[i - 1];
        walk->next.reg[i] = walk->at.reg[i];
        if (saved == SAVED_NONE)
            continue;
        uintptr_t at = (walk->rule.saved_at_cfa >> (i - 1) & 1 ? cfa : base) + words(saved);
        if (i == 1)
            fresh->saves_fp = true;
        if (!(i == 1 ? load_and_note(walk, at, &walk->next.reg[i], fresh) : load(walk, at, &walk->next.reg[i])))
            return false;
    }
    return true;
}

/* The link register is followed from where a signal interrupted the program to the next frame only. */
INLINE bool restore_link(struct walk *walk, uintptr_t cfa)
{
    arch_saved saved = ARCH_LINK ? walk->rule.saved[ARCH_LINK - 1] : SAVED_NONE;
    return saved == SAVED_NONE ||
           load(walk, base_of(walk, walk->rule.saved_base, cfa) + words(saved), &walk->at.reg[ARCH_LINK]);
}

/* One frame outwards; *fresh gets what was read. False: a word that the rule needs cannot be read, or the stack would not shrink. */
INLINE bool step(struct walk *walk, struct fresh *fresh)
{
    const struct rule *rule = &walk->rule;
    uintptr_t cfa = walk->at.reg[rule->cfa_reg] + (uintptr_t)(intptr_t)rule->cfa_offset;
    if (UNLIKELY(rule->flags & RULE_CFA_LOADED)) {
        if (!load_and_note(walk, cfa, &cfa, fresh))
            return false;
        cfa += (uintptr_t)(intptr_t)rule->cfa_add;
    }
    bool signal = rule->flags & RULE_SIGNAL;
    bool link = ARCH_LINK && (rule->flags & RULE_RA_IN_REGISTER); /* such a frame may be empty */
    if (UNLIKELY(!signal && (link ? cfa < walk->at.reg[0] : cfa <= walk->at.reg[0])))
        return false;
    if (UNLIKELY(link))
        walk->next.pc = walk->at.reg[ARCH_LINK];
    else if (!load_and_note(walk, base_of(walk, rule->ra_base, cfa) + words(rule->ra), &walk->next.pc, fresh))
        return false;
    if (!restore(walk, cfa, fresh))
        return false;
    if (UNLIKELY(signal)) {
        walk->moved = true;
        if (!restore_link(walk, cfa) || !stack_enter(&walk->stack, cfa))
            return false;
    }
    walk->exact = signal;
    walk->at.pc = arch_pc(walk->next.pc);
    walk->at.reg[0] = cfa;
    for (unsigned i = 1; i < walk->registers; i++)
        walk->at.reg[i] = walk->next.reg[i];
    return true;
}

INLINE void note(const struct walk *walk, struct fresh *fresh)
{
    const struct rule *rule = &walk->rule;
    bool uses_fp = rule->kind == RULE_STEP &&
                   (rule->cfa_reg == 1 || rule->ra_base == BASE_FP || rule->saved_base == BASE_FP);
    fresh->frame.pc = walk->at.pc;
    fresh->frame.sp = walk->at.reg[0];
    fresh->frame.fp = walk->at.reg[1];
    fresh->frame.place = rule->place;
    fresh->frame.flags = (walk->exact ? FRAME_EXACT : 0) | (uses_fp ? FRAME_USES_FP : 0) |
                         (rule->flags & JUMPS ? FRAME_JUMP : 0);
    fresh->words = 0;
    fresh->saves_fp = false;
}

/* The last stack while a new one is being walked. */
struct reuse {
    uint32_t next; /* frames from here inwards cannot match any more: they lie below the walk; NONE: no frame is left */
    bool compared; /* the words of frames 0 .. next are known to be as they were */
    uint32_t kept; /* frames of the last stack that are the new one's too; 0: none */
};

/* The innermost frame from which on outwards every word is as it was, but not beyond `last`; NONE: not even the outermost's. */
static COLD uint32_t still_good(const struct thread *t, uint32_t last, uint32_t first_changed)
{
    while (last != NONE && t->frame[last].words_end > first_changed)
        last--; /* from 0 to NONE */
    return last;
}

INLINE uint32_t verify(const struct thread *t, uint32_t last)
{
    const struct word *word = t->word, *end = word + t->frame[last].words_end;
    for (; word < end; word++)
        if (UNLIKELY(*(const uintptr_t *)word->at != word->value))
            return still_good(t, last, (uint32_t)(word - t->word));
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
    if (reuse->compared)
        return true;
    /* All the words lie between here and the outermost one; the known part of the stack is without holes. */
    if (!stack_readable(&walk->stack, t->word_top))
        return false;
    uint32_t good = verify(t, reuse->next);
    bool all = good == reuse->next;
    reuse->compared = true;
    reuse->next = good;
    return all;
}

/*
 * Follows rules until the stack ends or rejoins the last one. New frames go to t->fresh, innermost first, as far as there is room; *total counts them all.
 * Returns why the walk ended (0: complete or rejoined), HT_CUTS when a rule needs registers that this walk does not follow, or UNKNOWN; `taught`: goes on
 * after that with walk->rule.
 */
static unsigned follow(struct thread *t, struct reuse *reuse, uint32_t *total, bool taught)
{
    struct walk *walk = &t->walk;
    const struct rule *rule = &walk->rule;
    for (unsigned steps = *total; steps < EXTRA_FRAMES; steps++) {
        if (rejoins(t, reuse)) {
            reuse->kept = reuse->next + 1;
            return 0;
        }
        if (UNLIKELY(!taught && !rules_look(walk->at.pc, walk->exact, &walk->rule)))
            return UNKNOWN;
        taught = false;
        struct fresh *fresh = &t->fresh[MIN(*total, t->depth_max)]; /* there is one more than depth_max */
        note(walk, fresh);
        ++*total;
        if (UNLIKELY(rule->kind != RULE_STEP))
            return rule->kind == RULE_OUTERMOST ? 0 : rule->kind == RULE_REFUSED ? HT_CUT_REFUSED : HT_CUT_NO_TABLE;
        if (UNLIKELY(rule->cfa_reg >= walk->registers))
            return HT_CUTS;
        if (UNLIKELY(!step(walk, fresh)))
            return HT_CUT_MEMORY;
        if (UNLIKELY(!walk->at.pc)) /* as libgcc's unwinder reads it: nothing called this */
            return 0;
    }
    return HT_CUT_DEPTH;
}

/* The whole walk. Rules are taught from here, where little of the program's stack is in use. */
INLINE unsigned walk_out(struct thread *t, struct reuse *reuse, uint32_t *total)
{
    *total = 0;
    unsigned why = follow(t, reuse, total, false);
    while (UNLIKELY(why == UNKNOWN)) {
        why = rules_learn(t->walk.at.pc, t->walk.exact, &t->walk.rule);
        if (!why)
            why = follow(t, reuse, total, true);
    }
    return why;
}

INLINE void begin(struct thread *t, unsigned registers, bool exact, struct reuse *reuse)
{
    uint32_t generation = rules_generation();
    uint32_t usable = t->frame_generation == generation ? MIN(t->frame_count, t->frame_barrier) : 0;
    t->frame_generation = generation;
    t->walk.stack = t->stack;
    stack_enter(&t->walk.stack, t->walk.at.reg[0] - WORD); /* where the return address of the hook lies */
    t->walk.exact = exact;
    t->walk.moved = false;
    t->walk.registers = registers;
    reuse->next = usable - 1; /* from 0 to NONE */
    reuse->compared = false;
    reuse->kept = 0;
}

/* The walk with all registers: begins right here, with this library's own frames, since the caller's registers are known nowhere else. */
static COLD enum ht_cut follow_all(struct thread *t, struct reuse *reuse, uint32_t *total)
{
    arch_here(&t->walk.at);
    t->frame_count = 0;
    begin(t, ARCH_REGS, true, reuse);
    unsigned why = walk_out(t, reuse, total);
    return why == HT_CUTS ? HT_CUT_REFUSED : why;
}

/* The walk once more, from where it began, without the last stack. */
static COLD enum ht_cut follow_anew(struct thread *t, struct reuse *reuse, uint32_t *total)
{
    const struct frame *first = &t->fresh[0].frame;
    t->walk.at.pc = first->pc;
    t->walk.at.reg[0] = first->sp;
    t->walk.at.reg[1] = first->fp;
    t->frame_count = 0;
    begin(t, ARCH_REGS_FAST, false, reuse);
    return walk_out(t, reuse, total);
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

/* Makes a fresh frame the innermost of the stack so far, whose node is *node. False: the tree is full. */
INLINE bool append(struct thread *t, const struct fresh *fresh, uint32_t *node)
{
    uint32_t i = t->frame_count;
    struct frame *frame = &t->frame[i];
    uint32_t words = i ? frame[-1].words_end : 0;
    /* The saved frame register is the last word. Where no rule further out reads that register, it may be what it likes. */
    bool read = i && (frame[-1].flags & FRAME_FP_LIVE);
    bool live = read && !fresh->saves_fp;
    *frame = fresh->frame;
    if (live || (frame->flags & FRAME_USES_FP))
        frame->flags |= FRAME_FP_LIVE;
    if (UNLIKELY((frame->flags & FRAME_JUMP) && t->frame_barrier > i))
        t->frame_barrier = i;
    for (uint32_t w = 0; w < fresh->words - (fresh->saves_fp && !read); w++) {
        t->word[words++] = fresh->word[w];
        t->word_top = MAX(t->word_top, fresh->word[w].at);
    }
    frame->words_end = words;
    if (LIKELY(frame->place))
        *node = tree_child(*node, frame->place);
    frame->node = *node;
    t->frame_count = i + 1;
    return *node || !frame->place;
}

/* Puts the new frames behind those that are kept. Returns the innermost's node; sets *cut when the tree is full. */
static uint32_t splice(struct thread *t, uint32_t kept, uint32_t fresh, enum ht_cut *cut)
{
    uint32_t node = kept ? t->frame[kept - 1].node : *cut ? tree_cut_node(*cut) : 0;
    t->frame_count = kept;
    if (!kept) {
        t->frame_barrier = NONE;
        t->word_top = 0;
    } else if (t->frame_barrier >= kept) {
        t->frame_barrier = NONE;
    }
    while (fresh-- > 0) {
        uint32_t outer = node;
        if (UNLIKELY(!append(t, &t->fresh[fresh], &node))) {
            *cut = HT_CUT_FULL;
            return outer;
        }
    }
    return node;
}

uint32_t capture(struct thread *t, enum ht_cut *cut)
{
    struct reuse reuse;
    uint32_t fresh;
    t->walk.at.pc = arch_pc(t->walk.at.pc);
    begin(t, ARCH_REGS_FAST, false, &reuse);
    *cut = walk_out(t, &reuse, &fresh);
    if (UNLIKELY(*cut == HT_CUTS))
        *cut = follow_all(t, &reuse, &fresh);
    else if (UNLIKELY(reuse.kept && reuse.kept + fresh > t->depth_max))
        *cut = follow_anew(t, &reuse, &fresh);
    if (LIKELY(!t->walk.moved))
        t->stack = t->walk.stack;
    if (LIKELY(reuse.kept))
        *cut = t->frame_cut;
    else if (UNLIKELY(fresh > t->depth_max)) {
        *cut = HT_CUT_DEPTH;
        fresh = shorten(t, fresh);
    }
    if (UNLIKELY(*cut == HT_CUT_MEMORY && sys_frozen())) /* the page could not be asked about */
        *cut = HT_CUT_FROZEN;
    t->frame_cut = *cut;
    uint32_t node = splice(t, reuse.kept, fresh, cut);
    /* What another walk might see otherwise is not kept: neither a cut that has to do with the moment, nor frames whose other registers are not compared. */
    if (UNLIKELY(t->walk.registers != ARCH_REGS_FAST || (*cut && *cut != HT_CUT_NO_TABLE && *cut != HT_CUT_REFUSED)))
        t->frame_count = 0;
    return node;
}
