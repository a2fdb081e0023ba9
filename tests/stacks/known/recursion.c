/* recursion [DEPTH [cut]]: DEPTH frames of recursion, complete, or, with "cut", deeper than heaptap keeps. The depth moves up and down meanwhile. */
#include "known.h"
#include <stdio.h>

FRAME static void recurse(int depth, int bottom)
{
    volatile char room[32];
    room[0] = 1;
    if (depth == bottom)
        ALLOCATE(1900001);
    else
        recurse(depth + 1, bottom);
    room[1] = 1;
    if (depth == 3)
        ALLOCATE(1900002);
}

FRAME static void even(int depth);
FRAME static void odd(int depth)
{
    volatile char room[100];
    room[0] = 1;
    if (depth)
        even(depth - 1);
    else
        ALLOCATE(1900003);
    room[99] = 1;
}

FRAME static void even(int depth)
{
    volatile char room[10];
    room[0] = 1;
    odd(depth - 1);
    room[9] = 1;
}

/* The same places at other depths. */
FRAME static void vary(int depth, int bottom)
{
    volatile char room[32];
    room[0] = 1;
    if (depth < bottom)
        vary(depth + 1, bottom);
    ALLOCATE(1900100 + (size_t)(32 * depth + bottom));
    room[1] = 1;
}

int main(int argc, char **argv)
{
    int depth = argc > 1 ? atoi(argv[1]) : 400;
    for (int i = 0; i < 20; i++) {
        recurse(1, depth);
        odd(2 * (i + 5));
        for (volatile int twice = 0; twice < 2; twice++) /* volatile: one call, not two */
            vary(1, 1 + i * 7 % 20);
    }
    if (argc > 2)
        return expect("expect 1900001 20 recurse#+ [depth]\n"
                      "expect 1900002 20 recurse#3 main *\n");
    for (int bottom = 1; bottom <= 20; bottom++)
        for (int i = 1; i <= bottom; i++)
            dprintf(1, "expect %d 2 vary#%d main *\n", 1900100 + 32 * i + bottom, i);
    dprintf(1, "expect 1900001 20 recurse#%d main *\n", depth);
    return expect("expect 1900002 20 recurse#3 main *\n"
                  "expect 1900003 20 odd %#+ odd main *\n");
}
