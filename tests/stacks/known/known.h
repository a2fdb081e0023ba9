/*
 * For programs that know their own stacks: each allocates sizes that nothing else asks for, and prints what the stacks of those must be
 * (../expectation.h has the language). The source lies beside the answer, and the answer is written by hand.
 */
#ifndef KNOWN_H
#define KNOWN_H

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A function that keeps a frame of its own and is not copied, merged or seen through. */
#define FRAME __attribute__((noipa))

/* Allocates and frees again; the call is never optimized away nor the last thing that a function does. */
#define ALLOCATE(bytes)                                                                                                \
    do {                                                                                                               \
        void *volatile block_ = malloc(bytes);                                                                         \
        free(block_);                                                                                                  \
    } while (0)

static inline int expect(const char *lines)
{
    return write(STDOUT_FILENO, lines, strlen(lines)) == (ssize_t)strlen(lines) ? 0 : 1;
}

#endif
