/* A clock of somebody else's, and a start of main that others stand in front of. */
#include "behaviour.h"
#include <dlfcn.h>
#include <time.h>

typedef int main_function(int, char **, char **);
typedef int start_function(main_function *, int, char **, void (*)(void), void (*)(void), void (*)(void), void *);

int clock_gettime(clockid_t clock, struct timespec *now)
{
    (void)clock, (void)now;
    CHECK(!"called");
    return -1;
}

start_function __libc_start_main;

int __libc_start_main(main_function *program, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*loader_fini)(void), void *stack_end)
{
    start_function *next;
    *(void **)&next = dlsym(RTLD_NEXT, "__libc_start_main");
    free(malloc(5));
    return next(program, argc, argv, init, fini, loader_fini, stack_end);
}
