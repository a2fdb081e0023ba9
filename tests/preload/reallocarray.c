/* reallocarray is one realloc, however the libc makes it. */
#include "behaviour.h"

static volatile size_t half = SIZE_MAX / 2;

static void do_reallocarray(void)
{
    void *p = reallocarray(NULL, 3, 5);
    p = reallocarray(p, 7, 11);
    free(p);
}

static void do_overflow(void)
{
    void *p = malloc(1);
    errno = 0;
    CHECK(reallocarray(p, half, 3) == NULL && errno == ENOMEM);
    free(p);
}

int main(void)
{
    do_reallocarray();
    do_overflow();
}
