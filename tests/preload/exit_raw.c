/* _exit runs no destructor; the record is there all the same. */
#include "behaviour.h"

static void do_leave(void)
{
    CHECK(malloc(10));
    _exit(0);
}

int main(void)
{
    do_leave();
}
