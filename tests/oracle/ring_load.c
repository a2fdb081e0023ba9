/*
 * A load with every kind of event, for test_ring.  ring_load THREADS CALLS SEED
 * Blocks are kept in slots that all threads share, so that many are freed by a thread that did not allocate them. Ends by _exit: what lives, lives.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOTS 512

static void *_Atomic blocks[SLOTS];
static unsigned calls, seed;

static void *load_small(unsigned dice)
{
    return malloc(dice % 300);
}

static void *load_zeroed(unsigned dice)
{
    return calloc(1 + dice % 7, dice % 5000);
}

static void *load_aligned(unsigned dice)
{
    void *p = NULL;
    return posix_memalign(&p, 64u << dice % 4, dice % 900) ? NULL : p;
}

static void *load_grown(void *p, unsigned dice)
{
    return realloc(p, 1 + dice % 9000);
}

static void load_map(unsigned dice)
{
    char *p = mmap(NULL, 65536, dice & 1 ? PROT_NONE : PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return;
    size_t hole = (size_t)(dice & 6) * 4096;
    munmap(p + hole, 8192); /* leaves one part or two; the hole may be another thread's at once */
    if (dice & 8) {
        if (hole)
            munmap(p, hole);
        munmap(p + hole + 8192, 65536 - hole - 8192);
    }
}

static void *load_thread(void *argument)
{
    unsigned state = seed + (unsigned)(uintptr_t)argument * 104729;
    for (unsigned n = 0; n < calls; n++) {
        unsigned dice = (unsigned)rand_r(&state), slot = dice % SLOTS;
        void *p = atomic_exchange(&blocks[slot], NULL);
        unsigned way = (dice >> 10) % 8;
        dice >>= 13;
        if (p && way < 3)
            p = load_grown(p, dice);
        else {
            free(p);
            p = way < 4 ? load_small(dice) : way < 5 ? load_zeroed(dice) : way < 6 ? load_aligned(dice) : NULL;
        }
        if (n % 64 == 0)
            load_map(dice);
        free(atomic_exchange(&blocks[slot], p));
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread[64];
    unsigned threads = argc == 4 ? (unsigned)atoi(argv[1]) : 0;
    if (threads < 1 || threads > 64)
        return 2;
    calls = (unsigned)atoi(argv[2]);
    seed = (unsigned)atoi(argv[3]);
    for (unsigned i = 1; i < threads; i++)
        if (pthread_create(&thread[i], NULL, load_thread, (void *)(uintptr_t)i))
            return 2;
    load_thread(NULL);
    for (unsigned i = 1; i < threads; i++)
        pthread_join(thread[i], NULL);
    _exit(0);
}
