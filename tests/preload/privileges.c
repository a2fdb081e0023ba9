/* Becomes nobody, after its first event or before it; allocates on, and makes threads. */
#include "behaviour.h"
#include <grp.h>
#include <pthread.h>

static void do_before(void)
{
    CHECK(malloc(10));
}

static void do_after(void)
{
    for (int i = 0; i < 20000; i++)
        CHECK(malloc(100));
}

static void *do_thread(void *p)
{
    free(malloc(20));
    return p;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    (void)argv;
    if (argc > 1)
        do_before();
    CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    do_after();
    CHECK(pthread_create(&thread, NULL, do_thread, NULL) == 0);
    pthread_join(thread, NULL);
}
