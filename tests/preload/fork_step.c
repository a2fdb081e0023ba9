/*
 * A handler that forks after every single instruction of malloc, calloc, realloc and free (trap flag), and whose child returns there: each child goes on as without
 * us, with a recording of its own. (The last three are looked at.)
 */
#include "behaviour.h"
#include <signal.h>
#include <stdbool.h>
#include <ucontext.h>

#define TRAP_FLAG 0x100

static unsigned long children;
static volatile sig_atomic_t in_child, stepping;

static void do_child(void)
{
    void *p[20];
    for (int i = 0; i < 20; i++)
        memset(p[i] = malloc(100), 1, 100);
    for (int i = 0; i < 20; i++)
        free(p[i]);
    _exit(0);
}

static void do_handler(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info;
    if (!stepping)
        return;
    pid_t child = fork();
    if (child == 0) {
        in_child = 1;
        ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
        return;
    }
    int status;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    if (status)
        dprintf(2, "child %lu: status %#x\n", children, status);
    CHECK(status == 0);
    children++;
}

static inline __attribute__((always_inline)) void trap_flag(int on)
{
    if (on)
        __asm__ volatile("pushfq\n orq $0x100, (%%rsp)\n popfq" ::: "memory", "cc");
    else
        __asm__ volatile("pushfq\n andq $~0x100, (%%rsp)\n popfq" ::: "memory", "cc");
}

static inline __attribute__((always_inline)) void end_child(void)
{
    if (in_child)
        do_child();
}

/* The first rounds go without: the cold path blocks signals, and a trap in it would be the end. */
static void do_step(int step)
{
    stepping = step;
    if (step)
        trap_flag(1);
    void *p = malloc(100);
    end_child();
    void *q = calloc(2, 60);
    end_child();
    p = realloc(p, 200);
    end_child();
    free(p);
    end_child();
    free(q);
    trap_flag(0);
    end_child();
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = do_handler, .sa_flags = SA_SIGINFO};
    CHECK(sigaction(SIGTRAP, &action, NULL) == 0);
    raise(SIGTRAP);
    for (int i = 0; i <= 200; i++) /* one call: a new one would be a new stack */
        do_step(i == 200);
    CHECK(children > 1000);
}
