/* A handler that allocates after every single instruction of malloc, calloc, realloc and free (trap flag). */
#include "behaviour.h"
#include <signal.h>

static unsigned long steps;

static void do_handler(int number)
{
    (void)number;
    free(malloc(10));
    steps++;
}

static inline __attribute__((always_inline)) void trap_flag(int on)
{
    if (on)
        __asm__ volatile("pushfq\n orq $0x100, (%%rsp)\n popfq" ::: "memory", "cc");
    else
        __asm__ volatile("pushfq\n andq $~0x100, (%%rsp)\n popfq" ::: "memory", "cc");
}

/* The first rounds go without: the cold path blocks signals, and a trap in it would be the end. */
static void do_step(int stepping)
{
    if (stepping)
        trap_flag(1);
    void *p = malloc(100);
    void *q = calloc(2, 60);
    p = realloc(p, 200);
    free(p);
    free(q);
    trap_flag(0);
}

int main(void)
{
    signal(SIGTRAP, do_handler);
    raise(SIGTRAP);
    for (int i = 0; i < 220; i++)
        do_step(i >= 200);
    CHECK(steps > 1000);
    unsigned long calls = 220 * 3 + steps;
    printf("total %lu %lu\n", calls, calls);
    fflush(stdout);
}
