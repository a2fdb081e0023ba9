/* Known figures: what each function allocates, and what of it stays. */
#include <stdlib.h>
#define KEEP __attribute__((noinline, noclone))
#define STAY() __asm__ volatile("" ::: "memory")

void *volatile sink;

KEEP static void take(size_t bytes)
{
    sink = malloc(bytes);
    STAY();
}

KEEP static void take_and_give(size_t bytes)
{
    sink = malloc(bytes);
    free(sink);
    STAY();
}

KEEP static void descend_by_itself(int depth)
{
    take(1000);
    if (depth)
        descend_by_itself(depth - 1);
    STAY();
}

KEEP static void read_the_settings(void)
{
    take(30000);
    take_and_give(500000);
    take_and_give(0);
    STAY();
}

KEEP static void answer_one_request(void)
{
    take(70000);
    descend_by_itself(40);
    STAY();
}

int main(void)
{
    read_the_settings();
    answer_one_request();
    take(5);
    return 0;
}
