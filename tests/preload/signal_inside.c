/* A signal in the middle of malloc whose handler allocates: forwarded and counted; the interrupted call is recorded as ever. */
#include "behaviour.h"
#include <signal.h>

static void do_handler(int number)
{
    (void)number;
    void *p = calloc(1, 10);
    p = realloc(p, 20);
    free(p);
}

static void do_interrupted(void)
{
    free(malloc(7777)); /* see libsimple.c */
}

static void do_after(void)
{
    free(malloc(30));
}

int main(void)
{
    signal(SIGUSR1, do_handler);
    do_interrupted();
    do_after();
}
