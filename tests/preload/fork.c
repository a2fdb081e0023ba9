/* A forked child has a file of its own and begins empty; what it frees of its parent's is inherited. */
#include "behaviour.h"

static void *do_before(void)
{
    return malloc(100);
}

static void do_child(void *p, void *q)
{
    free(p);
    free(realloc(q, 300));
    CHECK(malloc(50));
}

static void do_parent(void *p)
{
    free(p);
    free(malloc(70));
}

int main(void)
{
    void *p = do_before(), *q = do_before();
    pid_t child = fork();
    if (child == 0) {
        do_child(p, q);
        _exit(0);
    }
    wait_for(child);
    do_parent(p);
}
