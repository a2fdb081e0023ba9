/* A handler that allocates, on the stack and on an alternate one: its stack goes on through the interrupted code. */
#include "behaviour.h"
#include <signal.h>
#include <sys/syscall.h>

static char alternate[65536];

static void do_handler(int number)
{
    (void)number;
    free(malloc(10));
}

/* Without a function of libc in between. */
static void do_raise(int number)
{
#ifdef __aarch64__
    register long result __asm__("x0") = getpid(), second __asm__("x1") = number, call __asm__("x8") = SYS_kill;
    __asm__ volatile("svc #0" : "+r"(result) : "r"(second), "r"(call) : "memory");
#else
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "0"(SYS_kill), "D"(getpid()), "S"(number) : "rcx", "r11", "memory");
#endif
    CHECK(result == 0);
}

int main(void)
{
    struct sigaction action = {.sa_handler = do_handler};
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    sigaction(SIGUSR1, &action, NULL);
    do_raise(SIGUSR1);
    CHECK(sigaltstack(&stack, NULL) == 0);
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGUSR2, &action, NULL);
    do_raise(SIGUSR2);
    do_raise(SIGUSR2);
    do_raise(SIGUSR1);
}
