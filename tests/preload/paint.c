/*
 * How much of the program's stack a hook uses: the stack below is painted, the hook is called, and what has changed is looked at. Prints the most
 * that any call used, for the first call of a thread and for later ones; test_preload compares it with the same program without the shim.
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

static void (*const calls[])(void) = {call_malloc,   call_realloc, call_free, call_calloc, call_free,
                                      call_memalign, call_free,    call_mmap, call_munmap};

static int measure(void (*call)(void))
{
    paint();
    call();
    return used();
}

/* Each thread begins with another call. */
static void *one_thread(void *argument)
{
    int *most = argument, n;
    unsigned first = (unsigned)most[2], last = sizeof calls / sizeof *calls;
    n = measure(calls[first]);
    most[0] = n > most[0] ? n : most[0];
    for (int round = 0; round < 100; round++)
        for (unsigned i = round ? 0 : first + 1; i < last; i++) {
            n = measure(calls[i]);
            most[1] = n > most[1] ? n : most[1];
        }
    return NULL;
}

int main(void)
{
    int most[3] = {0, 0, 0}, n = measure(call_malloc);
    const int first_calls[] = {0, 3, 5, 7};
    free(kept);
    for (unsigned i = 0; i < sizeof first_calls / sizeof *first_calls; i++) {
        pthread_t thread;
        most[2] = first_calls[i];
        CHECK(pthread_create(&thread, NULL, one_thread, most) == 0);
        pthread_join(thread, NULL);
    }
    printf("process %d thread %d steady %d\n", n, most[0], most[1]);
}
