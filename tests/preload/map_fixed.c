/* MAP_FIXED ends what it covers, wholly or in part. */
#include "behaviour.h"
#include <sys/mman.h>

#define K 1024

static char *do_under(void)
{
    return mmap(NULL, 64 * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void do_over(char *at, size_t size)
{
    CHECK(mmap(at, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at);
}

int main(void)
{
    do_over(do_under(), 64 * K);
    do_over(do_under() + 16 * K, 16 * K);
}
