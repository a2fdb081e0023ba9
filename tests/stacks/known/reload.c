/*
 * Libraries that take each other's place: reload_a.so and reload_b.so have the same layout, but at the same offsets frames of other shapes. Each is loaded, called
 * and unloaded in turn; mostly they get the same address, so that rules and places of the first would be wrong for the second.
 */
#include "known.h"
#include <dlfcn.h>
#include <stdio.h>

static unsigned same;

FRAME static void use(const char *path, const char *function)
{
    static void *last;
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!object) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    void (*call)(int) = (void (*)(int))dlsym(object, function);
    same += (void *)call == last;
    last = (void *)call;
    call(3);
    call(1);
    dlclose(object);
}

int main(int argc, char **argv)
{
    char a[4096], b[4096];
    (void)argc;
    snprintf(a, sizeof a, "%s_a.so", argv[0]);
    snprintf(b, sizeof b, "%s_b.so", argv[0]);
    for (int i = 0; i < 50; i++) {
        use(a, "a_enter");
        use(b, "b_enter");
    }
    if (!same)
        fprintf(stderr, "the libraries never got the same address\n");
    return expect("expect 2200001 100 a_leaf a_enter use main *\n"
                  "expect 2200002 100 b_leaf b_enter use main *\n") ||
           !same;
}
