/* errno is what the real call left: untouched by success, ENOMEM after failure. */
#include "behaviour.h"
#include <malloc.h>
#include <sys/mman.h>

static volatile size_t half = SIZE_MAX / 2;

#define SENTINEL 4711
#define KEEPS(call)                                                                                                    \
    do {                                                                                                               \
        errno = SENTINEL;                                                                                              \
        call;                                                                                                          \
        CHECK(errno == SENTINEL);                                                                                      \
    } while (0)
#define SETS(value, call)                                                                                              \
    do {                                                                                                               \
        errno = SENTINEL;                                                                                              \
        call;                                                                                                          \
        CHECK(errno == (value));                                                                                       \
    } while (0)

static void do_hooks(void)
{
    void *p, *q, *m;
    KEEPS(p = malloc(10));
    KEEPS(p = realloc(p, 20));
    KEEPS(p = reallocarray(p, 5, 6));
    KEEPS(q = calloc(4, 10));
    KEEPS(free(p));
    KEEPS(free(q));
    KEEPS(free(NULL));
    KEEPS(p = memalign(64, 50));
    KEEPS(free(p));
    KEEPS(p = aligned_alloc(64, 64));
    KEEPS(free(p));
    KEEPS(CHECK(posix_memalign(&p, 64, 70) == 0));
    KEEPS(CHECK(malloc_usable_size(p) >= 70));
    KEEPS(free(p));
    KEEPS(m = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    KEEPS(m = mremap(m, 8192, 16384, MREMAP_MAYMOVE));
    SETS(EINVAL, munmap((char *)m + 1, 4096));
    KEEPS(munmap(m, 16384));
    p = malloc(1);
    SETS(ENOMEM, CHECK(!malloc(PTRDIFF_MAX)));
    SETS(ENOMEM, CHECK(!calloc(half, 3)));
    SETS(ENOMEM, CHECK(!realloc(p, PTRDIFF_MAX)));
    SETS(ENOMEM, CHECK(!reallocarray(p, half, 3)));
    SETS(ENOMEM, CHECK(!memalign(64, PTRDIFF_MAX)));
    SETS(EINVAL, CHECK(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED));
    free(p);
}

int main(void)
{
    do_hooks(); /* the first event of the process is among them */
    do_hooks();
}
