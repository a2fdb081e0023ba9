#include "capture.h"

#include "last_stack.h"
#include "rules.h"
#include "stack.h"
#include "step.h"
#include "tree.h"

#define DEPTH_STEPS                                                                                                    \
    8u /* a deeper stack is cut at a multiple of this part of depth_max, counted from its outermost frame */
#define EXTRA_FRAMES 65536u
#define NONE UINT32_MAX
#define JUMPS (ARCH_LINK ? RULE_SIGNAL | RULE_RA_IN_REGISTER : RULE_SIGNAL)
#define UNKNOWN (HT_CUTS + 1) /* the walk has come to a pc without a rule */

/* ---- One frame outwards by a rule in short ---- */

/* What of a walk's state is in processor registers while it follows such rules. */
struct state {
    uintptr_t id; /* the pc, or, of an interrupted instruction, its complement */
    uintptr_t sp, fp;
    uintptr_t ret_at; /* where the pc was read from */
    bool exact;
};

INLINE void state_save(const struct state *state, struct stack *stack, struct walk *walk)
{
    walk->stack = stack;
    walk->at.pc = state->exact ? ~state->id : state->id;
    walk->at.reg[0] = state->sp;
    walk->at.reg[1] = state->fp;
    walk->ret_at = state->ret_at;
    walk->exact = state->exact;
}

INLINE struct state state_load(const struct walk *walk)
{
    return (struct state){walk->exact ? ~walk->at.pc : walk->at.pc, walk->at.reg[0], walk->at.reg[1], walk->ret_at,
                          walk->exact};
}

/*
 * False: the rule has no short form. With one, the frame is listed, and what is read lies below the CFA, the saved frame register below the return address;
 * nothing lies below the stack pointer, where the CFA is found from that. step_short relies on it.
 */
static bool abridge(const struct rule *rule, struct how *how)
{
    int32_t words = rule->cfa_offset / (int32_t)WORD, most = HOW_FROM_FP - 1;
    *how = (struct how){.place = rule->place,
                        .cfa = (int16_t)(rule->cfa_reg == 1 ? words - HOW_FROM_FP : words),
                        .saved = rule->saved[0],
                        .ra = (int8_t)rule->ra};
    bool saves = how->saved != SAVED_NONE;
    int32_t lowest = saves ? how->saved : rule->ra;
    return (rule->flags & RULE_PLAIN) && rule->place && words > 0 && words <= most &&
           words * (int32_t)WORD == rule->cfa_offset && how->ra == rule->ra && rule->ra < 0 &&
           (!ARCH_RETURN || rule->ra == ARCH_RETURN) && (!saves || how->saved < rule->ra) &&
           (rule->cfa_reg || words + lowest >= 0);
}

/* The step of walk->at that is not among those remembered; NULL: walk->rule has no short form, or is RULE_NONE, not known. `taught`: walk->rule is there. */
static COLD const struct step *other_step(struct thread *t, uintptr_t id, bool taught, unsigned registers)
{
    struct walk *walk = &t->walk;
    if (!taught && !rules_look(walk->at.pc, walk->exact, &walk->rule)) {
        walk->rule.kind = RULE_NONE;
        return NULL;
    }
    if (registers != ARCH_REGS_FAST || !abridge(&walk->rule, &walk->step.how))
        return NULL;
    walk->step.pc = id;
    if (walk->rule.generation != (uint16_t)t->frame_generation)
        return &walk->step;
    if (thread_step(t, id)->pc)
        room_fight(&t->steps, t->now_ns);
    struct step *place = thread_step(t, id);
    *place = walk->step;
    return place;
}

/*
 * The end of the part of a stack that is known to be readable, for a walk that stands at sp. An address above sp and below that end may be read if it is
 * aligned, as sp is, mostly; above an sp that is not, nothing may be.
 */
INLINE uintptr_t end_above(const struct stack *stack, uintptr_t sp)
{
    return LIKELY(!(sp & (WORD - 1))) ? stack->high : 0;
}

