/*
 * A realigned stack with alloca: gcc keeps the caller's stack pointer in a register and in the frame, and the CFA is loaded from memory
 * (DW_CFA_def_cfa_expression: *(rbp - n)). Callees with and without a frame pointer on both sides. test_known makes sure that such rows are there.
 */
#include "known.h"
#include <alloca.h>

struct wide {
    _Alignas(64) char byte[64];
};

FRAME static void use(volatile struct wide *wide)
{
    wide->byte[0]++;
    ALLOCATE(1100001);
}

FRAME static void plain(size_t bytes)
{
    volatile char room[100];
    room[bytes % 100] = 1;
    ALLOCATE(1100002);
    room[bytes % 99] = 1;
}

FRAME static void realigned(size_t bytes)
{
    volatile struct wide wide;
    volatile char *room = alloca(bytes);
    room[0] = 1;
    wide.byte[1] = 0;
    use(&wide);
    plain(bytes);
    ALLOCATE(1100003);
    room[bytes - 1] = wide.byte[0];
}

/* Realigned, without alloca: CFA = rbp + 16 or lea through r10 only in the prologue. */
FRAME static void realigned_fixed(size_t bytes)
{
    volatile struct wide wide;
    wide.byte[bytes % 64] = 1;
    realigned(bytes);
    ALLOCATE(1100004);
    wide.byte[bytes % 63] = 1;
}

/* Arguments on the stack are reached through the saved pointer. */
FRAME static void realigned_arguments(size_t a, size_t b, size_t c, size_t d, size_t e, size_t f, size_t g,
                                      size_t bytes)
{
    volatile struct wide wide;
    volatile char *room = alloca(g + 1);
    wide.byte[a % 64] = (char)(b + c + d + e + f);
    room[g] = 1;
    realigned_fixed(bytes);
    ALLOCATE(1100005);
    wide.byte[g % 64] = 1;
}

int main(void)
{
    for (size_t i = 1; i <= 1000; i++)
        realigned_arguments(i, 2, 3, 4, 5, 6, i % 77, i * 7 % 3000 + 1);
    return expect("expect 1100001 1000 use realigned realigned_fixed realigned_arguments main *\n"
                  "expect 1100002 1000 plain realigned realigned_fixed realigned_arguments main *\n"
                  "expect 1100003 1000 realigned realigned_fixed realigned_arguments main *\n"
                  "expect 1100004 1000 realigned_fixed realigned_arguments main *\n"
                  "expect 1100005 1000 realigned_arguments main *\n");
}
