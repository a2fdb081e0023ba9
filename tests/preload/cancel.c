/* A thread that is cancelled inside malloc, and whose cleanup handler and thread-specific destructors allocate. */
#include "behaviour.h"
#include <pthread.h>

static pthread_key_t key;

static void do_cleanup(void *p)
{
    free(p);
    free(malloc(10));
}

static void do_key_destructor(void *p)
{
    free(p);
    free(malloc(20));
}

static void *do_thread(void *unused)
{
    pthread_setspecific(key, malloc(5));
    void *p = malloc(6);
    pthread_cleanup_push(do_cleanup, p);
    free(malloc(8888)); /* see libsimple.c */
    pthread_cleanup_pop(0);
    return unused;
}

int main(void)
{
    pthread_key_create(&key, do_key_destructor);
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        void *result;
        CHECK(pthread_create(&thread, NULL, do_thread, NULL) == 0);
        CHECK(pthread_cancel(thread) == 0);
        CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
    }
}
