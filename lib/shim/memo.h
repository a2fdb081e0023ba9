/*
 * Stacks that a thread comes back to. Most differ from the last one in a few frames at the inner end, and those, mostly, were there before, on the same
 * frames: then nothing needs to be walked.
 *
 * Where a walk rejoins the last stack is a function of the registers that it begins with and of the words that it reads on the way. A memo has these, as far as
 * they matter. Where each of them is as it was, the walk would come to the same frame; and if the last stack has that frame with the same node, the listed
 * places further out are the same, too, provided that the last stack itself is as it was from there on outwards, whose words are compared as always. It need not be the
 * stack that it was then. The node also says that it is whole, and that no signal interrupted anything there: no memo is made where that is otherwise.
 *
 * The last stack then ends with that frame.
 */
#ifndef HEAPTAP_MEMO_H
#define HEAPTAP_MEMO_H

#include "last_stack.h"
#include "rules.h"
#include "step.h"

/* What the call tree says of a frame, and whether the frame register matters at it, in one word. */
INLINE uint64_t memo_mark(uint32_t node, uint32_t place)
{
    return (uint64_t)place << 32 | node;
}

INLINE bool memo_has_fp(const struct memo *memo, uintptr_t fp, const struct frame *outer)
{
    return (!(memo->fp_matters & MEMO_FP) || memo->fp == fp) &&
           (!(memo->fp_matters & MEMO_OUTER_FP) || memo->outer_fp == outer->fp);
}

INLINE const struct counter *memo_take(struct thread *t, struct memo *memo)
{
    memo->used = true;
    t->frame_count = memo->kept;
    return &memo->counter;
}

/* Where further out other words than return addresses were read. */
static NOINLINE const struct counter *memo_take_with_extras(struct thread *t, struct memo *memo)
{
    const struct frame *outer = t->frame + memo->kept - 1;
    return last_stack_verify_extras(t, outer) == outer ? memo_take(t, memo) : NULL;
}

/*
 * What the stack that begins with pc, sp and fp, of the hook's caller, is counted in (heap blocks); NULL: it is to be walked, as also where it may lie beyond the
 * part of the stack that is known to be readable: the walk finds that out. The modules are those of the time when the memo was made, as far as is known.
 * Context: the thread's own hook. Reads nothing but known-readable stack pages.
 */
INLINE const struct counter *memo_recall(struct thread *t, uintptr_t pc, uintptr_t sp, uintptr_t fp)
{
    struct memo *memo = thread_memo(t, pc, sp);
    uint32_t generation = word_acquire(&rules_generation);
    if (memo->pc != pc || memo->sp != sp || UNLIKELY(memo->generation != generation))
        return NULL;
    uintptr_t at = sp + words(memo->at[0]);
    if (UNLIKELY(sp < t->stack.low) || UNLIKELY(at >= t->stack.high) || UNLIKELY(t->word_top >= t->stack.high) ||
        UNLIKELY(word_get(&t->stack_unmapped)))
        return NULL;
    uintptr_t return_address = arch_pc(*(const uintptr_t *)at);
    if (UNLIKELY(return_address != memo->value[0])) {
        memo = thread_memo_more(t, pc, sp, return_address);
        if (memo->pc != pc || memo->sp != sp || memo->generation != generation || memo->value[0] != return_address ||
            sp + words(memo->at[0]) != at)
            return NULL;
    }
    uint32_t kept = memo->kept;
    if (kept - 1 >= t->frame_count) /* 0: it was tried in vain */
        return NULL;
    const struct frame *outer = t->frame + kept - 1;
    const struct word *word = t->word + kept - 1;
    size_t last_pc = memo->last_pc;
    /* A frame that is not listed has its caller's node, and may be another one: so the word is asked, too. */
    if (outer->sp != sp + words(memo->sp_words) ||
        memo_mark(outer->node, outer->place) != memo_mark(memo->node, memo->place) ||
        word->value != memo->value[last_pc] || (UNLIKELY(memo->fp_matters) && !memo_has_fp(memo, fp, outer)))
        return NULL;
    size_t i = 1;
    for (; i <= last_pc; i++)
        if (arch_pc(*(const uintptr_t *)(sp + words(memo->at[i]))) != memo->value[i])
            return NULL;
    for (; UNLIKELY(i < memo->count); i++)
        if (*(const uintptr_t *)(sp + words(memo->at[i])) != memo->value[i])
            return NULL;
    if (UNLIKELY(words_changed(t->word, word, true) != word))
        return NULL;
    return UNLIKELY(t->extra_count) ? memo_take_with_extras(t, memo) : memo_take(t, memo);
}

