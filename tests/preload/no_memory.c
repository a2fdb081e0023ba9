/*
 * Out of memory by a limit: "as", "data", or one that is in force from the start. What the program got is counted, also what the shim then finds no room
 * for; when the program has freed it, it goes on. The limits leave room for what is mapped already.
 */
#include "behaviour.h"
#include <sys/resource.h>

static void limit(const char *which)
{
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    CHECK(statm && fscanf(statm, "%lu", &pages) == 1);
    fclose(statm);
    struct rlimit limit = {pages * 4096 + (200u << 20), pages * 4096 + (200u << 20)};
    if (strcmp(which, "as") == 0)
        CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    if (strcmp(which, "data") == 0)
        CHECK(setrlimit(RLIMIT_DATA, &limit) == 0);
}

static unsigned do_fill(size_t size)
{
    void **list = NULL;
    unsigned n = 0;
    for (void **p; (p = malloc(size)); n++) {
        *p = list;
        list = p;
    }
    CHECK(errno == ENOMEM);
    while (list) {
        void **next = *list;
        free(list);
        list = next;
    }
    return n;
}

static void do_after(void)
{
    free(malloc(100));
}

int main(int argc, char **argv)
{
    unsigned n[2];
    struct rlimit now;
    if (argc > 1)
        limit(argv[1]);
    else
        CHECK(getrlimit(RLIMIT_AS, &now) == 0 && now.rlim_cur < 1u << 30);
    n[0] = do_fill(1 << 20);
    n[1] = do_fill(10000);
    CHECK(n[0] > 10 && n[1] > 1000);
    do_after();
    printf("total %u %u\n", n[0] + n[1] + 1, n[0] + n[1] + 1);
    fflush(stdout);
}
