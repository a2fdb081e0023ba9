/* Size 0 counts as one allocation of 0 bytes, wherever it is asked for. */
#include "behaviour.h"
#include <malloc.h>

static void do_malloc(void)
{
    free(malloc(0));
}

static void do_calloc(void)
{
    free(calloc(0, 8));
    free(calloc(8, 0));
}

static void do_realloc(void)
{
    free(realloc(NULL, 0));
}

static void do_aligned(void)
{
    void *p;
    free(memalign(64, 0));
    CHECK(posix_memalign(&p, 64, 0) == 0);
    free(p);
}

static void do_left(void)
{
    CHECK(malloc(0));
}

int main(void)
{
    do_malloc();
    do_calloc();
    do_realloc();
    do_aligned();
    do_left();
}
