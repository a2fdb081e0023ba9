/* malloc before any constructor (.preinit_array), in constructors, and in an IFUNC resolver, when not even the thread's memory is set up. */
#include "behaviour.h"

static void *from_resolver, *from_preinit;

static int answer(void)
{
    return 42;
}

static int (*do_resolve(void))(void)
{
    from_resolver = malloc(11);
    free(malloc(12));
    return answer;
}
static int resolved(void) __attribute__((ifunc("do_resolve")));

static void do_preinit(void)
{
    from_preinit = malloc(21);
    free(malloc(22));
}
__attribute__((section(".preinit_array"), used)) static void (*const preinit)(void) = do_preinit;

__attribute__((constructor(101))) static void do_constructor(void)
{
    free(malloc(31));
}

static void do_main(void)
{
    free(realloc(from_resolver, 41));
    free(from_preinit);
}

int main(void)
{
    CHECK(resolved() == 42);
    do_main();
}