/* A word that lies further out than the frame's stack pointer. */
INLINE bool may_read(struct stack *stack, uintptr_t *end, uintptr_t address)
{
    if (LIKELY(address < *end))
        return true;
    if (!stack_readable(stack, address))
        return false;
    *end = stack->high;
    return true;
}

/* The frame register points to anywhere: of what a frame reads, `lowest` and all up to the CFA must lie above the stack pointer. */
INLINE bool is_inside(const struct state *state, uintptr_t lowest, uintptr_t cfa)
{
    return cfa > state->sp && lowest >= state->sp && lowest < cfa && !(lowest & (WORD - 1));
}

/* False: nothing has changed; not every word can be read, or the stack would not shrink. */
INLINE bool step_short(struct state *state, struct stack *stack, uintptr_t *end, const struct how *how)
{
    const arch_saved saved = how->saved;
    uintptr_t cfa = state->sp + words(how->cfa);
    if (UNLIKELY(how->cfa < 0)) {
        cfa = state->fp + words(how->cfa + HOW_FROM_FP);
        if (!is_inside(state, cfa + words(saved == SAVED_NONE ? how->ra : saved), cfa))
            return false;
    }
    uintptr_t at = cfa + words(ARCH_RETURN ? ARCH_RETURN : how->ra);
    if (UNLIKELY(!may_read(stack, end, at)))
        return false;
    if (saved != SAVED_NONE)
        state->fp = *(const uintptr_t *)(cfa + words(saved));
    state->id = arch_pc(*(const uintptr_t *)at);
    state->sp = cfa;
    state->ret_at = at;
    state->exact = false;
    return true;
}

/* ---- Until the last stack goes on ---- */

/* Does the last stack go on from here as the walk would? True: its frames 0 to reuse->next are those of the new stack. */
INLINE bool rejoins(struct thread *t, const struct state *state, struct stack *stack, struct reuse *reuse)
{
    for (; reuse->next->sp < state->sp; reuse->next--) /* to frame[-1] at most */
        reuse->word--;
    const struct frame *frame = reuse->next;
    if (frame->sp != state->sp || reuse->word->value != state->id ||
        (UNLIKELY(frame->place & FRAME_FP_MATTERS) && frame->fp != state->fp))
        return false;
    if (LIKELY(!reuse->compared)) {
        if (UNLIKELY(!last_stack_readable(t, stack)))
            return false;
        reuse->compared = true;
        reuse->next = last_stack_verify(t, frame, reuse->word);
        if (UNLIKELY(reuse->next != frame)) {
            reuse->word = t->word + (reuse->next - t->frame);
            return false;
        }
    }
    reuse->word->at = state->ret_at; /* callees need not have it in the same place */
    if (UNLIKELY(state->ret_at > t->word_top))
        t->word_top = state->ret_at;
    return true;
}

INLINE bool is_jump(const struct fresh *fresh)
{
    return how_is_odd(&fresh->how) && fresh->how.ra == HOW_JUMP;
}

/* By a rule of any form, or where the short one failed; `looked_up`: walk->rule is that rule. */
static COLD unsigned step_any(struct thread *t, struct fresh *fresh, bool looked_up)
{
    struct walk *walk = &t->walk;
    const struct rule *rule = &walk->rule;
    if (!looked_up && !rules_look(walk->at.pc, walk->exact, &walk->rule))
        return HT_CUT_MEMORY;
    fresh->how = (struct how){.place = rule->place,
                              .cfa = rule->flags & RULE_USES_FP ? -HOW_FROM_FP : 0,
                              .saved = rule->flags & RULE_SAVES_FP ? 0 : SAVED_NONE,
                              .ra = rule->flags & JUMPS ? HOW_JUMP : 0};
    return step_by_rule(t);
}

/* As libgcc's unwinder reads a return address of zero: nothing called this. */
static COLD void the_end(struct thread *t, struct fresh *fresh, uintptr_t ret_at)
{
    if (is_jump(fresh))
        return;
    fresh->how.cfa = fresh->how.cfa < 0 ? -HOW_FROM_FP : 0;
    fresh->how.ra = 0;
    step_note(t, ret_at, *(const uintptr_t *)ret_at, false);
}

