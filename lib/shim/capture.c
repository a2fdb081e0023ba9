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
    if (UNLIKELY(!stack_readable(walk->stack, address)))
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

INLINE uintptr_t words(intptr_t count)
{
    return (uintptr_t)(count * (intptr_t)WORD);
}

INLINE uintptr_t base_of(const struct walk *walk, unsigned base, uintptr_t cfa)
{
    return base == BASE_CFA ? cfa : base == BASE_FP ? walk->at.reg[1] : walk->at.reg[0];
}

/* Registers that the caller finds changed. Of them only the frame register is followed from one capture to the next. */
INLINE bool restore(struct walk *walk, const struct rule *rule, uintptr_t cfa, struct fresh *fresh)
{
    uintptr_t base = base_of(walk, rule->saved_base, cfa);
    for (unsigned i = 1; i < walk->registers; i++) {
        arch_saved saved = rule->saved[i - 1];
        walk->next.reg[i] = walk->at.reg[i];
        if (saved == SAVED_NONE)
            continue;
        uintptr_t at = (rule->saved_at_cfa >> (i - 1) & 1 ? cfa : base) + words(saved);
        if (!(i == 1 ? load_and_note(walk, at, &walk->next.reg[i], fresh) : load(walk, at, &walk->next.reg[i])))
            return false;
    }
    return true;
}

#define STEPPED UINT32_MAX

/* The link register is followed from where a signal interrupted the program to the next frame only. */
INLINE bool restore_link(struct walk *walk, const struct rule *rule, uintptr_t cfa)
{
    arch_saved saved = ARCH_LINK ? rule->saved[ARCH_LINK - 1] : SAVED_NONE;
    return saved == SAVED_NONE ||
           load(walk, base_of(walk, rule->saved_base, cfa) + words(saved), &walk->at.reg[ARCH_LINK]);
}

/*
 * One frame outwards by a rule of any form, from and to walk->at; *fresh gets what was read. STEPPED, or why there is no further frame: also when a word that the
 * rule needs cannot be read, or the stack would not shrink.
 */
static COLD unsigned step(struct walk *walk, const struct rule *rule, struct fresh *fresh)
{
    if (rule->kind != RULE_STEP)
        return rule->kind == RULE_OUTERMOST ? 0 : rule->kind == RULE_REFUSED ? HT_CUT_REFUSED : HT_CUT_NO_TABLE;
    if (rule->cfa_reg >= walk->registers)
        return HT_CUTS;
    uintptr_t cfa = walk->at.reg[rule->cfa_reg] + (uintptr_t)(intptr_t)rule->cfa_offset;
    if (rule->flags & RULE_CFA_LOADED) {
        if (!load_and_note(walk, cfa, &cfa, fresh))
            return HT_CUT_MEMORY;
        cfa += (uintptr_t)(intptr_t)rule->cfa_add;
    }
    bool signal = rule->flags & RULE_SIGNAL;
    bool link = ARCH_LINK && (rule->flags & RULE_RA_IN_REGISTER); /* such a frame may be empty */
    if (!signal && (link ? cfa < walk->at.reg[0] : cfa <= walk->at.reg[0]))
        return HT_CUT_MEMORY;
    if (link)
        walk->next.pc = walk->at.reg[ARCH_LINK];
    else if (!load_and_note(walk, base_of(walk, rule->ra_base, cfa) + words(rule->ra), &walk->next.pc, fresh))
        return HT_CUT_MEMORY;
    if (!restore(walk, rule, cfa, fresh))
        return HT_CUT_MEMORY;
    if (signal) {
        if (!restore_link(walk, rule, cfa))
            return HT_CUT_MEMORY;
        walk->other = *walk->stack;
        walk->stack = &walk->other;
        if (!stack_enter(walk->stack, cfa))
            return HT_CUT_MEMORY;
    }
    walk->exact = signal;
    walk->at.pc = arch_pc(walk->next.pc);
    walk->at.reg[0] = cfa;
    for (unsigned i = 1; i < walk->registers; i++)
        walk->at.reg[i] = walk->next.reg[i];
    return STEPPED;
}

/* What of a walk's state is in processor registers while it follows plain rules. */
struct state {
    uintptr_t pc, sp, fp;
    bool exact;
};

INLINE void state_save(const struct state *state, struct walk *walk)
{
    walk->at.pc = state->pc;
    walk->at.reg[0] = state->sp;
    walk->at.reg[1] = state->fp;
    walk->exact = state->exact;
}

INLINE void state_load(struct state *state, const struct walk *walk)
{
    *state = (struct state){walk->at.pc, walk->at.reg[0], walk->at.reg[1], walk->exact};
}

