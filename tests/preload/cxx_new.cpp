// operator new and delete in their variants, whoever defines them.
#include "behaviour.h"
#include <new>

extern "C" {

static void do_new()
{
    ::operator delete(::operator new(10));
}

static void do_new_array()
{
    ::operator delete[](::operator new[](20));
}

static void do_new_nothrow()
{
    ::operator delete(::operator new(30, std::nothrow), std::nothrow);
    ::operator delete[](::operator new[](31, std::nothrow), std::nothrow);
}

static void do_new_aligned()
{
    void *p = ::operator new(64, std::align_val_t(64));
    CHECK(((uintptr_t)p & 63) == 0);
    ::operator delete(p, std::align_val_t(64));
    p = ::operator new[](128, std::align_val_t(128));
    CHECK(((uintptr_t)p & 127) == 0);
    ::operator delete[](p, std::align_val_t(128));
}

static void do_new_aligned_nothrow()
{
    ::operator delete(::operator new(64, std::align_val_t(64), std::nothrow), std::align_val_t(64), std::nothrow);
    ::operator delete[](::operator new[](64, std::align_val_t(64), std::nothrow), std::align_val_t(64), std::nothrow);
}

static void do_delete_sized()
{
    ::operator delete(::operator new(50), size_t(50));
    ::operator delete[](::operator new[](60), size_t(60));
    ::operator delete(::operator new(64, std::align_val_t(64)), size_t(64), std::align_val_t(64));
    ::operator delete[](::operator new[](64, std::align_val_t(64)), size_t(64), std::align_val_t(64));
}

static void do_leak()
{
    CHECK(new char[77]);
}
}

int main()
{
    do_new();
    do_new_array();
    do_new_nothrow();
    do_new_aligned();
    do_new_aligned_nothrow();
    do_delete_sized();
    do_leak();
}
