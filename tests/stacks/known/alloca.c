/*
 * Two nested functions with alloca: the CFA is rbp + 16, and the caller's rbp is found in the frame. Many depths and sizes between them.
 * And the same function at the same stack pointer with another rbp: what an earlier stack left in the room that it does not write to looks as if
 * nothing had changed.
 */
#include "known.h"
#include <alloca.h>

FRAME static void inner(size_t bytes)
{
    volatile char *room = alloca(bytes);
    room[0] = 1;
    ALLOCATE(1000001);
    room[bytes - 1] = 1;
}

FRAME static void outer(size_t bytes)
{
    volatile char *room = alloca(3 * bytes + 40);
    room[0] = 1;
    inner(bytes);
    ALLOCATE(1000002);
    room[bytes] = 1;
}

FRAME static void without(size_t bytes)
{
    outer(bytes);
    ALLOCATE(1000003);
}

FRAME static void between(size_t size)
{
    volatile char *room = alloca(size % 64 + 1);
    room[0] = 1;
    ALLOCATE(size);
    room[0] = 1;
}

static volatile int through;

FRAME static void shifted(size_t bytes, size_t size)
{
    volatile char *room = alloca(bytes);
    room[0] = 1;
    if (through)
        between(size);
    else
        ALLOCATE(size + 2);
    room[0] = 1;
}

FRAME static void far(void)
{
    volatile char *room = alloca(2048);
    room[0] = 1;
    shifted(1024, 1000004);
    room[0] = 1;
}

FRAME static void near(void)
{
    volatile char *room = alloca(1024);
    room[0] = 1;
    shifted(2048, 1000005);
    room[0] = 1;
}

/* One call for both, one allocation in each: nothing further in or out tells them apart. */
static void (*volatile const way[2])(void) = {far, near};

int main(void)
{
    for (size_t i = 1; i <= 1000; i++)
        without(i * 13 % 5000 + 1);
    for (size_t i = 0; i < 400; i++) {
        through = i >= 200;
        way[i & 1]();
    }
    return expect("expect 1000004 100 between shifted far main *\n"
                  "expect 1000005 100 between shifted near main *\n"
                  "expect 1000006 100 shifted far main *\n"
                  "expect 1000007 100 shifted near main *\n"
                  "expect 1000001 1000 inner outer without main *\n"
                  "expect 1000002 1000 outer without main *\n"
                  "expect 1000003 1000 without main *\n");
}