/* As step, for RULE_PLAIN. */
INLINE bool step_plain(struct state *state, struct stack *stack, const struct rule *rule, struct fresh *fresh)
{
    uintptr_t cfa = (rule->cfa_reg ? state->fp : state->sp) + (uintptr_t)(intptr_t)rule->cfa_offset;
    uintptr_t ra_at = cfa + words(rule->ra);
    if (UNLIKELY(cfa <= state->sp) || UNLIKELY(!stack_readable(stack, ra_at)))
        return false;
    uintptr_t ra = *(const uintptr_t *)ra_at;
    fresh->word[0] = (struct word){ra_at, ra};
    fresh->words = 1;
    if (rule->flags & RULE_SAVES_FP) {
        uintptr_t fp_at = cfa + words(rule->saved[0]);
        if (UNLIKELY(!stack_readable(stack, fp_at)))
            return false;
        state->fp = *(const uintptr_t *)fp_at;
        fresh->word[1] = (struct word){fp_at, state->fp};
        fresh->words = 2;
    }
    state->pc = arch_pc(ra);
    state->sp = cfa;
    state->exact = false;
    return true;
}

_Static_assert(FRAME_USES_FP == RULE_USES_FP >> 2 && FRAME_SAVES_FP == RULE_SAVES_FP >> 2,
               "flags of a frame are taken from its rule");

INLINE void note(const struct state *state, const struct rule *rule, struct fresh *fresh)
{
    uint32_t flags = (rule->flags >> 2 & (FRAME_USES_FP | FRAME_SAVES_FP)) | (rule->flags & JUMPS ? FRAME_JUMP : 0);
    fresh->frame.pc = state->pc;
    fresh->frame.sp = state->sp;
    fresh->frame.fp = state->fp;
    fresh->frame.flags = flags | (state->exact ? FRAME_EXACT : 0);
    fresh->frame.place = rule->place;
    fresh->words = 0;
}

/* The innermost frame from which on outwards every word is as it was, but not beyond `last`; NONE: not even the outermost's. */
static COLD uint32_t still_good(const struct thread *t, uint32_t last, uint32_t first_changed)
{
    while (last != NONE && t->frame[last].words_end > first_changed)
        last--; /* from 0 to NONE */
    return last;
}

/* Four words between two branches: one that differs is rare. */
#define VERIFY_STEP 4

INLINE uintptr_t difference(const struct word *word)
{
    return *(const uintptr_t *)word->at ^ word->value;
}

INLINE uint32_t verify(const struct thread *t, uint32_t last)
{
    const struct word *word = t->word, *end = word + t->frame[last].words_end;
    for (; end - word >= VERIFY_STEP; word += VERIFY_STEP)
        if (UNLIKELY(difference(word) | difference(word + 1) | difference(word + 2) | difference(word + 3)))
            break;
    for (; word < end; word++)
        if (UNLIKELY(difference(word)))
            return still_good(t, last, (uint32_t)(word - t->word));
    return last;
}

/* Does the last stack go on from here as the walk would? True: its frames 0 to reuse->next are those of the new stack. */
INLINE bool rejoins(struct thread *t, const struct state *state, struct stack *stack, struct reuse *reuse)
{
    while (reuse->next != NONE && t->frame[reuse->next].sp < state->sp)
        reuse->next--; /* from 0 to NONE */
    if (reuse->next == NONE)
        return false;
    const struct frame *frame = &t->frame[reuse->next];
    if (frame->sp != state->sp || frame->pc != state->pc || state->exact != !!(frame->flags & FRAME_EXACT) ||
        ((frame->flags & FRAME_FP_LIVE) && frame->fp != state->fp))
        return false;
    if (reuse->compared)
        return true;
    /* All the words lie between here and the outermost one; the known part of the stack is without holes. */
    if (UNLIKELY(!stack_readable(stack, t->word_top)))
        return false;
    uint32_t good = verify(t, reuse->next);
    bool all = good == reuse->next;
    reuse->compared = true;
    reuse->next = good;
    return all;
}

INLINE struct rule *place_for_rule(struct thread *t, uintptr_t pc)
{
    return &t->rule[rule_hash(pc) / (UINT32_MAX / THREAD_RULES + 1)];
}

/* Rule for a pc in the thread's own memory; NULL: the process does not know it yet. */
INLINE const struct rule *recall(struct thread *t, const struct state *state)
{
    struct rule *rule = place_for_rule(t, state->pc);
    if (LIKELY(rule->key == rule_key(state->pc, state->exact, t->frame_generation)))
        return rule;
    return rules_look(state->pc, state->exact, rule) ? rule : NULL;
}

/*
 * Follows rules until the stack ends or rejoins the last one. New frames go to t->fresh, innermost first, as far as there is room; reuse->fresh counts them all.
 * Returns why the walk ended (0: complete or rejoined), HT_CUTS when a rule needs registers that this walk does not follow, or UNKNOWN; `taught`: goes on
 * after that with this rule.
 */
