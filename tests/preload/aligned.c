/* The aligned ones count the size that was asked for, and are aligned. */
#include "behaviour.h"
#include <malloc.h>

#define ALIGNED(p, to) ((p) && ((uintptr_t)(p) & ((to)-1)) == 0)

static void do_posix_memalign(void)
{
    void *p = NULL;
    CHECK(posix_memalign(&p, 4096, 100) == 0 && ALIGNED(p, 4096));
    free(p);
}

static void do_posix_memalign_wrong(void)
{
    void *p = (void *)1;
    CHECK(posix_memalign(&p, 3, 100) == EINVAL && p == (void *)1);
    CHECK(posix_memalign(&p, 64, PTRDIFF_MAX) == ENOMEM && p == (void *)1);
}

static void do_memalign(void)
{
    void *p = memalign(256, 33);
    CHECK(ALIGNED(p, 256));
    free(p);
}

static void do_aligned_alloc(void)
{
    void *p = aligned_alloc(128, 256);
    CHECK(ALIGNED(p, 128));
    free(p);
}

static void do_valloc(void)
{
    void *p = valloc(77);
    CHECK(ALIGNED(p, 4096));
    free(p);
}

static void do_malloc_alignment(void)
{
    void *p[20];
    for (unsigned i = 0; i < 20; i++) {
        p[i] = malloc(i + 17);
        CHECK(ALIGNED(p[i], 16));
    }
    for (unsigned i = 0; i < 20; i++)
        free(p[i]);
}

int main(void)
{
    do_posix_memalign();
    do_posix_memalign_wrong();
    do_memalign();
    do_aligned_alloc();
    do_valloc();
    do_malloc_alignment();
}
