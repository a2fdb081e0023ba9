/* Mappings are a kind of their own, in whole pages; PROT_NONE is a reservation. What fails counts nothing. */
#include "behaviour.h"
#include <sys/mman.h>

static void *do_map(void)
{
    return mmap(NULL, 10000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void *do_map64(void)
{
    return mmap64(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void *do_reserve(void)
{
    return mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static void do_fail(void)
{
    errno = 0;
    CHECK(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, -1, 0) == MAP_FAILED && errno == EBADF);
}

static void do_munmap_fail(char *p)
{
    errno = 0;
    CHECK(munmap(p + 1, 4096) == -1 && errno == EINVAL);
}

int main(void)
{
    char *p = do_map();
    CHECK(p != MAP_FAILED);
    p[9999] = 1;
    do_munmap_fail(p);
    CHECK(munmap(p, 10000) == 0);
    CHECK(do_map64() != MAP_FAILED);
    CHECK(munmap(do_reserve(), 1 << 20) == 0);
    CHECK(do_reserve() != MAP_FAILED);
    do_fail();
}
