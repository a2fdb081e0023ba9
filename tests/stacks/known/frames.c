/* Frames of all sizes up to 300 KB, tail calls (which leave no frame) and functions that call malloc through a pointer and never come back. */
#include "known.h"
#include <alloca.h>
#include <setjmp.h>

static jmp_buf back;

FRAME static void innermost(void)
{
    ALLOCATE(2000001);
}

FRAME static void large(void)
{
    volatile char room[300 * 1024];
    room[0] = 1;
    innermost();
    ALLOCATE(2000002);
    room[sizeof room - 1] = 1;
}

FRAME static void larger_with_alloca(size_t bytes)
{
    volatile char *room = alloca(bytes);
    for (size_t i = 0; i < bytes; i += 4096)
        room[i] = 1;
    large();
    ALLOCATE(2000003);
    room[0] = 2;
}

FRAME static void small(void)
{
    volatile char room[8];
    room[0] = 1;
    larger_with_alloca(290 * 1024 + 8);
    room[1] = 1;
}

FRAME static void *tail(size_t bytes)
{
    return malloc(bytes); /* becomes a jump */
}

FRAME static void *tail_of_tail(size_t bytes)
{
    return tail(bytes + 1);
}

FRAME static void calls_tail(void)
{
    void *volatile block = tail_of_tail(2000003 + 1000);
    free(block);
}

FRAME __attribute__((noreturn)) static void never(void)
{
    ALLOCATE(2000005);
    longjmp(back, 1);
}

FRAME __attribute__((noreturn)) static void calls_never(void)
{
    volatile char room[200];
    room[0] = 1;
    never();
}

int main(void)
{
    for (int i = 0; i < 10; i++) {
        small();
        calls_tail();
        if (!setjmp(back))
            calls_never();
    }
    return expect("expect 2000001 10 innermost large larger_with_alloca small main *\n"
                  "expect 2000002 10 large larger_with_alloca small main *\n"
                  "expect 2000003 10 larger_with_alloca small main *\n"
                  "expect 2001004 10 calls_tail main *\n"
                  "expect 2000005 10 never calls_never main *\n");
}
