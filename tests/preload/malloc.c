/* malloc and free; what is not freed lives. */
#include "behaviour.h"

static void do_free(void *p)
{
    free(p);
}

static void do_malloc(void)
{
    for (int i = 0; i < 3; i++)
        do_free(malloc(100));
    CHECK(malloc(28));
    free(NULL);
}

int main(void)
{
    do_malloc();
}
