/* A raw clone(CLONE_VM): another process in the same memory, as vfork and some runtimes make it. It is recorded as the parent. */
#include "behaviour.h"
#include <sched.h>

static char stack[65536] __attribute__((aligned(16)));

static int do_clone(void *p)
{
    free(p);
    free(malloc(10));
    return 0;
}

static void do_parent(void)
{
    for (int i = 0; i < 10; i++) {
        pid_t pid = clone(do_clone, stack + sizeof stack, CLONE_VM | (i & 1 ? CLONE_VFORK : 0) | SIGCHLD, malloc(20));
        wait_for(pid);
    }
    free(malloc(30));
}

int main(void)
{
    do_parent();
}