/* So the rule of the outermost frame has read a word, which lies further out than all words of the memo: where that may be read, they may. */
#define MEMO_KEPT 2u

/* Puts a word behind those that the memo has. False: there is no room. */
INLINE bool memo_add(struct memo *memo, uintptr_t at, uintptr_t value)
{
    if (UNLIKELY(memo->count == MEMO_WORDS))
        return false;
    memo->at[memo->count] = (uint16_t)((at - memo->sp) / WORD);
    memo->value[memo->count++] = value;
    return true;
}

/* Of the innermost `frames` frames of the last stack. */
INLINE bool memo_add_words(struct thread *t, struct memo *memo, uint32_t frames)
{
    const struct frame *outer = t->frame + memo->kept - 1, *frame = t->frame + t->frame_count - 1;
    const struct word *word = t->word + t->frame_count - 1;
    memo->fp_matters = (frame->place & FRAME_FP_MATTERS ? MEMO_FP : 0) |
                       (outer->place & FRAME_FP_MATTERS ? MEMO_OUTER_FP : 0);
    memo->count = 0;
    for (uint32_t i = 0; i < frames; i++) {
        const struct how *how = &t->fresh[i].how;
        word--;
        if (how_is_odd(how) || !memo_add(memo, word->at, word->value))
            return false;
    }
    memo->last_pc = (uint8_t)(memo->count - 1);
    for (uint32_t i = 0; i < frames; i++, frame--) {
        arch_saved saved = t->fresh[i].how.saved;
        if (saved != SAVED_NONE && UNLIKELY(frame[-1].place & FRAME_FP_MATTERS) &&
            !memo_add(memo, frame[-1].sp + words(saved), frame[-1].fp))
            return false;
    }
    return true;
}

/*
 * Does it make room for another one? One that was of use has a second chance, and of those that were not only one in MEMO_PATIENCE goes: where stacks do not come
 * back, or too many do, making memos would cost more than they bring.
 */
#define MEMO_PATIENCE 4u
INLINE bool memo_gives_way(struct thread *t, struct memo *memo)
{
    if (memo->used) {
        memo->used = false;
        return false;
    }
    if (++t->memos_unused % MEMO_PATIENCE != 0)
        return false;
    room_fight(&t->memos, t->now_ns);
    return true;
}

/* Was one made of the innermost frame, or tried to, since rules changed? */
INLINE bool memo_tried(struct thread *t)
{
    uintptr_t pc = t->word[t->frame_count - 1].value, sp = t->frame[t->frame_count - 1].sp;
    const struct memo *memo = thread_memo(t, pc, sp);
    return memo->pc == pc && memo->sp == sp && memo->generation == t->frame_generation &&
           (!memo->kept || memo->value[0] == t->word[t->frame_count - 2].value);
}

/*
 * Remembers what heap blocks are counted in of the last stack, which capture has just walked and knew, so that it is whole, and its new frames are in t->fresh; or
 * does not, where one of those is of an odd form, or they are too many. Context: the thread's own hook.
 */
INLINE void memo_make(struct thread *t, struct counter counter)
{
    uint32_t kept = t->walk.reuse.kept;
    uint32_t frames = t->frame_count - kept;
    if (!frames && kept > MEMO_KEPT && !memo_tried(t))
        t->frame_count--; /* one that comes again at once differs in no frame: a memo is to be made of it the next time, in one */
    if (kept < MEMO_KEPT || frames - 1 >= MEMO_WORDS || UNLIKELY(kept > UINT16_MAX))
        return;
    const struct fresh *fresh = t->fresh;
    const struct frame *outer = t->frame + kept - 1;
    uintptr_t pc = fresh->ret.value, sp = fresh->sp, sp_words = (outer->sp - sp) / WORD,
              return_address = t->word[t->frame_count - 2].value;
    if (UNLIKELY(sp_words > UINT16_MAX || sp % WORD))
        return;
    struct memo *memo = thread_memo(t, pc, sp);
    if (memo->pc == pc && memo->sp == sp && memo->value[0] != return_address)
        memo = thread_memo_more(t, pc, sp, return_address);
    if (memo->pc && memo->generation == t->frame_generation && !memo_gives_way(t, memo))
        return;
    memo->pc = 0; /* until it is whole */
    memo->used = false;
    memo->sp = sp;
    memo->fp = fresh->fp;
    memo->outer_fp = outer->fp;
    memo->counter = counter;
    memo->generation = t->frame_generation;
    memo->node = outer->node;
    memo->place = outer->place;
    memo->kept = (uint16_t)kept;
    memo->sp_words = (uint16_t)sp_words;
    if (!memo_add_words(t, memo, frames))
        memo->kept = 0; /* tried in vain */
    memo->pc = pc;
}

#endif
