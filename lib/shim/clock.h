/* Coarse time: the clock is read every so many events, each time when events are rare (design.md section 2). */
#ifndef HEAPTAP_CLOCK_H
#define HEAPTAP_CLOCK_H

#include "thread.h"

#define CLOCK_INTERVAL_MAX 64u

void clock_init(uint64_t start_ns);
void clock_read(struct thread *t);

/* Once per event. t->now_ns and t->birth are then at most CLOCK_INTERVAL_MAX events old. True: they may have changed. */
INLINE bool clock_tick(struct thread *t)
{
    if (LIKELY(--t->clock_left >= 0))
        return false;
    clock_read(t);
    return true;
}

#endif
