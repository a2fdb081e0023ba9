/*
 * Threads that fork all the time, while handlers of other threads fork in the middle of hooks, and keep the memory for their children: nobody's child
 * writes to the parent's file.
 */
#include "behaviour.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/time.h>

#define HANDLER_FORKS 300
#define FORKS 150

static atomic_ulong calls, children, handler_forks;
static sigset_t timer;
static __thread volatile sig_atomic_t is_child;

static void do_child(void)
{
    for (int i = 0; i < 50; i++)
        free(malloc(40));
    _exit(0);
}

static void on_timer(int number)
{
    (void)number;
    if (is_child || handler_forks >= HANDLER_FORKS)
        return;
    handler_forks++;
    pid_t child = fork();
    CHECK(child >= 0);
    is_child = child == 0;
    if (child)
        children++;
}

static void do_interrupted(void)
{
    void *p = malloc(100);
    if (is_child)
        do_child();
    free(p);
    if (is_child)
        do_child();
}

static void *interrupted(void *unused)
{
    unsigned long n = 0;
    pthread_sigmask(SIG_UNBLOCK, &timer, NULL);
    for (; handler_forks < HANDLER_FORKS; n++)
        do_interrupted();
    calls += n;
    return unused;
}

static void *do_forks(void *unused)
{
    for (int i = 0; i < FORKS; i++) {
        free(malloc(10));
        pid_t child = fork();
        CHECK(child >= 0);
        if (!child)
            do_child();
        children++;
    }
    calls += FORKS;
    return unused;
}

int main(void)
{
    pthread_t thread[4];
    struct itimerval time = {{0, 1000}, {0, 1000}};
    signal(SIGPROF, on_timer);
    sigaddset(&timer, SIGPROF);
    pthread_sigmask(SIG_BLOCK, &timer, NULL);
    CHECK(setitimer(ITIMER_PROF, &time, NULL) == 0);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&thread[i], NULL, i < 2 ? interrupted : do_forks, NULL) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    for (unsigned long i = 0; i < children; i++) {
        int status;
        CHECK(wait(&status) > 0 && status == 0);
    }
    printf("total %lu %lu\n", calls, calls);
    fflush(stdout);
}
