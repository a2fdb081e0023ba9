/* A thread that is cancelled inside malloc, and whose cleanup handler and thread-specific destructors allocate. */
#include "behaviour.h"
#include <pthread.h>
#include <semaphore.h>

static pthread_key_t key;
static sem_t ready;

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
    sem_post(&ready);
    free(malloc(8888)); /* see libsimple.c */
    pthread_cleanup_pop(0);
    return unused;
}

int main(void)
{
    pthread_key_create(&key, do_key_destructor);
    sem_init(&ready, 0, 0);
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        void *result;
        CHECK(pthread_create(&thread, NULL, do_thread, NULL) == 0);
        sem_wait(&ready); /* pthread_cancel loads a library; two threads that ask for rules at once are another test */
        CHECK(pthread_cancel(thread) == 0);
        CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
    }
}
