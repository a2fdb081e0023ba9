/* pvalloc counts what was asked for, not the whole pages. */
#include "behaviour.h"
#include <malloc.h>

static void do_pvalloc(void)
{
    void *p = pvalloc(78);
    CHECK(p && ((uintptr_t)p & 4095) == 0);
    free(p);
}

int main(void)
{
    do_pvalloc();
}
