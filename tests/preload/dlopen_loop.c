/* Two libraries in turn at the same address, loaded and unloaded while other threads allocate: no stack of one is taken for the other's. */
#include "behaviour.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define LOOPS 50

static atomic_bool stop;
static atomic_int begun;

static void *busy(void *p)
{
    begun++;
    while (!stop)
        free(malloc(10));
    return p;
}

static void do_calls(void *(*plugin)(size_t), size_t size)
{
    for (int i = 0; i < 10; i++)
        free(plugin(size));
}

static void *load(const char *name, void *(**plugin)(size_t))
{
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    CHECK(handle);
    *(void **)plugin = dlsym(handle, "plugin");
    return handle;
}

int main(int argc, char **argv)
{
    pthread_t thread[2];
    int same = 0;
    uintptr_t a_at;
    CHECK(argc == 3);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&thread[i], NULL, busy, NULL) == 0);
    while (begun < 2)
        ;
    for (int i = 0; i < LOOPS; i++) {
        void *(*plugin)(size_t);
        void *handle = load(argv[1], &plugin);
        a_at = (uintptr_t)plugin;
        do_calls(plugin, 100);
        dlclose(handle);
        handle = load(argv[2], &plugin);
        same += a_at >> 12 == (uintptr_t)plugin >> 12;
        do_calls(plugin, 200);
        dlclose(handle);
    }
    stop = true;
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    CHECK(same > 0);
}
