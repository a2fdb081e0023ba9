/* Allocation in atexit handlers, in destructors and in those of thread-specific data. */
#include "behaviour.h"
#include <pthread.h>

static pthread_key_t key;

static void do_atexit(void)
{
    free(malloc(10));
}

__attribute__((destructor)) static void do_destructor(void)
{
    free(malloc(20));
    CHECK(malloc(1));
}

static void do_key_destructor(void *p)
{
    static __thread int rounds;
    free(p);
    if (++rounds < 3)
        pthread_setspecific(key, malloc(30));
    free(malloc(31));
}

static void *do_thread(void *unused)
{
    pthread_setspecific(key, malloc(40));
    return unused;
}

static void run_thread(void)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, do_thread, NULL) == 0);
    pthread_join(thread, NULL);
}

int main(void)
{
    CHECK(atexit(do_atexit) == 0);
    CHECK(pthread_key_create(&key, do_key_destructor) == 0);
    run_thread();
}
