/* fork while other threads allocate: the child's only thread goes on, and so does one that it makes. */
#include "behaviour.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

static atomic_bool stop;

static void *busy(void *p)
{
    while (!stop)
        free(malloc(10));
    return p;
}

static void *do_child_thread(void *p)
{
    free(malloc(5));
    return p;
}

static void do_child(void)
{
    for (int i = 0; i < 100; i++)
        free(malloc(20));
}

static void child(void)
{
    pthread_t thread;
    do_child();
    for (int i = 0; i < 3; i++) {
        CHECK(pthread_create(&thread, NULL, do_child_thread, NULL) == 0);
        pthread_join(thread, NULL);
    }
    _exit(0);
}

int main(void)
{
    pthread_t thread[3];
    for (int i = 0; i < 3; i++)
        CHECK(pthread_create(&thread[i], NULL, busy, NULL) == 0);
    fork_often(5, child);
    stop = true;
    for (int i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
}