/*
 * Follows rules until the stack ends or rejoins the last one. New frames go to t->fresh, innermost first, as far as there is room; reuse.fresh counts them all.
 * Returns why the walk ended (0: complete or rejoined), HT_CUTS when a rule needs registers that this walk does not follow, or UNKNOWN; `taught`: goes on
 * after that with walk->rule.
 */
INLINE unsigned follow(struct thread *t, struct stack *stack, struct state state, struct reuse *outcome,
                       const unsigned registers, bool taught)
{
    struct walk *walk = &t->walk;
    uintptr_t end = end_above(stack, state.sp);
    struct reuse reuse = *outcome;
    struct fresh *fresh = t->fresh + MIN(reuse.fresh, t->depth_max);
    unsigned why = 0;
    for (;; taught = false) {
        if (rejoins(t, &state, stack, &reuse)) {
            reuse.kept = (uint32_t)(reuse.next - t->frame) + 1;
            break;
        }
        const struct step *by = thread_step(t, state.id);
        bool remembered = registers == ARCH_REGS_FAST && LIKELY(by->pc == state.id);
        if (UNLIKELY(!remembered)) {
            state_save(&state, stack, walk);
            by = other_step(t, state.id, taught, registers);
            if (!by && walk->rule.kind == RULE_NONE) {
                why = UNKNOWN;
                break;
            }
        }
        fresh->ret = (struct word){state.ret_at, state.id};
        fresh->sp = state.sp;
        fresh->fp = state.fp;
        if (LIKELY(by))
            fresh->how = by->how;
        if (UNLIKELY(!by) || UNLIKELY(!step_short(&state, stack, &end, &by->how))) {
            state_save(&state, stack, walk);
            walk->reuse.fresh = reuse.fresh;
            walk->registers = registers;
            why = step_any(t, fresh, !remembered);
            if (why != STEPPED) {
                reuse.fresh++;
                break;
            }
            why = 0;
            stack = walk->stack;
            state = state_load(walk);
            end = end_above(stack, state.sp);
            state.id = walk->at.pc ? state.id : 0;
        }
        reuse.fresh++;
        if (UNLIKELY(!state.id)) {
            walk->reuse.fresh = reuse.fresh - 1;
            the_end(t, fresh, state.ret_at);
            break;
        }
        if (LIKELY(reuse.fresh <= t->depth_max)) {
            fresh++;
        } else if (reuse.fresh >= EXTRA_FRAMES) {
            why = HT_CUT_DEPTH;
            break;
        }
    }
    *outcome = reuse;
    return why;
}

/* ---- The whole stack ---- */

/* Of a thread that has not walked yet there are none: its pages are not touched. */
static COLD void forget_steps(struct thread *t)
{
    for (unsigned i = 0; t->frame_generation && i < room_count(&t->steps); i++)
        t->step[i].pc = 0;
}

/* Where a walk from t->walk.at begins. */
INLINE struct state begin(struct thread *t, struct reuse *reuse, bool exact)
{
    struct walk *walk = &t->walk;
    uint32_t usable = MIN(t->frame_count, t->frame_jump - 1); /* 0: none is a jump */
    if (UNLIKELY(t->frame_generation != word_acquire(&rules_generation))) {
        forget_steps(t);
        t->frame_generation = word_acquire(&rules_generation);
        usable = 0;
    }
    walk->extras = 0;
    *reuse = (struct reuse){.next = t->frame + usable - 1, .word = t->word + usable - 1};
    uintptr_t sp = walk->at.reg[0], ret_at = sp - WORD; /* where the return address of the hook lies, or could lie */
    stack_heed(t);
    stack_enter(&t->stack, ret_at);
    return (struct state){exact ? ~walk->at.pc : walk->at.pc, sp, walk->at.reg[1], ret_at, exact};
}

INLINE uint32_t depth_step(const struct thread *t)
{
    return MAX(t->depth_max / DEPTH_STEPS, 1u);
}

