/* calloc counts the product, and is zero. */
#include "behaviour.h"

static void do_calloc(void)
{
    char *dirty = malloc(300);
    memset(dirty, 0x55, 300);
    free(dirty);
    char *p = calloc(10, 30);
    for (int i = 0; i < 300; i++)
        CHECK(p[i] == 0);
    free(p);
}

int main(void)
{
    do_calloc();
}
