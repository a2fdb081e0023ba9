/*
 * An allocator to put below the shim: async-signal-safe, so that programs may allocate in signal handlers at any instruction, and with traps for sizes
 * that nobody asks for otherwise. Never gives an address twice.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIZE_SIGNAL 7777 /* SIGUSR1 arrives in the middle */
#define SIZE_CANCEL 8888 /* a cancellation point in the middle */

static char arena[1u << 30] __attribute__((aligned(4096)));
static atomic_size_t used;

static void *take(size_t alignment, size_t size)
{
    size_t total = size + 2 * alignment + 32;
    if (size > sizeof arena || total > sizeof arena - used) {
        errno = ENOMEM;
        return NULL;
    }
    uintptr_t at = (uintptr_t)arena + atomic_fetch_add(&used, (total + 15) & ~(size_t)15) + 16;
    at = (at + alignment - 1) & ~(uintptr_t)(alignment - 1);
    ((size_t *)at)[-1] = size;
    return (void *)at;
}

void *malloc(size_t size)
{
    if (size == SIZE_SIGNAL)
        syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1);
    if (size == SIZE_CANCEL)
        for (;;)
            pthread_testcancel();
    return take(16, size);
}

void free(void *p)
{
    (void)p;
}

void *calloc(size_t n, size_t size)
{
    return malloc(n * size); /* the arena is zero, and nothing is given twice */
}

void *realloc(void *p, size_t size)
{
    char *q = malloc(size);
    if (p && q) {
        size_t old = ((size_t *)p)[-1];
        memcpy(q, p, old < size ? old : size);
    }
    return q;
}

void *memalign(size_t alignment, size_t size)
{
    return take(alignment < 16 ? 16 : alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    *out = memalign(alignment, size);
    return *out ? 0 : ENOMEM;
}

size_t malloc_usable_size(void *p)
{
    return p ? ((size_t *)p)[-1] : 0;
}
