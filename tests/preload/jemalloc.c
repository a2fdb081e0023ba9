/* jemalloc's own interface, in a program that is linked to it. */
#include "behaviour.h"
#include <jemalloc/jemalloc.h>

static void do_mallocx(void)
{
    void *p = mallocx(100, MALLOCX_ALIGN(4096) | MALLOCX_ZERO);
    CHECK(p && ((uintptr_t)p & 4095) == 0 && *(char *)p == 0);
    CHECK(sallocx(p, 0) >= 100 && nallocx(100, 0) >= 100);
    dallocx(p, MALLOCX_ALIGN(4096));
}

static void do_rallocx(void)
{
    void *p = rallocx(mallocx(10, 0), 5000, 0);
    CHECK(p);
    sdallocx(p, 5000, 0);
}

/* In place or not at all: the block then has the size that xallocx returns. One that stays as it was changes nothing. */
static void do_xallocx(void)
{
    void *p = mallocx(100, 0);
    CHECK(xallocx(p, 1 << 20, 0, 0) < 1 << 20);
    dallocx(p, 0);
}

static void do_malloc(void)
{
    free(malloc(17));
    free(calloc(3, 5));
}

int main(void)
{
    do_mallocx();
    do_rallocx();
    do_xallocx();
    do_malloc();
}
