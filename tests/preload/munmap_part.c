/* munmap of a part: a free of the whole, and an allocation at the old site of each part that stays. */
#include "behaviour.h"
#include <sys/mman.h>

#define K 1024

static char *do_start(void)
{
    return mmap(NULL, 64 * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static char *do_end(void)
{
    return mmap(NULL, 64 * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static char *do_middle(void)
{
    return mmap(NULL, 64 * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

int main(void)
{
    char *p = do_start();
    CHECK(munmap(p, 8 * K) == 0);
    p = do_end();
    CHECK(munmap(p + 40 * K, 24 * K) == 0);
    p = do_middle();
    CHECK(munmap(p + 16 * K, 16 * K) == 0);
    CHECK(munmap(p, 16 * K) == 0);
}
