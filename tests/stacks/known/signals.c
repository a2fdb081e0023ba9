/*
 * Allocation in a signal handler that interrupted a leaf function: on the normal stack, on an alternate one, nested, and in the middle of a prologue. The
 * interruption is an undefined instruction, so that it is always at the same place; the handler steps over it.
 */
#include "known.h"
#include "processor.h"
#include <signal.h>
#include <ucontext.h>

#define INTERRUPT __asm__ volatile(UNDEFINED ::: "memory")

static volatile size_t bytes;

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info;
    STEP_OVER((ucontext_t *)context);
    ALLOCATE(bytes);
}

static void on_signal_outer(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    bytes = 1400004;
    INTERRUPT;
    ALLOCATE(1400005);
}

/* No frame: locals lie in the red zone. */
FRAME static long leaf(long n)
{
    volatile long local[8] = {n, 2, 3, 4, 5, 6, 7, 8};
    INTERRUPT;
    return local[n & 7];
}

FRAME static void caller(size_t size)
{
    bytes = size;
    leaf(3);
    ALLOCATE(1400001);
}

void in_prologue(void);
__asm__(".text\n.globl in_prologue\n.type in_prologue,%function\n" IN_PROLOGUE ".size in_prologue,.-in_prologue\n");

FRAME static void prologue(void)
{
    bytes = 1400006;
    in_prologue();
    ALLOCATE(1400007);
}

/* Two ways to the same leaf at the same depth. Where a call leaves the return address in a register, no word of the stack tells them apart. */
FRAME static void left(void)
{
    leaf(1);
}

FRAME static void right(void)
{
    leaf(1);
}

static void (*volatile const way[2])(void) = {left, right};

static void handle(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER | flags};
    sigaction(number, &action, NULL);
}

int main(void)
{
    static char alternate[2][65536];
    for (int i = 0; i < 10; i++) {
        handle(SIGILL, on_signal, 0);
        handle(SIGUSR1, on_signal_outer, 0);
        caller(1400002);
        prologue();
        raise(SIGUSR1);
        for (int k = 0; k < 4; k++) {
            bytes = 1400008 + (size_t)(k & 1);
            way[k & 1]();
        }
        stack_t stack = {.ss_sp = alternate[i % 2], .ss_size = sizeof alternate[0]};
        sigaltstack(&stack, NULL);
        handle(SIGILL, on_signal, SA_ONSTACK);
        caller(1400003);
    }
    return expect("expect 1400001 20 caller main *\n"
                  "expect 1400002 10 on_signal " TRAMPOLINE " leaf caller main *\n"
                  "expect 1400003 10 on_signal " TRAMPOLINE " leaf caller main *\n"
                  "expect 1400004 10 on_signal " TRAMPOLINE " on_signal_outer " TRAMPOLINE " @libc.so.6#+ main *\n"
                  "expect 1400005 10 on_signal_outer " TRAMPOLINE " @libc.so.6#+ main *\n"
                  "expect 1400006 50 on_signal " TRAMPOLINE " in_prologue prologue main *\n"
                  "expect 1400008 20 on_signal " TRAMPOLINE " leaf left main *\n"
                  "expect 1400009 20 on_signal " TRAMPOLINE " leaf right main *\n"
                  "expect 1400007 10 prologue main *\n");
}
