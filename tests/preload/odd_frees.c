/* free under its rarer names: free_sized and free_aligned_sized, which this libc may not have; then the shim has stand-ins. */
#include "behaviour.h"
#include <dlfcn.h>

static void do_free_sized(void (*function)(void *, size_t))
{
    void *p = malloc(20);
    function ? function(p, 20) : free(p);
}

static void do_free_aligned_sized(void (*function)(void *, size_t, size_t))
{
    void *p = aligned_alloc(64, 64);
    function ? function(p, 64, 64) : free(p);
}

int main(void)
{
    do_free_sized((void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized"));
    do_free_aligned_sized((void (*)(void *, size_t, size_t))dlsym(RTLD_DEFAULT, "free_aligned_sized"));
}
