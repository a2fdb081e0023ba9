/*
 * A number of live blocks: `blocks COUNT SIZE` (SIZE 0: 16 to 271 bytes at random) allocates them, prints the live bytes and waits for its standard
 * input to end. Nothing else is allocated: the pointers are dropped, and what is printed goes out by write.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *volatile last;

int main(int argc, char **argv)
{
    unsigned long count = argc > 2 ? strtoul(argv[1], NULL, 10) : 0, size = argc > 2 ? strtoul(argv[2], NULL, 10) : 0,
                  bytes = 0;
    unsigned seed = 1;
    for (unsigned long i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        unsigned long want = size ? size : 16 + (seed >> 20 & 255);
        last = malloc(want);
        if (!last)
            return 1;
        bytes += want;
    }
    char line[32];
    int length = snprintf(line, sizeof line, "%lu\n", bytes);
    if (write(1, line, (size_t)length) != length)
        return 1;
    return read(0, line, sizeof line) < 0;
}
