/*
 * A coroutine's stack is unmapped by another thread, and a smaller one is mapped at its place. The innermost frames are where others of the same functions were,
 * and their outermost one was where nothing can be read any more.
 */
#include "behaviour.h"
#include <pthread.h>
#include <sys/mman.h>
#include <ucontext.h>

#define SMALL (64 * 1024)
#define TIMES 8

static ucontext_t home, coroutine;
static char *stack;
static size_t room; /* what makes the difference */

static void *do_inner(void)
{
    return malloc(1);
}

static void do_outer(void)
{
    volatile char array[room];
    array[0] = 1;
    for (int i = 0; i < TIMES; i++) {
        free(do_inner());
        free(do_inner());
        array[0]++;
    }
}

static void run(size_t bytes, size_t room_bytes)
{
    room = room_bytes;
    CHECK(getcontext(&coroutine) == 0);
    coroutine.uc_stack = (stack_t){.ss_sp = stack, .ss_size = bytes};
    coroutine.uc_link = &home;
    makecontext(&coroutine, do_outer, 0);
    CHECK(swapcontext(&home, &coroutine) == 0);
}

static pthread_barrier_t barrier;

static void *replace(void *unused)
{
    pthread_barrier_wait(&barrier);
    CHECK(munmap(stack, 2 * SMALL) == 0);
    CHECK(mmap(stack, SMALL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == stack);
    pthread_barrier_wait(&barrier);
    return unused;
}

int main(void)
{
    pthread_t thread;
    stack = mmap(NULL, 2 * SMALL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack != MAP_FAILED);
    CHECK(pthread_barrier_init(&barrier, NULL, 2) == 0);
    CHECK(pthread_create(&thread, NULL, replace, NULL) == 0);
    run(2 * SMALL, SMALL + 64);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    run(SMALL, 64);
    CHECK(pthread_join(thread, NULL) == 0);
}
