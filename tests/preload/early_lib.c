/* A library whose constructors run before the shim's own; see libfirst.c. */
#include "behaviour.h"

extern void *first_block(void);

static void do_main(void)
{
    free(first_block());
}

int main(void)
{
    do_main();
}