/*
 * A stack deeper than depth_max. Were the innermost depth_max frames kept, each further call would move the cut, and with it make a new branch of the
 * tree. The cut stays where it is while the stack grows by one of DEPTH_STEPS. Returns how many frames are kept.
 */
static COLD uint32_t shorten(const struct thread *t, uint32_t total)
{
    uint32_t step_frames = depth_step(t);
    return total - (total - t->depth_max + step_frames - 1) / step_frames * step_frames;
}

INLINE void add_extra(struct thread *t, uint32_t frame, struct word word)
{
    t->extra_word[t->extra_count] = word;
    t->extra_frame[t->extra_count++] = frame;
}

/* What a frame read beside its return address. matters: the frame register does further out. */
static COLD void append_odd(struct thread *t, const struct fresh *fresh, uint32_t i, bool matters)
{
    struct walk *walk = &t->walk;
    uint32_t number = (uint32_t)(fresh - t->fresh);
    if (is_jump(fresh) && !t->frame_jump)
        t->frame_jump = i + 1;
    while (walk->extras && t->fresh_extra[walk->extras - 1].frame > number) /* frames that are left out */
        walk->extras--;
    for (; walk->extras && t->fresh_extra[walk->extras - 1].frame == number; walk->extras--) {
        const struct extra *extra = &t->fresh_extra[walk->extras - 1];
        if (t->frame_jump || (extra->saved_fp && !matters))
            continue;
        add_extra(t, i, extra->word);
        t->word_top = MAX(t->word_top, extra->word.at);
    }
    if (i && !t->frame_jump)
        t->word_top = MAX(t->word_top, t->word[i - 1].at);
}

/* What else there is to be noted of a new frame. Returns whether the frame register matters at it, from whether it does further out. */
INLINE uint32_t append_special(struct thread *t, const struct fresh *fresh, uint32_t i, uint32_t matters)
{
    struct how how = fresh->how;
    uint32_t uses = how.cfa < 0 ? FRAME_FP_MATTERS : 0;
    if (how_is_odd(&how))
        append_odd(t, fresh, i, matters);
    else if (matters && how.saved != SAVED_NONE)
        add_extra(t, i, (struct word){(&t->frame[i])[-1].sp + words(how.saved), (&t->frame[i])[-1].fp});
    return how.saved == SAVED_NONE ? matters | uses : uses;
}

INLINE uint32_t node_outside(const struct thread *t, uint32_t kept)
{
    return kept ? t->frame[kept - 1].node : t->frame_cut ? tree_cut_node(t->frame_cut) : 0;
}

/* The stack is known, and its node is. */
INLINE const struct leaf *done(struct thread *t, uint32_t node, enum ht_cut cut)
{
    t->walk.node = node;
    t->walk.cut = cut;
    t->walk.todo = WALK_DONE;
    return NULL;
}

/* Puts the new frames behind those that are kept. */
INLINE const struct leaf *splice(struct thread *t, uint32_t kept, uint32_t count)
{
    struct frame *first = t->frame + kept, *frame = first;
    uint32_t node = node_outside(t, kept);
    t->frame_count = kept + count;
    last_stack_keep(t, kept);
    uint64_t path = kept ? first[-1].path : tree_cut_path(t->frame_cut);
    if (!count) {
        const struct leaf *leaf = thread_leaf(t, path);
        if (LIKELY(leaf->path == path) && LIKELY(leaf->node == node))
            return leaf;
        t->path = path;
        return done(t, node, 0);
    }
    uint32_t matters = kept ? first[-1].place & FRAME_FP_MATTERS : 0;
    const struct fresh *fresh = t->fresh + count;
    struct word *word = t->word + kept;
    if (UNLIKELY(fresh[-1].ret.at > t->word_top) && !is_jump(fresh - 1))
        t->word_top = fresh[-1].ret.at;
    do {
        fresh--;
        struct how how = fresh->how;
        *word++ = fresh->ret;
        frame->sp = fresh->sp;
        frame->fp = fresh->fp;
        if (UNLIKELY(how.cfa <= 0) || UNLIKELY(matters))
            matters = append_special(t, fresh, (uint32_t)(frame - t->frame), matters);
        if (LIKELY(how.cfa > 0) || how.place)
            path = tree_path(path, how.place);
        frame->path = path;
        frame->place = how.place | matters;
        frame++;
    } while (fresh > t->fresh);
    const struct leaf *leaf = thread_leaf(t, path);
    if (LIKELY(leaf->path == path) && LIKELY(tree_stands_for(leaf->node, first, count, node)))
        return leaf;
    t->path = path;
    if (LIKELY(tree_find(first, count, node)))
        return done(t, frame[-1].node, 0);
    t->walk.todo = WALK_NODES;
    t->walk.reuse.kept = kept;
    return NULL;
}

