/* malloc_usable_size tells what the allocator tells, and counts nothing. */
#include "behaviour.h"
#include <malloc.h>

static void do_usable(void)
{
    void *p = malloc(100);
    CHECK(malloc_usable_size(p) >= 100);
    CHECK(malloc_usable_size(NULL) == 0);
    memset(p, 1, malloc_usable_size(p));
    free(p);
}

int main(void)
{
    do_usable();
}
