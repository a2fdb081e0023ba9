/*
 * Coroutines by makecontext and swapcontext: several stacks in turns, given back and made again at other sizes, and stacks on the heap.
 * glibc makes the address of __start_context itself the outermost return address. The byte before it belongs to no function, so that no table says how
 * this frame goes on: every unwinder ends there, and the stack is marked so, although it is complete.
 */
#include "known.h"
#include <sys/mman.h>
#include <ucontext.h>

#define COROUTINES 5

static ucontext_t scheduler, coroutine[COROUTINES];

FRAME static void deep(int depth, int number)
{
    volatile char room[48];
    room[depth] = 1;
    if (depth)
        deep(depth - 1, number);
    else {
        ALLOCATE(1800001);
        swapcontext(&coroutine[number], &scheduler);
        ALLOCATE(1800002);
    }
    room[0] = 1;
}

static void body(int number)
{
    for (int i = 0; i < 3; i++)
        deep(number + 3, number);
    ALLOCATE(1800003);
}

FRAME static void run_all(void)
{
    for (int turn = 0; turn < 4; turn++)
        for (int i = 0; i < COROUTINES; i++) {
            swapcontext(&scheduler, &coroutine[i]);
            ALLOCATE(1800004);
        }
}

FRAME static void round_of(int number)
{
    size_t bytes = 65536u << number % 3;
    char *stack[COROUTINES];
    for (int i = 0; i < COROUTINES; i++) {
        stack[i] = i == 4 ? malloc(bytes)
                          : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        getcontext(&coroutine[i]);
        coroutine[i].uc_stack.ss_sp = stack[i];
        coroutine[i].uc_stack.ss_size = bytes;
        coroutine[i].uc_link = &scheduler;
        makecontext(&coroutine[i], (void (*)(void))body, 1, i);
    }
    run_all();
    for (int i = 0; i < COROUTINES; i++) {
        if (i == 4)
            free(stack[i]);
        else
            munmap(stack[i], bytes);
    }
}

int main(void)
{
    for (int i = 0; i < 20; i++)
        round_of(i);
    return expect("expect 1800001 300 deep#+ body @libc.so.6 [no-table]\n"
                  "expect 1800002 300 deep#+ body @libc.so.6 [no-table]\n"
                  "expect 1800003 100 body @libc.so.6 [no-table]\n"
                  "expect 1800004 400 run_all round_of main *\n");
}
