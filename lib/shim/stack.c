#include "stack.h"

#define PAGE 4096u /* of the probe; a larger real page only means more probes */
#define GROW_UP_PAGES 65536u

bool stack_extend(struct stack *stack, uintptr_t address)
{
    uintptr_t page = address & ~(uintptr_t)(PAGE - 1);
    if (stack->high && address >= stack->high) {
        for (unsigned pages = 0; stack->high <= address; pages++, stack->high += PAGE)
            if (pages == GROW_UP_PAGES || !sys_readable((const void *)stack->high))
                return false;
        return true;
    }
    if (stack->high && stack->low - page <= STACK_GROWS) {
        while (stack->low > page) {
            if (!sys_readable((const void *)(stack->low - PAGE)))
                break;
            stack->low -= PAGE;
        }
        if (stack->low <= page)
            return true;
    }
    if (!sys_readable((const void *)page))
        return false;
    stack->low = page;
    stack->high = page + PAGE;
    return true;
}