INLINE unsigned follow(struct thread *t, struct reuse *outcome, const unsigned registers, const struct rule *taught)
{
    struct walk *walk = &t->walk;
    struct stack *stack = walk->stack;
    struct reuse reuse = *outcome;
    struct state state;
    unsigned why = HT_CUT_DEPTH;
    state_load(&state, walk);
    for (; reuse.fresh < EXTRA_FRAMES; taught = NULL) {
        if (rejoins(t, &state, stack, &reuse)) {
            reuse.kept = reuse.next + 1;
            why = 0;
            break;
        }
        const struct rule *rule = taught ? taught : recall(t, &state);
        if (UNLIKELY(!rule)) {
            state_save(&state, walk);
            why = UNKNOWN;
            break;
        }
        struct fresh *fresh = &t->fresh[MIN(reuse.fresh, t->depth_max)]; /* there is one more than depth_max */
        note(&state, rule, fresh);
        reuse.fresh++;
        if (LIKELY(registers == ARCH_REGS_FAST && (rule->flags & RULE_PLAIN))) {
            if (UNLIKELY(!step_plain(&state, stack, rule, fresh))) {
                why = HT_CUT_MEMORY;
                break;
            }
        } else {
            state_save(&state, walk);
            why = step(walk, rule, fresh);
            if (why != STEPPED)
                break;
            why = HT_CUT_DEPTH;
            stack = walk->stack;
            state_load(&state, walk);
        }
        if (UNLIKELY(!state.pc)) { /* as libgcc's unwinder reads it: nothing called this */
            why = 0;
            break;
        }
    }
    *outcome = reuse;
    return why;
}

/* Rules that a thread remembers carry sixteen bits of their generation. */
static COLD void forget_wrapped(struct thread *t, uint32_t generation)
{
    if (t->frame_generation >> 16 != generation >> 16)
        for (unsigned i = 0; i < THREAD_RULES; i++)
            t->rule[i].key = 0;
}

