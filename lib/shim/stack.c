#include "stack.h"

#define PAGE 4096u /* of the probe; a larger real page only means more probes */
#define EXTEND_PAGES 65536u

/* The stack grew a little, or another one runs. */
bool stack_move(struct stack *stack, uintptr_t sp)
{
    uintptr_t page = sp & ~(uintptr_t)(PAGE - 1);
    if (stack->high && sp < stack->low && stack->low - sp <= STACK_GROWS)
        while (stack->low > page && sys_readable((const void *)(stack->low - PAGE)))
            stack->low -= PAGE;
    if (sp - stack->low < stack->high - stack->low)
        return true;
    *stack = (struct stack){0, 0};
    if (!sys_readable((const void *)page))
        return false;
    *stack = (struct stack){page, page + PAGE};
    return true;
}

bool stack_extend(struct stack *stack, uintptr_t address)
{
    if (!stack->high)
        return false;
    for (unsigned pages = 0; stack->high <= address; pages++, stack->high += PAGE)
        if (pages == EXTEND_PAGES || !sys_readable((const void *)stack->high))
            return false;
    return true;
}
