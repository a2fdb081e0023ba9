/* Threads whose first allocation is in their vfork child, while others start: the child's end is not the end of the thread. */
#include "behaviour.h"
#include <pthread.h>

#define THREADS 24
#define ROUNDS 3
#define STACKS 500

static __attribute__((noinline)) void recurse(int depth, int size)
{
    if (depth % 7 == 0) {
        void *p = malloc((size_t)size), *q = malloc(700);
        free(p);
        free(q);
    }
    if (depth)
        recurse(depth - 1, size);
}

static void *run(void *p)
{
    int number = (int)(intptr_t)p;
    pid_t pid = vfork();
    if (pid == 0) {
        free(malloc(10)); /* NOLINT(clang-analyzer-unix.Vfork): that is the case */
        _exit(0);
    }
    wait_for(pid);
    for (int i = 0; i < STACKS; i++)
        recurse(20 + (i * 7 + number) % 150, 16 + number % 8 * 16);
    return p;
}

int main(void)
{
    for (intptr_t round = 0; round < ROUNDS; round++) {
        pthread_t thread[THREADS];
        for (intptr_t i = 0; i < THREADS; i++)
            CHECK(pthread_create(&thread[i], NULL, run, (void *)(i + round)) == 0);
        for (int i = 0; i < THREADS; i++)
            pthread_join(thread[i], NULL);
    }
}
