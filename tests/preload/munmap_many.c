/* One munmap over several mappings, whole ones and parts. */
#include "behaviour.h"
#include <sys/mman.h>

#define K 1024

static char *do_room(void)
{
    return mmap(NULL, 256 * K, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void do_piece(char *at)
{
    CHECK(mmap(at, 64 * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at);
}

int main(void)
{
    char *room = do_room();
    do_piece(room);
    do_piece(room + 64 * K);
    do_piece(room + 128 * K);
    do_piece(room + 192 * K); /* nothing is left of the room */
    CHECK(munmap(room + 32 * K, 160 * K) == 0);
}
