/* exec in the same process: a second file, and the first one stays. */
#include "behaviour.h"

static void do_first(void)
{
    CHECK(malloc(10));
}

static void do_second(void)
{
    CHECK(malloc(20));
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        do_second();
        return 0;
    }
    do_first();
    execl("/proc/self/exe", argv[0], "again", NULL);
    return 1;
}
