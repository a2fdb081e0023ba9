/*
 * A program that has a dl_iterate_phdr of its own, with a frame that is larger than all the stack we have and not ready before main, and a library with a
 * clock_gettime of its own: nobody but they themselves may call them.
 */
#include "behaviour.h"
#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>

static bool mine;

int dl_iterate_phdr(int (*visit)(struct dl_phdr_info *, size_t, void *), void *argument)
{
    volatile char frame[200000];
    int (*next)(int (*)(struct dl_phdr_info *, size_t, void *), void *);
    CHECK(mine);
    memset((void *)frame, 1, sizeof frame);
    *(void **)&next = dlsym(RTLD_NEXT, "dl_iterate_phdr");
    return next(visit, argument);
}

static int count(struct dl_phdr_info *info, size_t size, void *argument)
{
    (void)info, (void)size;
    ++*(int *)argument;
    return 0;
}

static void do_allocate(void)
{
    for (int i = 0; i < 100000; i++)
        free(malloc(100));
}

int main(int argc, char **argv)
{
    int objects = 0;
    void *library;
    CHECK(argc == 2 && (library = dlopen(argv[1], RTLD_NOW)));
    do_allocate();
    CHECK(dlclose(library) == 0);
    do_allocate();
    mine = true;
    CHECK(dl_iterate_phdr(count, &objects) == 0 && objects > 2);
}
