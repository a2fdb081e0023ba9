/* C++ exceptions: allocation in the throw expression, in destructors while the stack is unwound, in handlers, and in handlers that throw again. */
#include <cstdlib>
#include <cstring>
#include <unistd.h>

#define FRAME __attribute__((noipa))

extern "C" {
FRAME static void allocate(size_t bytes)
{
    void *volatile block = malloc(bytes);
    free(block);
}

FRAME static void destructor_body()
{
    allocate(1700001);
}
}

struct guard {
    FRAME ~guard()
    {
        destructor_body();
    }
};

extern "C" {
FRAME static int thrown()
{
    allocate(1700002);
    return 7;
}

FRAME static void throws(int depth)
{
    guard one;
    if (!depth)
        throw thrown();
    throws(depth - 1);
}

FRAME static void throws_again(int depth)
{
    guard one;
    try {
        throws(depth);
    } catch (int) {
        allocate(1700003);
        throw;
    }
}

FRAME static void catches(int depth)
{
    try {
        throws_again(depth);
    } catch (int n) {
        allocate(1700004);
        if (n != 7)
            abort();
    }
    allocate(1700005);
}
}

int main()
{
    for (int i = 0; i < 200; i++)
        catches(3);
    const char *lines = "expect 1700001 1000 allocate destructor_body _ZN5guardD2Ev %#+ catches main *\n"
                        "expect 1700002 200 allocate thrown throws#4 throws_again catches main *\n"
                        "expect 1700003 200 allocate throws_again catches main *\n"
                        "expect 1700004 200 allocate catches main *\n"
                        "expect 1700005 200 allocate catches main *\n";
    return write(1, lines, strlen(lines)) < 0;
}
