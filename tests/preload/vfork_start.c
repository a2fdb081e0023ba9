/*
 * A fork child whose first event is one of its own vfork child, or of another process that has its memory: that one is not recorded in its place. Then it comes
 * itself, while the other one is still there or not, and what that does from then on is its own.
 */
#include "behaviour.h"
#include <sched.h>
#include <stdbool.h>

static char stack[65536] __attribute__((aligned(16)));
static volatile bool borrowed, begun;

static void check_recorded(bool expected)
{
    char path[300];
    const char *directory = getenv("HEAPTAP_DIR");
    snprintf(path, sizeof path, "%s/heaptap.vfork_start.%d", directory, (int)getpid());
    CHECK(!directory || (access(path, F_OK) == 0) == expected);
}

static void do_before(void)
{
    free(malloc(5));
}

static void do_vfork(void)
{
    free(malloc(10));
    check_recorded(false);
}

static void do_owner(void)
{
    free(malloc(20));
    check_recorded(true);
}

static void vfork_first(void)
{
    pid_t pid = vfork();
    if (pid == 0) {
        do_vfork(); /* NOLINT(clang-analyzer-unix.Vfork): that is the case */
        _exit(0);
    }
    wait_for(pid);
    do_owner();
    pid = vfork();
    if (pid == 0) {
        do_vfork(); /* NOLINT(clang-analyzer-unix.Vfork) */
        _exit(0);
    }
    wait_for(pid);
    do_owner();
    _exit(0);
}

static int do_beside(void *argument)
{
    do_vfork();
    borrowed = true;
    while (!begun) {
    }
    do_vfork();
    return argument != NULL;
}

static void clone_first(void)
{
    pid_t pid = clone(do_beside, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL);
    while (!borrowed) {
    }
    do_owner();
    begun = true;
    wait_for(pid);
    do_owner();
    _exit(0);
}

int main(void)
{
    do_before();
    fork_often(1, vfork_first);
    fork_often(1, clone_first);
    do_before();
}
