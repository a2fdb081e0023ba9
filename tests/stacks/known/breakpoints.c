/*
 * A signal at every single instruction of some functions, on processors without a trap flag: each instruction in turn becomes an undefined one, whose handler
 * allocates and puts it back. Steps through prologues and epilogues of all kinds, where the return address is in its register, on the stack, or on its way, and
 * signed or not. What each stack must be is for the reference to say. Instructions are four bytes long.
 */
#include "known.h"
#include "processor.h"
#include <alloca.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>

#define STEPPED __attribute__((noipa, section("stepped")))

extern uint32_t __start_stepped[], __stop_stepped[];

static uint32_t *volatile broken;
static uint32_t instruction;
static volatile unsigned steps;

static void put(uint32_t *at, uint32_t code)
{
    *(volatile uint32_t *)at = code;
    __builtin___clear_cache((char *)at, (char *)(at + 1));
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    ALLOCATE(1500001 + ++steps);
    put(broken, instruction);
}

STEPPED static int leaf(int n)
{
    return n * 3;
}

STEPPED static int spills(int a, int b, int c, int d, int e, int f, int g, int h)
{
    volatile int room[20] = {a, b, c, d, e, f, g, h};
    int sum = 0;
    for (int i = 0; i < 4; i++)
        sum += leaf(room[i]) * leaf(a + i) + leaf(b) * leaf(c) - leaf(d) * leaf(e) + leaf(f);
    return sum + room[h & 7];
}

STEPPED static int with_alloca(int n)
{
    volatile char *room = alloca((size_t)n + 10);
    room[n] = 1;
    return spills(n, 1, 2, 3, 4, 5, 6, room[n]);
}

STEPPED static int large_frame(int n)
{
    volatile char room[70000];
    room[n] = 1;
    return with_alloca(n) + room[n];
}

STEPPED static int early_out(int n)
{
    if (!n)
        return 1;
    int sum = large_frame(n) + early_out(n - 1);
    return sum + leaf(n);
}

STEPPED static double floating(double a, double b, int n)
{
    double kept = a * b;
    for (int i = 0; i < n; i++)
        kept = kept * a + leaf(i) * b;
    return kept + spills(n, n, n, n, n, n, n, n);
}

STEPPED static int compare(const void *a, const void *b)
{
    const int *x = a, *y = b;
    return leaf(*x) - leaf(*y);
}

STEPPED static int tail(int n)
{
    int number[] = {5, 3, 9, n, 7, 12, 2};
    qsort(number, 7, sizeof number[0], compare);
    return number[0];
}

static volatile int sink;

FRAME static void walk(void)
{
    sink += early_out(2);
    sink += (int)floating(1.5, sink, 2);
    sink += tail(3);
}

int main(void)
{
    uintptr_t page = (uintptr_t)__start_stepped & ~(uintptr_t)4095;
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigaction(SIGILL, &action, NULL);
    if (mprotect((void *)page, (uintptr_t)__stop_stepped - page, PROT_READ | PROT_WRITE | PROT_EXEC))
        return 1;
    for (uint32_t *at = __start_stepped; at < __stop_stepped; at++) {
        broken = at;
        instruction = *at;
        put(at, UNDEFINED_CODE);
        walk();
        put(at, instruction); /* no way led there */
    }
    if (steps < 150) {
        dprintf(2, "%u steps\n", steps);
        return 1;
    }
    return expect("expect 1500001-1600000 + on_signal " TRAMPOLINE " **\n");
}
