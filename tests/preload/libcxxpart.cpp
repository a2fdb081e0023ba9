// C++ code that a C program loads with RTLD_LOCAL: no operator new is in sight from the program.
#include <new>
#include <string>
#include <vector>

extern "C" void do_cxx()
{
    int *p = new int[25];
    delete[] p;
    delete new char;
}

extern "C" void do_cxx_sized(size_t size)
{
    ::operator delete(::operator new(size));
}

extern "C" bool cxx_throws(volatile size_t size)
{
    try {
        ::operator delete(::operator new(size));
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}
