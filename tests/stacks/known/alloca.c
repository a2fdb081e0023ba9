/* Two nested functions with alloca: the CFA is rbp + 16, and the caller's rbp is found in the frame. Many depths and sizes between them. */
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

int main(void)
{
    for (size_t i = 1; i <= 1000; i++)
        without(i * 13 % 5000 + 1);
    return expect("expect 1000001 1000 inner outer without main *\n"
                  "expect 1000002 1000 outer without main *\n"
                  "expect 1000003 1000 without main *\n");
}
