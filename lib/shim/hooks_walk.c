/* dl_iterate_phdr, passed through: walks.h says what for. */
#include "hooks.h"

#include "walks.h"

HOOK(int, dl_iterate_phdr, (int (*visit)(struct dl_phdr_info *, size_t, void *), void *argument))
{
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    struct thread *t = walks_begin(frame);
    int result = real.dl_iterate_phdr(visit, argument);
    if (t)
        walks_end(t, frame);
    return result;
}
