#include "clock.h"

#include "real.h"

#define BUSY_NS 4000000u   /* reads closer than this: read half as often */
#define QUIET_NS 50000000u /* further apart: read at each event */
#define SIXTEENTH_NS 62500000u

static uint64_t start;

void clock_init(uint64_t start_ns)
{
    start = start_ns;
}

void clock_read(struct thread *t)
{
    uint64_t now = real_clock_coarse();
    now = now > start ? now - start : 0;
    uint64_t passed = now - t->now_ns;
    if (passed >= QUIET_NS || !t->clock_interval) /* 0: the thread's first event */
        t->clock_interval = 1;
    else if (passed < BUSY_NS && t->clock_interval < CLOCK_INTERVAL_MAX)
        t->clock_interval *= 2;
    t->clock_left = (int32_t)t->clock_interval - 1;
    t->now_ns = now;
    t->birth = birth_encode(now / SIXTEENTH_NS);
}
