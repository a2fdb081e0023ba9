/*
 * How much of the program's stack each hook uses: the stack below is painted, the hook is called, and what has changed is looked at. Prints for each call
 * the most that it used at its first times (the first event of a thread and new call sites among them) and at later ones.
 */
#include "behaviour.h"
#include <pthread.h>
#include <sys/mman.h>

#define ROOM 6000
#define PAINT 0xa5

static void *kept;

static __attribute__((noinline)) void paint(void)
{
    unsigned char room[ROOM + 256];
    memset(room, PAINT, sizeof room);
    __asm__ volatile("" : : "r"(room) : "memory");
}

static __attribute__((noinline)) int used(void)
{
    unsigned char room[ROOM];
    int i = 0;
    __asm__ volatile("" : "=m"(room));
    while (i < ROOM && room[i] == PAINT)
        i++;
    return ROOM - i;
}

static void call_malloc(void)
{
    kept = malloc(100);
}
static void call_calloc(void)
{
    kept = calloc(3, 30);
}
static void call_realloc(void)
{
    kept = realloc(kept, 300);
}
static void call_memalign(void)
{
    posix_memalign(&kept, 64, 64) ? abort() : (void)0;
}
static void call_free(void)
{
    free(kept);
}
static void call_mmap(void)
{
    kept = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
static void call_munmap(void)
{
    munmap(kept, 4096);
}

static const struct {
    const char *name;
    void (*call)(void);
} calls[] = {{"malloc", call_malloc}, {"realloc", call_realloc}, {"free", call_free},
             {"calloc", call_calloc}, {"free", call_free},       {"memalign", call_memalign},
             {"free", call_free},     {"mmap", call_mmap},       {"munmap", call_munmap}};
#define CALLS (sizeof calls / sizeof *calls)

static int first[CALLS], later[CALLS];

static void measure(unsigned i, int *most)
{
    paint();
    calls[i].call();
    int n = used();
    most[i] = n > most[i] ? n : most[i];
}

/* Every path of left and right is a stack of its own, and every block stays: all tables grow, and some moment finds each of them full. */
#define PATHS 14
#define GROWTHS (1u << PATHS)
static int growth[3];
static void *grown[3][GROWTHS];

static void grow_malloc(unsigned i)
{
    grown[0][i] = malloc(i % 3000);
}
static void grow_realloc(unsigned i)
{
    grown[0][i] = realloc(grown[0][i], i % 2000 + 1);
}
static void grow_mmap(unsigned i)
{
    if (i % 16 == 0)
        grown[2][i] = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static __attribute__((noinline)) void at_leaf(unsigned kind, unsigned i)
{
    static void (*const grow[])(unsigned) = {grow_malloc, grow_realloc, grow_mmap};
    paint();
    grow[kind](i);
    int n = used();
    growth[kind] = n > growth[kind] ? n : growth[kind];
}

static __attribute__((noinline)) int left(unsigned kind, unsigned i, unsigned depth);
static __attribute__((noinline)) int right(unsigned kind, unsigned i, unsigned depth)
{
    int below = !depth ? at_leaf(kind, i), 0 : i >> depth & 1 ? right(kind, i, depth - 1) : left(kind, i, depth - 1);
    __asm__ volatile("" : "+r"(below)); /* no tail call */
    return below + 1;
}
static __attribute__((noinline)) int left(unsigned kind, unsigned i, unsigned depth)
{
    int below = !depth ? at_leaf(kind, i), 0 : i >> depth & 1 ? right(kind, i, depth - 1) : left(kind, i, depth - 1);
    __asm__ volatile("" : "+r"(below));
    return below + 2;
}

/* Each thread begins with another call. */
static void *one_thread(void *argument)
{
    unsigned from = (unsigned)(uintptr_t)argument;
    for (unsigned i = from; i < CALLS; i++)
        measure(i, first);
    for (int round = 0; round < 100; round++)
        for (unsigned i = 0; i < CALLS; i++)
            measure(i, round ? later : first);
    return NULL;
}

int main(void)
{
    static const unsigned from[] = {0, 3, 5, 7};
    measure(0, first);
    free(kept);
    for (unsigned i = 0; i < sizeof from / sizeof *from; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, one_thread, (void *)(uintptr_t)from[i]) == 0);
        pthread_join(thread, NULL);
    }
    for (unsigned i = 0; i < CALLS; i++)
        printf("%u.%s %d %d\n", i, calls[i].name, first[i], later[i]);
    static const char *const names[] = {"malloc", "realloc", "mmap"};
    for (unsigned kind = 0; kind < 3; kind++) {
        for (unsigned i = 0; i < GROWTHS; i++)
            left(kind, i, PATHS);
        printf("growing.%s %d %d\n", names[kind], growth[kind], growth[kind]);
    }
}
