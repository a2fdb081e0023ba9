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
    void (*cxx_sized)(size_t);
    bool (*cxx_throws)(size_t);
    *(void **)&cxx = dlsym(handle, "do_cxx");
    *(void **)&cxx_sized = dlsym(handle, "do_cxx_sized");
    *(void **)&cxx_throws = dlsym(handle, "cxx_throws");
    cxx();
    cxx_sized(100);
    CHECK(cxx_throws((size_t)1 << 62));
    cxx();
}
