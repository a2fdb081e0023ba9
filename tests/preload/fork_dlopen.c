/*
 * A thread loads and unloads a library all the time, another one forks, and the child makes a thread, for which the loader allocates: the loader's lock is that of a
 * thread that is not there.
 */
#include "behaviour.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define FORKS 300

static atomic_bool stop;

static void *load(void *path)
{
    while (!stop) {
        void *library = dlopen(path, RTLD_NOW);
        CHECK(library);
        free(malloc(10));
        dlclose(library);
        free(malloc(10));
    }
    return path;
}

static void *run(void *unused)
{
    free(malloc(10));
    return unused;
}

static void child(void)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 48 << 20); /* no stack of the parent's */
    free(malloc(10));
    CHECK(pthread_create(&thread, &attributes, run, NULL) == 0);
    free(malloc(10));
    CHECK(pthread_join(thread, NULL) == 0);
    _exit(0);
}

int main(int argc, char **argv)
{
    pthread_t thread;
    CHECK(argc == 2 && pthread_create(&thread, NULL, load, argv[1]) == 0);
    fork_often(FORKS, child);
    stop = true;
    CHECK(pthread_join(thread, NULL) == 0);
}
