/* The words that a thread's last stack was made from, and what of it is kept. For capture.c and memo.h. */
#ifndef HEAPTAP_LAST_STACK_H
#define HEAPTAP_LAST_STACK_H

#include "stack.h"
#include "thread.h"

/* All the words lie between where the walk stands and the outermost one; the known part of the stack is without holes. False: they are not to be read. */
INLINE bool last_stack_readable(const struct thread *t, struct stack *stack)
{
    return LIKELY(t->word_top < stack->high) || stack_readable(stack, t->word_top);
}

INLINE uintptr_t word_difference(const struct word *word, bool pc)
{
    uintptr_t value = *(const uintptr_t *)word->at;
    return (pc ? arch_pc(value) : value) ^ word->value;
}

/* Four words between two branches: one that differs is rare. */
#define WORDS_STEP 4

/* The first word that is not what it was, of return addresses or of others; `end`: none. */
INLINE const struct word *words_changed(const struct word *word, const struct word *end, const bool pcs)
{
    const struct word *end_of_steps = end - (WORDS_STEP - 1);
    for (; word < end_of_steps; word += WORDS_STEP)
        if (UNLIKELY(word_difference(word, pcs) | word_difference(word + 1, pcs) | word_difference(word + 2, pcs) |
                     word_difference(word + 3, pcs)))
            break;
    for (; word < end; word++)
        if (UNLIKELY(word_difference(word, pcs)))
            break;
    return word;
}

/* The innermost frame, not beyond `last`, from which on outwards the other words are as they were. */
static NOINLINE const struct frame *last_stack_verify_extras(const struct thread *t, const struct frame *last)
{
    uint32_t count = t->extra_count;
    while (count > 0 && t->frame + t->extra_frame[count - 1] > last)
        count--;
    const struct word *end = t->extra_word + count, *changed = words_changed(t->extra_word, end, false);
    return changed == end ? last : t->frame + t->extra_frame[changed - t->extra_word] - 1;
}

/*
 * The innermost frame, not beyond `last`, from which on outwards all that was read is as it was; frame[-1]: none. end: last's word, which is not looked at.
 */
INLINE const struct frame *last_stack_verify(const struct thread *t, const struct frame *last, const struct word *end)
{
    const struct word *changed = words_changed(t->word, end, true);
    if (UNLIKELY(changed != end))
        last = t->frame + (changed - t->word);
    return UNLIKELY(t->extra_count) ? last_stack_verify_extras(t, last) : last;
}

/* Of what is noted beside frames and words, what belongs to the outermost `kept` frames stays. */
INLINE void last_stack_keep(struct thread *t, uint32_t kept)
{
    if (UNLIKELY(!kept)) {
        t->word_top = 0;
        t->frame_jump = t->extra_count = 0;
    } else if (UNLIKELY(t->frame_jump | t->extra_count)) {
        if (t->frame_jump > kept)
            t->frame_jump = 0;
        while (t->extra_count && t->extra_frame[t->extra_count - 1] >= kept)
            t->extra_count--;
    }
}

#endif
