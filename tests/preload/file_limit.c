/*
 * A limit of file sizes that leaves no room for the buffer file: whoever makes a file larger than that is ended. It comes after the parent's file was made, and
 * before its child's.
 */
#include "behaviour.h"
#include <sys/resource.h>

static void do_child(void)
{
    free(malloc(10));
    _exit(0);
}

static void do_parent(void)
{
    for (int i = 0; i < 100000; i++)
        CHECK(malloc(20));
}

int main(void)
{
    struct rlimit limit = {65536, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    pid_t child = fork();
    if (child == 0)
        do_child();
    wait_for(child);
    do_parent();
}
