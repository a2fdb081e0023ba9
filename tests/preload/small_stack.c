/* Threads with the smallest stack there is, 16 KiB. */
#include "behaviour.h"
#include <pthread.h>

static void *do_small(void *p)
{
    for (int i = 0; i < 100; i++)
        free(calloc(1, 1000));
    free(realloc(malloc(5), 500));
    return p;
}

int main(void)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    CHECK(pthread_attr_setstacksize(&attributes, 16384) == 0);
    for (int i = 0; i < 10; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, &attributes, do_small, NULL) == 0);
        pthread_join(thread, NULL);
    }
}
