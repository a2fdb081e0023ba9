/* Initialised before everything else (DF_1_INITFIRST). */
#include <stdlib.h>

static void *block;

__attribute__((constructor)) static void do_first(void)
{
    block = malloc(100);
    free(malloc(1000));
}

void *first_block(void)
{
    return block;
}
