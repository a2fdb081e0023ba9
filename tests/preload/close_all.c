/* A program that closes every descriptor, before and after its first event: the record goes on. */
#include "behaviour.h"
#include <pthread.h>

static void do_before(void)
{
    free(malloc(10));
}

static void do_after(int n)
{
    for (int i = 0; i < n; i++)
        CHECK(malloc(1000));
}

static void *do_thread(void *p)
{
    free(malloc(20));
    return p;
}

int main(void)
{
    pthread_t thread;
    for (int fd = 3; fd < 100; fd++)
        close(fd);
    do_before();
    for (int fd = 0; fd < 100; fd++)
        close(fd);
    do_after(20000);
    CHECK(pthread_create(&thread, NULL, do_thread, NULL) == 0);
    pthread_join(thread, NULL);
}
