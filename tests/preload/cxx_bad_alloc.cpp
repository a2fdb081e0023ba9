// bad_alloc passes through the hook of operator new; the thread records on.
#include "behaviour.h"
#include <new>

extern "C" {

static void huge(volatile size_t size)
{
    ::operator delete(::operator new(size));
}

static void do_after()
{
    free(malloc(10));
    ::operator delete(::operator new(20));
}
}

static void catch_it()
{
    bool caught = false;
    try {
        huge(size_t(1) << 62);
    } catch (const std::bad_alloc &) {
        caught = true;
    }
    CHECK(caught);
}

int main()
{
    do_after();
    for (int i = 0; i < 3; i++) {
        catch_it();
        do_after();
    }
    void *p = ::operator new(size_t(1) << 62, std::nothrow);
    CHECK(!p);
    do_after();
}
