// Destructors of thread_local objects, of the main thread and of another, and of static ones.
#include "behaviour.h"
#include <pthread.h>

extern "C" {
static void do_main_object()
{
    free(malloc(10));
}
static void do_thread_object()
{
    free(malloc(20));
}
static void do_static_object()
{
    free(malloc(30));
}
}

static thread_local bool is_main;

struct Local {
    void *p = malloc(1);
    ~Local()
    {
        free(p);
        is_main ? do_main_object() : do_thread_object();
    }
};

struct Static {
    ~Static()
    {
        do_static_object();
    }
};

static thread_local Local local;
static Static object;

static void *use(void *p)
{
    CHECK(local.p);
    return p;
}

int main()
{
    pthread_t thread;
    is_main = true;
    use(NULL);
    CHECK(pthread_create(&thread, NULL, use, NULL) == 0);
    pthread_join(thread, NULL);
}
