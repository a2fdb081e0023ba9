/*
 * A signal at every single instruction: the processor's trap flag is set, and the handler allocates. Steps through prologues and epilogues of all kinds,
 * through PLT entries (bound and being bound), the loader's resolver, libc's assembly and a comparison function called from qsort. What each stack
 * must be is for the reference to say. Linked with -z lazy.
 * In the few instructions of a prologue that realigns the stack the CFA is in r10, which heaptap does not follow, and gcc's row for the last instruction of such
 * a function looks for rbp where it no longer is: there a stack may be cut.
 */
#include "known.h"
#include <alloca.h>
#include <signal.h>
#include <stdio.h>
#include <ucontext.h>

#define TRAP_FLAG 0x100
#define STEPS_MAX 100000

static volatile long steps;

static void on_trap(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info;
    ++steps;
    ALLOCATE(1500000 + (size_t)steps); /* each step has its size */
    if (steps == STEPS_MAX)
        ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}

/* Below the red zone, which belongs to the function that this is in. */
#define STEP_FROM_HERE()                                                                                               \
    __asm__ volatile("lea -128(%%rsp),%%rsp\n\tpushfq\n\torq $0x100,(%%rsp)\n\tpopfq\n\tlea 128(%%rsp),%%rsp" ::       \
                         : "memory", "cc")
#define STEP_NO_MORE()                                                                                                 \
    __asm__ volatile("lea -128(%%rsp),%%rsp\n\tpushfq\n\tandq $~0x100,(%%rsp)\n\tpopfq\n\tlea 128(%%rsp),%%rsp" ::     \
                         : "memory", "cc")

struct wide {
    _Alignas(64) char byte[64];
};

FRAME static int leaf(int n)
{
    return n * 3;
}

FRAME static int spills(int a, int b, int c, int d, int e, int f, int g, int h)
{
    volatile int room[20] = {a, b, c, d, e, f, g, h};
    int sum = 0;
    for (int i = 0; i < 4; i++)
        sum += leaf(room[i]) * leaf(a + i) + leaf(b) * leaf(c) - leaf(d) * leaf(e) + leaf(f);
    return sum + room[h & 7];
}

FRAME static int realigned(int n)
{
    volatile struct wide wide;
    volatile char *room = alloca((size_t)n + 10);
    room[n] = 1;
    wide.byte[n & 63] = room[n];
    return spills(n, 1, 2, 3, 4, 5, 6, wide.byte[n & 63]);
}

FRAME static int early_out(int n)
{
    if (!n)
        return 1;
    int sum = realigned(n) + early_out(n - 1);
    return sum + leaf(n);
}

static int compare(const void *a, const void *b)
{
    const int *x = a, *y = b;
    return leaf(*x) - leaf(*y);
}

FRAME static void walk(void)
{
    int number[12] = {5, 3, 9, 1, 7, 12, 2, 8, 4, 11, 6, 10};
    char text[200];
    early_out(4);
    qsort(number, 12, sizeof number[0], compare);
    snprintf(text, sizeof text, "%d %s %.3f", number[0], "some text", number[1] / 7.0);
    number[0] = (int)strtol(text, NULL, 10) + (int)strlen(text) + (int)strspn(text, "0123456789");
    number[1] = (int)getppid();
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
    ALLOCATE(1400999);
    STEP_FROM_HERE();
    walk();
    STEP_NO_MORE();
    if (steps < 3000 || steps >= STEPS_MAX) {
        dprintf(2, "%ld steps\n", steps);
        return 1;
    }
    return expect("expect 1500001-1600000 + on_trap @libc.so.6 **\n"
                  "expect 1400999 1 main *\n");
}
