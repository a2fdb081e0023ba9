/* cfree, which old programs call: libc still has it for them. */
#include "behaviour.h"
#include <dlfcn.h>

static void do_cfree(void (*function)(void *))
{
    void *p = malloc(10);
    function ? function(p) : free(p);
}

int main(void)
{
    do_cfree((void (*)(void *))dlsym(RTLD_DEFAULT, "cfree"));
}
