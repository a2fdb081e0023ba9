/* A program that dies of a signal. */
#include "behaviour.h"
#include <signal.h>

static void do_die(void)
{
    CHECK(malloc(10));
    kill(getpid(), SIGKILL);
}

int main(void)
{
    do_die();
}
