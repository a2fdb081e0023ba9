/* For lazy.c: two functions whose implementation is chosen, with an allocation, when they are first called. */
#include "known.h"

int lazy_function(int);
int lazy_other(double, double, double, int, long);

static int implementation(int n)
{
    return n + 1;
}

static int other(double a, double b, double c, int n, long m)
{
    return (int)(a + b + c) + n + (int)m;
}

FRAME void *resolver(void)
{
    ALLOCATE(1200001);
    return (void *)implementation;
}

FRAME void *resolver_other(void)
{
    ALLOCATE(1200006);
    return (void *)other;
}

int lazy_function(int) __attribute__((ifunc("resolver")));
int lazy_other(double, double, double, int, long) __attribute__((ifunc("resolver_other")));
