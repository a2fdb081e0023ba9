/* A handler that leaves malloc by siglongjmp: the thread is not silenced, from wherever it allocates next. */
#include "behaviour.h"
#include <setjmp.h>
#include <signal.h>

static sigjmp_buf back;

static void do_handler(int number)
{
    (void)number;
    siglongjmp(back, 1);
}

static void do_jump(void)
{
    free(malloc(7777)); /* see libsimple.c */
    CHECK(0);
}

static void do_after(void)
{
    free(malloc(30));
}

/* From deeper on the stack than the hook that was left. */
static void do_after_deeper(void)
{
    char room[4096];
    memset(room, 1, sizeof room);
    do_after();
}

int main(void)
{
    signal(SIGUSR1, do_handler);
    do_after();
    for (int i = 0; i < 3; i++) {
        if (sigsetjmp(back, 1) == 0)
            do_jump();
        do_after();
    }
    if (sigsetjmp(back, 1) == 0)
        do_jump();
    do_after_deeper();
}
