/* A C program that loads C++ code RTLD_LOCAL: the next operator new is in no search order, and is found all the same. */
#include "behaviour.h"
#include <dlfcn.h>
#include <stdbool.h>

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    void *handle = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    CHECK(handle);
    void (*cxx)(void);
    bool (*cxx_throw)(size_t);
    *(void **)&cxx = dlsym(handle, "do_cxx");
    *(void **)&cxx_throw = dlsym(handle, "do_cxx_throw");
    cxx();
    CHECK(!cxx_throw(100));
    CHECK(cxx_throw((size_t)1 << 62));
    cxx();
}
