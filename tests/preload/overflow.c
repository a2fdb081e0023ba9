/* Products that overflow and sizes that nobody has: ENOMEM, and nothing is counted. */
#include "behaviour.h"

static volatile size_t half = SIZE_MAX / 2, whole = SIZE_MAX;

static void do_calloc_overflow(void)
{
    errno = 0;
    CHECK(calloc(half, 3) == NULL && errno == ENOMEM);
}

static void do_malloc_huge(void)
{
    errno = 0;
    CHECK(malloc(PTRDIFF_MAX) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(malloc(whole) == NULL && errno == ENOMEM);
}

static void do_after(void)
{
    free(malloc(3));
}

int main(void)
{
    do_calloc_overflow();
    do_malloc_huge();
    do_after();
}
