/* A program whose profile is known: what each function allocates, keeps and maps. Its stacks run through functions that are inlined. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define KEEP __attribute__((noinline, noclone))

void *volatile kept[64];

static inline __attribute__((always_inline)) void *inlined_leaf(size_t bytes)
{
    return malloc(bytes); /* line of the allocation */
}

KEEP void keeps_ten(void)
{
    for (int i = 0; i < 10; i++)
        kept[i] = inlined_leaf(1000);
    __asm__ volatile("" ::: "memory");
}

KEEP void frees_all(void)
{
    for (int i = 0; i < 20; i++) {
        void *volatile block = inlined_leaf(500);
        free(block);
    }
    __asm__ volatile("" ::: "memory");
}

KEEP void maps(void)
{
    kept[20] = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    __asm__ volatile("" ::: "memory");
}

KEEP void shared_place(int slot)
{
    kept[slot] = malloc(300);
    __asm__ volatile("" ::: "memory");
}

static void *thread(void *name)
{
    pthread_setname_np(pthread_self(), name);
    shared_place(name && ((const char *)name)[0] == 'o' ? 30 : 31);
    return NULL;
}

static void run_thread(char *name)
{
    pthread_t id;
    if (pthread_create(&id, NULL, thread, name) == 0)
        pthread_join(id, NULL);
}

int main(void)
{
    static char one[] = "one", two[] = "two";
    keeps_ten();
    frees_all();
    maps();
    run_thread(one);
    run_thread(two);
    return 0;
}
