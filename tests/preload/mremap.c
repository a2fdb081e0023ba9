/* mremap is a free of the old mapping and an allocation of the new one where it was called. */
#include "behaviour.h"
#include <sys/mman.h>

#define K 1024

static char *do_map(size_t size)
{
    return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static char *do_grow(char *p)
{
    return mremap(p, 64 * K, 1024 * K, MREMAP_MAYMOVE);
}

static char *do_shrink(char *p)
{
    return mremap(p, 1024 * K, 16 * K, 0);
}

static char *do_move(char *p, char *to)
{
    return mremap(p, 16 * K, 16 * K, MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

static void do_fail(char *p)
{
    errno = 0;
    CHECK(mremap(p, 16 * K, (size_t)1 << 60, MREMAP_MAYMOVE) == MAP_FAILED && errno);
}

int main(void)
{
    char *p = do_map(64 * K), *to = do_map(16 * K);
    p[0] = 5;
    p = do_grow(p);
    p = do_shrink(p);
    do_fail(p);
    CHECK(p[0] == 5 && do_move(p, to) == to && to[0] == 5);
    CHECK(munmap(to, 16 * K) == 0);
}
