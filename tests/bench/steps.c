/*
 * Work to count instructions of: `steps WHAT TIMES`. Nothing in it depends on time, addresses or chance.
 *   live       TIMES blocks of 16 to 271 bytes, all live at once, then freed in another order
 *   realloc    a block that grows 16 bytes at a time to 4 KiB, and from the start again, TIMES steps
 *   stacks     TIMES allocations, each from another of 1,024 stacks
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *volatile kept;

static void live(unsigned long times)
{
    void **block = malloc(times * sizeof *block);
    unsigned seed = 1;
    for (unsigned long i = 0; block && i < times; i++) {
        seed = seed * 1664525u + 1013904223u;
        block[i] = malloc(16 + (seed >> 20 & 255));
    }
    for (unsigned long i = 0; block && i < times; i++)
        free(block[i * 7919 % times]); /* TIMES is no multiple of this prime */
    free(block);
}

static void grow(unsigned long times)
{
    char *block = NULL;
    for (unsigned long i = 0; i < times; i++) {
        char *moved = realloc(block, 16 + i % 256 * 16);
        if (!moved)
            break;
        kept = block = moved;
    }
    free(block);
}

static __attribute__((noinline)) int path(unsigned bits, int left)
{
    int below;
    if (left == 0) {
        kept = malloc(32);
        free(kept);
        return 0;
    }
    if (bits & 1) {
        below = path(bits >> 1, left - 1);
        __asm__ volatile("# one" : "+r"(below));
    } else {
        below = path(bits >> 1, left - 1);
        __asm__ volatile("# zero" : "+r"(below));
    }
    return below + 1;
}

int main(int argc, char **argv)
{
    unsigned long times = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    if (times && strcmp(argv[1], "live") == 0)
        live(times);
    else if (times && strcmp(argv[1], "realloc") == 0)
        grow(times);
    else if (times && strcmp(argv[1], "stacks") == 0)
        for (unsigned long i = 0; i < times; i++)
            path((unsigned)(i * 389 % 1024), 10);
    else
        return 2;
    return 0;
}