/* Notes what is to be done from further out on the program's stack. */
static COLD const struct leaf *later(struct thread *t, enum walk_todo todo, const struct frame *next, uint32_t fresh,
                                     bool compared)
{
    struct walk *walk = &t->walk;
    walk->todo = todo;
    walk->reuse = (struct reuse){
        .next = next, .word = t->word + (next - t->frame), .fresh = fresh, .compared = compared};
    const struct fresh *first = &t->fresh[0];
    walk->from.pc = first->ret.value;
    walk->from.reg[0] = first->sp;
    walk->from.reg[1] = first->fp;
    if (!fresh) /* not even the first rule was to be had */
        walk->from = walk->at;
    return NULL;
}

/* A deep new stack needs more nodes than one growth brings. */
static COLD bool may_grow(const struct thread *t)
{
    return !sys_frozen() && t->walk.grown < GROW_TRIES && section_may_grow(&section[HT_NODES], 1);
}

/* Another walk would see the same. */
static bool is_lasting(enum ht_cut cut)
{
    return cut == HT_CUT_NO_TABLE || cut == HT_CUT_REFUSED || cut == HT_CUT_DEPTH;
}

/* Neither a cut that has to do with the moment is kept, nor frames whose other registers are not compared. */
static COLD const struct leaf *finish_cut(struct thread *t, unsigned registers, uint32_t node, enum ht_cut cut)
{
    if (registers != ARCH_REGS_FAST || !is_lasting(cut))
        t->frame_count = 0, t->path = 0;
    /* Where there was no room for a rule or a place, rules.c has tried. */
    if (cut != HT_CUT_FULL || t->frame_cut == HT_CUT_FULL || !may_grow(t))
        return done(t, node, cut);
    if (registers == ARCH_REGS_FAST)
        return later(t, WALK_GROW, t->frame, t->walk.reuse.fresh, false);
    t->walk.todo = WALK_GROW; /* and from where the walk began that found that it needs all registers */
    return NULL;
}

/* A stack that is among the leaves, where more is to be said than that. */
INLINE void found(struct thread *t, const struct leaf *leaf)
{
    if (leaf) {
        t->path = leaf->path;
        done(t, leaf->node, 0);
    }
}

/* A stack that was cut for its depth has become less deep: it can be shown whole, or more of it than would be by two steps. */
static COLD bool shows_too_little(const struct thread *t, uint32_t frames)
{
    return t->frame_hidden + frames <= t->depth_max || frames + 2 * depth_step(t) < t->depth_max;
}

/* A stack that is not whole, or that the walk with all registers found. */
static COLD const struct leaf *finish_special(struct thread *t, struct reuse reuse, unsigned registers)
{
    if (t->frame_cut == HT_CUT_DEPTH && reuse.kept && shows_too_little(t, reuse.kept + reuse.fresh))
        return later(t, WALK_ANEW, reuse.next, reuse.fresh, false);
    t->walk.reuse.fresh = reuse.fresh;
    t->walk.registers = registers;
    const struct leaf *leaf = splice(t, reuse.kept, reuse.fresh);
    if (!leaf && t->walk.todo == WALK_NODES)
        return NULL;
    found(t, leaf);
    return finish_cut(t, registers, t->walk.node, t->frame_cut);
}

