/*
 * A signal in the middle of malloc whose handler forks, and whose child returns into that malloc: the child goes on as without us, what it was about to record is
 * not in its parent's file nor in its own, and its next call begins its own. How the handler ends is given: return, again (a child of that child, made in the
 * handler too, returns as well), jump (the child leaves malloc by siglongjmp), later (only a child of the child that returned, made outside, allocates), thread (in
 * the child, a thread that the handler has made allocates before it returns).
 */
#include "behaviour.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>

extern pid_t _Fork(void) __attribute__((weak)); /* not before glibc 2.34 */

static const char *way;
static volatile sig_atomic_t generation; /* 0: the parent */
static sigjmp_buf back;

static pid_t forked(bool once_more)
{
    return once_more && _Fork ? _Fork() : fork();
}

static void *do_beside(void *argument)
{
    free(malloc(20));
    return argument;
}

static void wait_for_thread(void)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, do_beside, NULL) == 0 && pthread_join(thread, NULL) == 0);
}

static void do_handler(int number)
{
    (void)number;
    free(malloc(10)); /* the parent's: re-entrant */
    pid_t child = forked(false);
    if (child)
        return wait_for(child);
    generation = 1;
    if (!strcmp(way, "again") && (child = forked(true)) == 0)
        generation = 2;
    else if (!strcmp(way, "again"))
        wait_for(child);
    free(malloc(20)); /* nobody's */
    if (!strcmp(way, "thread"))
        wait_for_thread();
    if (!strcmp(way, "jump"))
        siglongjmp(back, 1);
}

static void *do_interrupted(void)
{
    return malloc(7777); /* see libsimple.c */
}

static void do_parent(void)
{
    free(malloc(30));
}

static void do_child(void *p)
{
    free(p);
    for (int i = 0; i < 100; i++)
        CHECK(malloc(40));
}

static void do_grandchild(void *p)
{
    free(p);
    CHECK(malloc(50));
}

int main(int argc, char **argv)
{
    void *p = NULL;
    CHECK(argc == 2);
    way = argv[1];
    signal(SIGUSR1, do_handler);
    do_parent();
    if (sigsetjmp(back, 1) == 0)
        p = do_interrupted();
    if (!generation) {
        free(p);
        do_parent();
        return 0;
    }
    pid_t child = strcmp(way, "later") ? 1 : fork();
    if (child == 0 || generation == 2)
        do_grandchild(p);
    else if (child > 1)
        wait_for(child);
    else
        do_child(p);
    _exit(0);
}
