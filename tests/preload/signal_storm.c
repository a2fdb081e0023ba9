/* A timer that interrupts malloc and free at any moment, with a handler that allocates: nothing is lost uncounted, nothing stands still. */
#include "behaviour.h"
#include <signal.h>
#include <sys/time.h>

static volatile sig_atomic_t handled;

static void do_handler(int number)
{
    (void)number;
    free(malloc(10));
    handled++;
}

static unsigned do_work(void)
{
    unsigned n;
    for (n = 0; handled < 1000; n++)
        free(realloc(malloc(20), 30));
    return n;
}

int main(void)
{
    struct itimerval often = {{0, 100}, {0, 100}}, never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = do_handler, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    unsigned n = do_work();
    setitimer(ITIMER_REAL, &never, NULL);
    unsigned calls = 2 * n + (unsigned)handled;
    printf("total %u %u\n", calls, calls);
    fflush(stdout);
}
