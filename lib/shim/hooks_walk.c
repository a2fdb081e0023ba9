/*
 * dl_iterate_phdr, passed through. What a program does for each object, it does with the loader's lock held; if that waits for a thread that is in malloc, it must
 * not find us waiting there for the lock. So while a thread walks, no other one reads the list for us (modules.c).
 */
#include "hooks.h"

#include "modules.h"

HOOK(int, dl_iterate_phdr, (int (*visit)(struct dl_phdr_info *, size_t, void *), void *argument))
{
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    bool outermost = modules_walk_begins(frame);
    int result = real.dl_iterate_phdr(visit, argument);
    if (outermost)
        modules_walk_ends(frame);
    return result;
}
