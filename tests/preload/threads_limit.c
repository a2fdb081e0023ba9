/*
 * Many threads at once in a process that has little more of addresses (RLIMIT_AS) or private memory (RLIMIT_DATA) than it needs. It gets all that it would get
 * without the shim. threads_limit BLOCK STACK: the sizes of one block and of each thread's stack, in KiB. The limit is set by who starts it.
 */
#include "behaviour.h"
#include <pthread.h>

#define THREADS 40
#define BLOCKS 50

static pthread_barrier_t barrier;

static void do_blocks(void)
{
    void *p[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        p[i] = malloc(1000);
        CHECK(p[i]);
    }
    for (int i = 0; i < BLOCKS; i++)
        free(p[i]);
}

static void *do_block(size_t size)
{
    void *p = malloc(size);
    CHECK(p);
    return p;
}

static void *run(void *p)
{
    do_blocks();
    pthread_barrier_wait(&barrier);
    return p;
}

int main(int argc, char **argv)
{
    pthread_t thread[THREADS];
    pthread_attr_t attr;
    CHECK(argc == 3);
    void *block = do_block((size_t)atol(argv[1]) << 10);
    CHECK(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    CHECK(pthread_attr_init(&attr) == 0 && pthread_attr_setstacksize(&attr, (size_t)atol(argv[2]) << 10) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], &attr, run, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    free(block);
    printf("total %d %d\n", THREADS * BLOCKS + 1, THREADS * BLOCKS + 1);
    fflush(stdout);
}
