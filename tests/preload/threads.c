/* 101 threads, 100 of them alive at the same time; each block that one leaves is freed by another. */
#include "behaviour.h"
#include <pthread.h>

#define THREADS 100

static void *left[THREADS + 1];
static pthread_barrier_t all;
static pthread_key_t key;

static void do_key_destructor(void *p)
{
    free(p);
    free(malloc(5));
}

static void do_work(int i)
{
    for (int n = 0; n < 10; n++)
        free(malloc(10));
    left[i] = malloc(100);
    pthread_setspecific(key, malloc(7));
}

/* The first runs alone, so that every stack is known before several ask at once. */
static void *run(void *argument)
{
    int i = (int)(intptr_t)argument;
    if (i)
        pthread_barrier_wait(&all);
    do_work(i);
    if (i)
        pthread_barrier_wait(&all);
    return NULL;
}

static void do_free_others(void)
{
    for (int i = 0; i < THREADS; i++)
        free(left[i]);
}

int main(void)
{
    static pthread_t thread[THREADS + 1];
    pthread_key_create(&key, do_key_destructor);
    pthread_barrier_init(&all, NULL, THREADS);
    for (int i = 0; i <= THREADS; i++) {
        CHECK(pthread_create(&thread[i], NULL, run, (void *)(intptr_t)i) == 0);
        if (i == 0)
            pthread_join(thread[0], NULL);
    }
    for (int i = 1; i <= THREADS; i++)
        pthread_join(thread[i], NULL);
    do_free_others();
}
