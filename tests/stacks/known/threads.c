/* The outer end of threads' stacks; key destructors; threads on stacks of the program's own, as small as they may be. */
#include "known.h"
#include <limits.h>
#include <pthread.h>
#include <sys/mman.h>

static pthread_key_t key;

FRAME static void work(size_t bytes)
{
    ALLOCATE(bytes);
}

static void destructor(void *value)
{
    work(2100002);
    (void)value;
}

static void *run(void *argument)
{
    pthread_setspecific(key, argument);
    for (int i = 0; i < 10; i++)
        work(2100001);
    return NULL;
}

static void *run_small(void *argument)
{
    work(2100003);
    return argument;
}

int main(void)
{
    pthread_t id[4];
    pthread_attr_t attributes;
    pthread_key_create(&key, destructor);
    for (int turn = 0; turn < 20; turn++) {
        for (int i = 0; i < 4; i++)
            pthread_create(&id[i], NULL, run, &key);
        for (int i = 0; i < 4; i++)
            pthread_join(id[i], NULL);
    }
    for (int i = 0; i < 10; i++) {
        size_t bytes = 32768u << i % 4;
        void *stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        pthread_attr_init(&attributes);
        pthread_attr_setstack(&attributes, stack, bytes);
        pthread_create(&id[0], &attributes, run_small, NULL);
        pthread_join(id[0], NULL);
        munmap(stack, bytes);
    }
    return expect("expect 2100001 800 work run @libc.so.6 @libc.so.6\n"
                  "expect 2100002 80 work destructor @libc.so.6#+\n"
                  "expect 2100003 10 work run_small @libc.so.6 @libc.so.6\n");
}