/* A walk from t->walk.at. */
INLINE struct reuse begin(struct thread *t, unsigned registers, bool exact)
{
    uint32_t generation = rules_generation();
    uint32_t usable = MIN(t->frame_count, t->frame_barrier);
    if (UNLIKELY(t->frame_generation != generation)) {
        usable = 0;
        forget_wrapped(t, generation);
    }
    t->frame_generation = generation;
    t->walk.stack = &t->stack;
    stack_enter(&t->stack, t->walk.at.reg[0] - WORD); /* where the return address of the hook lies */
    t->walk.exact = exact;
    t->walk.registers = registers;
    return (struct reuse){.next = usable - 1}; /* from 0 to NONE */
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

/* Node of a stack with one frame more; 0: the tree is full. */
INLINE uint32_t child_of(struct thread *t, uint32_t parent, uint32_t place)
{
    uint64_t key = (uint64_t)parent << 32 | place;
    struct child *child = &t->child[((parent ^ place * 61u) * 0x9e3779b1u) / (UINT32_MAX / THREAD_CHILDREN + 1)];
    if (LIKELY(child->key == key))
        return child->node;
    uint32_t node = tree_child(parent, place);
    if (node)
        *child = (struct child){key, node};
    return node;
}

/* Makes a fresh frame the innermost of the stack so far, whose node is *node. False: the tree is full. */
INLINE bool append(struct thread *t, const struct fresh *fresh, uint32_t *node)
{
    uint32_t i = t->frame_count;
    struct frame *frame = &t->frame[i];
    uint32_t words = i ? frame[-1].words_end : 0;
    /* The saved frame register is the last word. Where no rule further out reads that register, it may be what it likes. */
    bool saves = fresh->frame.flags & FRAME_SAVES_FP;
    uint32_t read = i ? frame[-1].flags & FRAME_FP_LIVE : 0, live = saves ? 0 : read;
    *frame = fresh->frame;
    frame->flags |= live | (fresh->frame.flags & FRAME_USES_FP ? FRAME_FP_LIVE : 0);
    if (UNLIKELY((fresh->frame.flags & FRAME_JUMP) && t->frame_barrier > i))
        t->frame_barrier = i;
    for (uint32_t w = 0, left_out = saves && !read; w + left_out < fresh->words; w++) {
        t->word[words++] = fresh->word[w];
        t->word_top = MAX(t->word_top, fresh->word[w].at);
    }
    frame->words_end = words;
    if (LIKELY(fresh->frame.place))
        *node = child_of(t, *node, fresh->frame.place);
    frame->node = *node;
    t->frame_count = i + 1;
    return *node || !fresh->frame.place;
}

/* Puts the new frames behind those that are kept. Returns the innermost's node; sets *cut when the tree is full. */
INLINE uint32_t splice(struct thread *t, uint32_t kept, uint32_t fresh, enum ht_cut *cut)
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

/* Notes what is to be done from further out on the program's stack. */
static COLD uint32_t later(struct thread *t, enum walk_todo todo, const struct reuse *reuse)
{
    t->walk.todo = todo;
    t->walk.reuse = *reuse;
    if (todo != WALK_LEARN && t->walk.registers == ARCH_REGS_FAST) {
        const struct frame *first = &t->fresh[0].frame;
        t->walk.from.pc = first->pc;
        t->walk.from.reg[0] = first->sp;
        t->walk.from.reg[1] = first->fp;
        if (!reuse->fresh) /* not even the first rule was to be had */
            t->walk.from = t->walk.at;
    }
    return CAPTURE_LATER;
}

/* A deep new stack needs more nodes than one growth brings. */
static COLD bool may_grow(const struct thread *t)
{
    return !sys_frozen() && t->walk.grown < GROW_TRIES && section_may_grow(&section[HT_NODES], 1);
}

/* The walk is at its end: puts the stack together. */
INLINE uint32_t finish(struct thread *t, struct reuse *reuse, unsigned why, enum ht_cut *cut)
{
    if (UNLIKELY(why == UNKNOWN))
        return later(t, WALK_LEARN, reuse);
    if (UNLIKELY(why == HT_CUTS))
        return later(t, WALK_ALL, reuse);
    if (LIKELY(reuse->kept)) {
        if (UNLIKELY(reuse->kept + reuse->fresh > t->depth_max))
            return later(t, WALK_ANEW, reuse);
        why = t->frame_cut;
    } else if (UNLIKELY(reuse->fresh > t->depth_max)) {
        why = HT_CUT_DEPTH;
        reuse->fresh = shorten(t, reuse->fresh);
    }
    if (UNLIKELY(why == HT_CUT_MEMORY && sys_frozen())) /* the page could not be asked about */
        why = HT_CUT_FROZEN;
    t->frame_cut = *cut = why;
    uint32_t node = splice(t, reuse->kept, reuse->fresh, cut);
    if (LIKELY(!*cut) && LIKELY(t->walk.registers == ARCH_REGS_FAST))
        return node;
    /* What another walk might see otherwise is not kept: neither a cut that has to do with the moment, nor frames whose other registers are not compared. */
    if (t->walk.registers != ARCH_REGS_FAST || (*cut != HT_CUT_NO_TABLE && *cut != HT_CUT_REFUSED))
        t->frame_count = 0;
    return *cut == HT_CUT_FULL && may_grow(t) ? later(t, WALK_GROW, reuse) : node;
}

uint32_t capture(struct thread *t, enum ht_cut *cut)
{
    t->walk.at.pc = arch_pc(t->walk.at.pc);
    t->walk.grown = 0;
    struct reuse reuse = begin(t, ARCH_REGS_FAST, false);
    unsigned why = follow(t, &reuse, ARCH_REGS_FAST, NULL);
    return finish(t, &reuse, why, cut);
}

COLD void capture_prepare(struct thread *t)
{
    struct walk *walk = &t->walk;
    switch (walk->todo) {
    case WALK_LEARN: walk->why = rules_learn(walk->at.pc, walk->exact, place_for_rule(t, walk->at.pc)); break;
    case WALK_GROW:
        tree_grow();
        walk->grown += tree_wants() ? GROW_TRIES / 4 : 1; /* no memory, it seems */
        break;
    case WALK_ANEW:
    case WALK_ALL: break;
    }
}

COLD uint32_t capture_go_on(struct thread *t, enum ht_cut *cut)
{
    struct walk *walk = &t->walk;
    const struct rule *taught = NULL;
    unsigned why = 0;
    if (walk->todo == WALK_LEARN) {
        why = walk->why;
        taught = place_for_rule(t, walk->at.pc);
    } else {
        t->frame_count = 0;
        walk->at = walk->from;
        walk->reuse = begin(t, ARCH_REGS_FAST, false);
    }
    if (!why)
        why = follow(t, &walk->reuse, ARCH_REGS_FAST, taught);
    return finish(t, &walk->reuse, why, cut);
}

COLD uint32_t capture_all(struct thread *t, enum ht_cut *cut)
{
    struct walk *walk = &t->walk;
    arch_here(&walk->at);
    t->frame_count = 0;
    walk->reuse = begin(t, ARCH_REGS, true);
    struct rule *rule = NULL;
    unsigned why = 0;
    while (!why) {
        why = follow(t, &walk->reuse, ARCH_REGS, rule);
        if (why != UNKNOWN)
            break;
        rule = place_for_rule(t, walk->at.pc);
        why = rules_learn(walk->at.pc, walk->exact, rule); /* here, since the walk begins here */
    }
    return finish(t, &walk->reuse, why == HT_CUTS ? HT_CUT_REFUSED : why, cut);
}
