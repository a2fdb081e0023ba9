/*
 * A walk through the loader's list waits for a lock that another thread holds over malloc, just after a library was unloaded: that malloc does not wait
 * for the walk.
 */
#include "behaviour.h"
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int unloaded, locked, inside;

static int visit(struct dl_phdr_info *info, size_t size, void *argument)
{
    (void)info, (void)size, (void)argument;
    inside = 1;
    CHECK(pthread_mutex_lock(&lock) == 0);
    CHECK(pthread_mutex_unlock(&lock) == 0);
    return 1;
}

static void *walk(void *unused)
{
    while (!locked)
        ;
    CHECK(dl_iterate_phdr(visit, NULL) == 1);
    return unused;
}

static void do_allocate(void)
{
    for (int i = 0; i < 10; i++)
        free(malloc(100));
}

static void *allocate(void *unused)
{
    free(malloc(1)); /* its first event is not what this is about */
    while (!unloaded)
        ;
    CHECK(pthread_mutex_lock(&lock) == 0);
    locked = 1;
    while (!inside)
        ;
    do_allocate();
    CHECK(pthread_mutex_unlock(&lock) == 0);
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t walker, allocator;
    void *library;
    CHECK(argc == 2 && (library = dlopen(argv[1], RTLD_NOW)));
    CHECK(pthread_create(&walker, NULL, walk, NULL) == 0);
    CHECK(pthread_create(&allocator, NULL, allocate, NULL) == 0);
    usleep(20000); /* both are waiting, and what the loader frees for a new thread is freed */
    CHECK(dlclose(library) == 0);
    unloaded = 1;
    CHECK(pthread_join(allocator, NULL) == 0);
    CHECK(pthread_join(walker, NULL) == 0);
    do_allocate();
}
