/* Children of children; one that allocates nothing leaves no file. */
#include "behaviour.h"

static void do_one(void)
{
    CHECK(malloc(1));
}

static void do_two(void)
{
    CHECK(malloc(2));
}

static void do_three(void)
{
    CHECK(malloc(3));
}

static pid_t child_of(void)
{
    pid_t child = fork();
    if (child)
        wait_for(child);
    return child;
}

int main(void)
{
    do_one();
    if (child_of() == 0) {
        do_two();
        if (child_of() == 0) {
            if (child_of() == 0) {
                do_three();
                _exit(0);
            }
            _exit(0);
        }
        _exit(0);
    }
}
