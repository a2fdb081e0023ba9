/*
 * Threads on one call site: `contend site PAIRS THREADS`, malloc/free pairs in each thread; and allocation in one thread freed in another: `contend queue
 * PAIRS THREADS`, half of the threads allocate, the others free, by batches through bounded queues; with one thread it does both. PAIRS, and the blocks
 * that can be live at once, are those of all threads together, so that more threads need no more cache. Prints nanoseconds of the process's processor time a pair.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIVE 16384
#define BATCH 256
#define ROOM (LIVE / BATCH) /* batches in all queues */
#define THREADS_MAX 64

static unsigned long pairs; /* of each thread; of each queue */
static unsigned share;      /* blocks of each thread; batches in each queue */

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned put, taken;
    void *batch[ROOM][BATCH];
} __attribute__((aligned(64)));

static struct queue queues[THREADS_MAX / 2];

static size_t next_size(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return 16 + (*seed >> 20 & 255);
}

/* The one call site. */
static __attribute__((noinline)) void *allocate(size_t size)
{
    void *volatile p = malloc(size);
    return p;
}

static void *site(void *argument)
{
    unsigned seed = (unsigned)(size_t)argument;
    void **block = calloc(share, sizeof *block);
    for (unsigned long i = 0; block && i < pairs; i++) {
        size_t size = next_size(&seed);
        unsigned k = (seed >> 8) % share;
        free(block[k]);
        block[k] = allocate(size);
    }
    for (unsigned i = 0; block && i < share; i++)
        free(block[i]);
    free(block);
    return NULL;
}

static void *produce(void *argument)
{
    struct queue *queue = argument;
    unsigned seed = 1;
    for (unsigned long done = 0; done < pairs; done += BATCH) {
        void *batch[BATCH];
        for (int i = 0; i < BATCH; i++)
            batch[i] = allocate(next_size(&seed));
        pthread_mutex_lock(&queue->lock);
        while (queue->put - queue->taken == share)
            pthread_cond_wait(&queue->changed, &queue->lock);
        memcpy(queue->batch[queue->put++ % share], batch, sizeof batch);
        pthread_cond_signal(&queue->changed);
        pthread_mutex_unlock(&queue->lock);
    }
    return NULL;
}

static void *consume(void *argument)
{
    struct queue *queue = argument;
    for (unsigned long done = 0; done < pairs; done += BATCH) {
        void *batch[BATCH];
        pthread_mutex_lock(&queue->lock);
        while (queue->put == queue->taken)
            pthread_cond_wait(&queue->changed, &queue->lock);
        memcpy(batch, queue->batch[queue->taken++ % share], sizeof batch);
        pthread_cond_signal(&queue->changed);
        pthread_mutex_unlock(&queue->lock);
        for (int i = 0; i < BATCH; i++)
            free(batch[i]);
    }
    return NULL;
}

/* What both sides do, in one thread: a full queue is emptied. */
static void alternate(struct queue *queue)
{
    unsigned long all = pairs;
    pairs = (unsigned long)share * BATCH;
    for (unsigned long done = 0; done < all; done += pairs) {
        produce(queue);
        consume(queue);
    }
    pairs = all;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS_MAX];
    struct timespec used;
    int count = argc > 3 ? atoi(argv[3]) : 0, through = argc > 3 && strcmp(argv[1], "queue") == 0;
    if (count < 1 || count > THREADS_MAX || (through && count > 1 && count % 2))
        return 2;
    unsigned long all = strtoul(argv[2], NULL, 10);
    int parts = through && count > 1 ? count / 2 : count;
    pairs = all / (unsigned long)parts;
    share = (unsigned)((through ? ROOM : LIVE) / parts);
    for (int i = 0; i < THREADS_MAX / 2; i++) {
        pthread_mutex_init(&queues[i].lock, NULL);
        pthread_cond_init(&queues[i].changed, NULL);
    }
    if (count == 1 && through)
        alternate(&queues[0]);
    for (int i = 0; i < count && !(count == 1 && through); i++)
        pthread_create(&threads[i], NULL,
                       !through ? site
                       : i % 2  ? consume
                                : produce,
                       through ? (void *)&queues[i / 2] : (void *)(size_t)(i + 1));
    for (int i = 0; i < count && !(count == 1 && through); i++)
        pthread_join(threads[i], NULL);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    printf("%.1f\n", ((double)used.tv_sec * 1e9 + (double)used.tv_nsec) / (double)all);
    return 0;
}
