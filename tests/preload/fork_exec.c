/* A child that only execs leaves no file; what it executes has its own. The same by vfork and by posix_spawn. */
#include "behaviour.h"
#include <spawn.h>

extern char **environ;

static void do_executed(void)
{
    free(malloc(10));
}

static void do_parent(void)
{
    free(malloc(20));
}

static void reap(pid_t pid)
{
    wait_for(pid);
    do_parent();
}

int main(int argc, char **argv)
{
    char self[] = "/proc/self/exe", *arguments[] = {argv[0], self, NULL};
    pid_t pid;
    if (argc > 1) {
        do_executed();
        return 0;
    }
    do_parent();
    pid = fork();
    if (pid == 0) {
        execv(self, arguments);
        _exit(1);
    }
    reap(pid);
    pid = vfork();
    if (pid == 0) {
        execv(self, arguments);
        _exit(1);
    }
    reap(pid);
    CHECK(posix_spawn(&pid, self, NULL, NULL, arguments, environ) == 0);
    reap(pid);
}
