/* A thread ends in the middle of a walk through the loader's list: what is loaded after that is known all the same. */
#include "behaviour.h"
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>

static int visit(struct dl_phdr_info *info, size_t size, void *argument)
{
    (void)info, (void)size;
    pthread_exit(argument); /* glibc lets go of its lock then */
}

static void *walk(void *unused)
{
    dl_iterate_phdr(visit, unused);
    return unused;
}

static void do_calls(void *(*plugin)(size_t))
{
    for (int i = 0; i < 10; i++)
        free(plugin(100));
}

int main(int argc, char **argv)
{
    pthread_t thread;
    void *(*plugin)(size_t), *library;
    CHECK(argc == 2 && pthread_create(&thread, NULL, walk, NULL) == 0 && pthread_join(thread, NULL) == 0);
    CHECK((library = dlopen(argv[1], RTLD_NOW)));
    *(void **)&plugin = dlsym(library, "plugin");
    do_calls(plugin);
}
