/* longjmp over frames, out of a signal handler, and from one stack depth to another, with allocations on both sides. */
#include "known.h"
#include "processor.h"
#include <alloca.h>
#include <setjmp.h>
#include <signal.h>

static jmp_buf back;
static sigjmp_buf back_from_signal;

FRAME static void descend(int depth, int allocate)
{
    volatile char room[64];
    room[depth & 63] = 1;
    if (depth)
        descend(depth - 1, allocate);
    else if (allocate)
        ALLOCATE(1600001);
    else
        longjmp(back, 1);
    room[0] = 1;
}

static void on_signal(int number)
{
    (void)number;
    ALLOCATE(1600003);
    siglongjmp(back_from_signal, 1);
}

FRAME static void interrupted(void)
{
    raise(SIGUSR1);
    ALLOCATE(1);
}

FRAME static void landing(int i)
{
    if (!setjmp(back))
        descend(i % 40, 0);
    ALLOCATE(1600002);
    descend(20, 1);
    if (!sigsetjmp(back_from_signal, 1))
        interrupted();
    ALLOCATE(1600004);
}

int main(void)
{
    signal(SIGUSR1, on_signal);
    for (int i = 0; i < 1000; i++) {
        volatile char *room = alloca(64 * (size_t)(i % 5 + 1));
        room[0] = 1;
        landing(i);
    }
    return expect("expect 1600001 1000 descend#21 landing main *\n"
                  "expect 1600002 1000 landing main *\n"
                  "expect 1600003 1000 on_signal " TRAMPOLINE " @libc.so.6#+ interrupted landing main *\n"
                  "expect 1600004 1000 landing main *\n");
}
