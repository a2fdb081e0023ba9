/* realloc in all its forms: each that succeeds is a free of the old block and an allocation of the new one. */
#include "behaviour.h"

static void *do_first(size_t size)
{
    char *p = malloc(size);
    memset(p, 7, size);
    return p;
}

static void *do_grow(void *p)
{
    char *q = realloc(p, 100000);
    CHECK(q && q[0] == 7 && q[9] == 7);
    return q;
}

static void *do_shrink(void *p)
{
    char *q = realloc(p, 5);
    CHECK(q && q[4] == 7);
    return q;
}

static void *do_null(void)
{
    return realloc(NULL, 50);
}

static void do_zero(void *p)
{
    CHECK(realloc(p, 0) == NULL);
}

static void do_fail(void *p)
{
    errno = 0;
    CHECK(realloc(p, PTRDIFF_MAX) == NULL && errno == ENOMEM);
}

int main(void)
{
    void *p = do_shrink(do_grow(do_first(10)));
    do_fail(p);
    do_zero(p);
    p = do_null();
    do_fail(p);
    CHECK(p);
}