/* The walk is at its end: puts the stack together. What it is counted in, or NULL: see capture. */
INLINE const struct leaf *finish(struct thread *t, struct reuse reuse, const unsigned registers, unsigned why)
{
    if (UNLIKELY(why == UNKNOWN))
        return later(t, WALK_LEARN, reuse.next, reuse.fresh, reuse.compared);
    if (UNLIKELY(why == HT_CUTS))
        return later(t, WALK_ALL, reuse.next, reuse.fresh, false);
    if (UNLIKELY(!reuse.kept)) {
        if (reuse.fresh > t->depth_max) {
            why = HT_CUT_DEPTH;
            t->frame_hidden = reuse.fresh - shorten(t, reuse.fresh);
            reuse.fresh -= t->frame_hidden;
        }
        /* the page could not be asked about */
        t->frame_cut = why == HT_CUT_MEMORY && sys_frozen() ? HT_CUT_FROZEN : why;
    } else if (UNLIKELY(reuse.kept + reuse.fresh > t->depth_max)) {
        return later(t, WALK_ANEW, reuse.next, reuse.fresh, false);
    }
    if (UNLIKELY(t->frame_cut) || registers != ARCH_REGS_FAST)
        return finish_special(t, reuse, registers);
    return splice(t, reuse.kept, reuse.fresh);
}

const struct leaf *capture(struct thread *t)
{
    t->walk.at.pc = arch_pc(t->walk.at.pc);
    struct reuse reuse;
    struct state state = begin(t, &reuse, false);
    unsigned why = follow(t, &t->stack, state, &reuse, ARCH_REGS_FAST, false);
    t->walk.reuse.kept = reuse.kept;
    return finish(t, reuse, ARCH_REGS_FAST, why);
}

COLD void capture_prepare(struct thread *t)
{
    struct walk *walk = &t->walk;
    switch (walk->todo) {
    case WALK_DONE:
    case WALK_NODES: break;
    case WALK_LEARN: walk->why = rules_learn(walk->at.pc, walk->exact, &walk->rule); break;
    case WALK_GROW:
        tree_grow();
        walk->grown += tree_wants() ? GROW_TRIES / 4 : 1; /* no memory, it seems */
        break;
    case WALK_ANEW:
    case WALK_ALL: break;
    }
}

COLD void capture_nodes(struct thread *t)
{
    struct walk *walk = &t->walk;
    uint32_t kept = walk->reuse.kept, count = t->frame_count - kept, node = node_outside(t, kept);
    uint32_t made = tree_nodes(t->frame + kept, count, node);
    enum ht_cut cut = made < count ? HT_CUT_FULL : t->frame_cut;
    if (made)
        node = t->frame[kept + made - 1].node;
    if (cut || walk->registers != ARCH_REGS_FAST)
        finish_cut(t, walk->registers, node, cut);
    else
        done(t, node, 0);
}

COLD void capture_go_on(struct thread *t)
{
    struct walk *walk = &t->walk;
    struct reuse reuse = walk->reuse;
    struct state state;
    bool taught = walk->todo == WALK_LEARN;
    unsigned why = taught ? walk->why : 0;
    if (taught) {
        state = state_load(walk);
    } else {
        t->frame_count = 0;
        walk->at = walk->from;
        walk->stack = &t->stack;
        state = begin(t, &reuse, false);
    }
    if (!why)
        why = follow(t, walk->stack, state, &reuse, ARCH_REGS_FAST, taught);
    found(t, finish(t, reuse, ARCH_REGS_FAST, why));
}

COLD void capture_all(struct thread *t)
{
    struct walk *walk = &t->walk;
    struct reuse reuse;
    arch_here(&walk->at);
    t->frame_count = 0;
    walk->stack = &t->stack;
    struct state state = begin(t, &reuse, true);
    bool taught = false;
    unsigned why = 0;
    for (;; state = state_load(walk)) {
        why = follow(t, walk->stack, state, &reuse, ARCH_REGS, taught);
        if (why != UNKNOWN)
            break;
        why = rules_learn(walk->at.pc, walk->exact, &walk->rule); /* here, since the walk begins here */
        if (why)
            break;
        taught = true;
    }
    found(t, finish(t, reuse, ARCH_REGS, why == HT_CUTS ? HT_CUT_REFUSED : why));
}
