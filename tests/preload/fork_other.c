/*
 * Fork children whose first event is one of a new thread, on a stack that libc has kept of an ended one; the thread that has forked comes second, and each has a
 * state of its own.  fork_other ENDED
 */
#include "behaviour.h"
#include <pthread.h>

#define ENDED_MOST 8
#define CHILDREN 4
#define BLOCKS 100000

static volatile int begun;

static __attribute__((noinline)) void allocate(unsigned depth)
{
    volatile char frame[48];
    frame[0] = (char)depth;
    if (depth)
        allocate(depth - 1);
    else
        free(malloc(10));
    frame[0]++;
}

static void do_first(unsigned i)
{
    allocate(i * 7919 % 50);
}

static void do_second(unsigned i)
{
    allocate(i * 104729 % 40);
}

static void *do_before(void *argument)
{
    free(malloc(5));
    return argument;
}

static void *come_first(void *argument)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        do_first(i);
        begun = 1;
    }
    return argument;
}

static void child(void)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, come_first, NULL) == 0);
    while (!begun) {
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        do_second(i);
    CHECK(pthread_join(thread, NULL) == 0);
    _exit(0);
}

int main(int argc, char **argv)
{
    pthread_t thread[ENDED_MOST];
    int ended = argc > 1 ? atoi(argv[1]) : 0;
    CHECK(ended >= 0 && ended <= ENDED_MOST);
    for (int i = 0; i < ended; i++)
        CHECK(pthread_create(&thread[i], NULL, do_before, NULL) == 0);
    for (int i = 0; i < ended; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    do_before(NULL);
    printf("process fork_other\ntotal %d %d\n", ended + 1, ended + 1);
    for (int i = 0; i < CHILDREN; i++)
        printf("process fork_other\ntotal %d %d\n", 2 * BLOCKS, 2 * BLOCKS);
    fflush(stdout);
    fork_often(CHILDREN, child);
}
