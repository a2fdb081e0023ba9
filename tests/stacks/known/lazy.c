/*
 * malloc called below the dynamic loader's own assembly: _dl_runtime_resolve (CFA = rbx + 16) when a lazily bound function is resolved by an IFUNC
 * resolver that allocates, and the TLS entry points when a dlopened object's variables are touched first. Linked with -z lazy.
 */
#include "known.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

#ifdef __aarch64__
#define LOADER "ld-linux-aarch64.so.1"
#else
#define LOADER "ld-linux-x86-64.so.2"
#endif

int lazy_function(int); /* lazy_lib.c */
int lazy_other(double, double, double, int,
               long); /* same, with floating point arguments to be kept by the trampoline */

FRAME static int first_call(int n)
{
    int result = lazy_function(n);
    ALLOCATE(1200002);
    return result;
}

FRAME static int first_other(int n)
{
    int result = lazy_other(1, 2, 3, n, 4);
    ALLOCATE(1200003);
    return result;
}

static void *touched[2];

FRAME static void touch_tls(int i)
{
    ((char *(*)(void))touched[i])()[0] = 1;
    ALLOCATE(1200004);
}

FRAME static void touch_tlsdesc(int i)
{
    ((char *(*)(void))touched[i])()[0] = 1;
    ALLOCATE(1200005);
}

static void *thread(void *argument)
{
    touch_tls(0);
    touch_tlsdesc(1);
    return argument;
}

static void *load(const char *path, const char *function)
{
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (object)
        return dlsym(object, function);
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
}

int main(int argc, char **argv)
{
    char path[4096];
    pthread_t id;
    (void)argc;
    first_call(1);
    first_other(2);
    snprintf(path, sizeof path, "%s_tls.so", argv[0]);
    touched[0] = load(path, "tls_variable");
    snprintf(path, sizeof path, "%s_tlsdesc.so", argv[0]);
    touched[1] = load(path, "tlsdesc_variable");
    touch_tls(0);
    touch_tlsdesc(1);
    pthread_create(&id, NULL, thread, NULL);
    pthread_join(id, NULL);
    return expect("expect 1200001 1 resolver @" LOADER "#+ first_call main *\n"
                  "expect 1200002 1 first_call main *\n"
                  "expect 1200006 1 resolver_other @" LOADER "#+ first_other main *\n"
                  "expect 1200003 1 first_other main *\n"
                  "expect 1200004 2 touch_tls *\n"
                  "expect 1200005 2 touch_tlsdesc *\n"
                  "expect 1200012 2 @" LOADER "#+ tls_variable touch_tls *\n"
                  "expect 1200013 2 @" LOADER "#+ tlsdesc_variable touch_tlsdesc *\n");
}
