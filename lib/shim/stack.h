/*
 * Which stack pages may be read. The pages between the running frame and the outermost one are found once, by a probe that cannot fault, and remembered.
 */
#ifndef HEAPTAP_STACK_H
#define HEAPTAP_STACK_H

#include "thread.h"

#define STACK_GROWS (64u << 10) /* a frame further below the known part than this is taken for another stack */

bool stack_move(struct stack *stack, uintptr_t sp);
bool stack_extend(struct stack *stack, uintptr_t address);

/* A walk begins at sp, or jumps there. False: that is no readable memory. */
INLINE bool stack_enter(struct stack *stack, uintptr_t sp)
{
    return LIKELY(sp - stack->low < stack->high - stack->low) || stack_move(stack, sp);
}

/* True if the word at `address` may be loaded: between where the walk entered and further up without a hole. */
INLINE bool stack_readable(struct stack *stack, uintptr_t address)
{
    if (UNLIKELY(address & (sizeof(uintptr_t) - 1)))
        return false;
    if (LIKELY(address - stack->low < stack->high - stack->low))
        return true;
    return address > stack->high - 1 && stack_extend(stack, address);
}

/* Forgets the range when `sp` lies outside it: another stack runs now, and this one may be unmapped before we see it again. */
INLINE void stack_leave(struct stack *stack, uintptr_t sp)
{
    if (UNLIKELY(sp >= stack->high || (sp < stack->low && stack->low - sp > STACK_GROWS)))
        stack->low = stack->high = 0;
}

/* Forgets the range when another thread has unmapped a part of it. */
INLINE void stack_heed(struct thread *t)
{
    if (LIKELY(!word_get(&t->stack_unmapped)))
        return;
    word_set(&t->stack_unmapped, 0); /* first: it may be set again */
    t->stack = (struct stack){0, 0};
}

/* Forgets the range when part of it is unmapped. */
INLINE void stack_forget(struct stack *stack, uintptr_t start, uintptr_t end)
{
    if (start < stack->high && stack->low < end)
        stack->low = stack->high = 0;
}

#endif
