/*
 * malloc/free pairs at a stack depth: `pairs PAIRS DEPTH [THREADS [PROCESSES]]` prints the processor time of a pair in nanoseconds; of more than one process,
 * which do it at once, the mean. 16 to 271 bytes at random (one in 1024 is 8 KiB), 8 call sites, 10,000 live blocks in each thread. Built without frame pointers.
 */
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIVE 10000
#define THREADS_MAX 64
#define PROCESSES_MAX 16

/* A call of its own each: the compiler would make one of what is the same. */
#define SITE(n, size)                                                                                                  \
    ({                                                                                                                 \
        void *block = malloc(size);                                                                                    \
        __asm__ volatile("# site " #n : "+r"(block));                                                                  \
        block;                                                                                                         \
    })

static unsigned long pairs;
static int depth;

static __attribute__((noinline)) void *allocate(unsigned site, size_t size)
{
    void *volatile p;
    switch (site) {
    case 0: p = SITE(0, size); break;
    case 1: p = SITE(1, size); break;
    case 2: p = SITE(2, size); break;
    case 3: p = SITE(3, size); break;
    case 4: p = SITE(4, size); break;
    case 5: p = SITE(5, size); break;
    case 6: p = SITE(6, size); break;
    default: p = SITE(7, size);
    }
    return p;
}

static __attribute__((noinline)) int work(unsigned seed)
{
    void **block = calloc(LIVE, sizeof *block);
    for (unsigned long i = 0; i < pairs; i++) {
        seed = seed * 1664525u + 1013904223u;
        unsigned k = (seed >> 8) % LIVE;
        size_t size = i % 1024 ? 16 + (seed >> 20 & 255) : 8192;
        free(block[k]);
        block[k] = allocate(seed >> 29, size);
    }
    for (int i = 0; i < LIVE; i++)
        free(block[i]);
    free(block);
    return 0;
}

static __attribute__((noinline)) int descend(int frames, unsigned seed)
{
    int below = frames > 0 ? descend(frames - 1, seed) : work(seed);
    __asm__ volatile("" : "+r"(below)); /* no tail call */
    return below + 1;
}

static void *thread(void *argument)
{
    descend(depth - 3, (unsigned)(size_t)argument);
    return NULL;
}

/* A pair of all threads together. */
static double measure(int count)
{
    pthread_t threads[THREADS_MAX];
    struct timespec used;
    if (count == 1)
        thread((void *)1);
    else
        for (int i = 0; i < count; i++)
            pthread_create(&threads[i], NULL, thread, (void *)(size_t)i);
    for (int i = 0; i < count && count > 1; i++)
        pthread_join(threads[i], NULL);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return ((double)used.tv_sec * 1e9 + (double)used.tv_nsec) / (double)pairs / count;
}

/* Starts another process that does the same. Returns where its figure comes from; below 0: it could not be started. */
static int another(char **argv)
{
    extern char **environ;
    char *command[] = {argv[0], argv[1], argv[2], argv[3], NULL};
    posix_spawn_file_actions_t actions;
    int ends[2];
    if (pipe(ends))
        return -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    int error = posix_spawn(&(pid_t){0}, argv[0], &actions, NULL, command, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    return error ? -1 : ends[0];
}

static double figure_of(int from)
{
    char text[32];
    ssize_t length = from < 0 ? -1 : read(from, text, sizeof text - 1);
    if (length <= 0)
        exit(1);
    text[length] = 0;
    return strtod(text, NULL);
}

int main(int argc, char **argv)
{
    int others[PROCESSES_MAX];
    int count = argc > 3 ? atoi(argv[3]) : 1, processes = argc > 4 ? atoi(argv[4]) : 1;
    if (argc < 3 || count < 1 || count > THREADS_MAX || processes < 1 || processes > PROCESSES_MAX)
        return 2;
    pairs = strtoul(argv[1], NULL, 10);
    depth = atoi(argv[2]);
    for (int i = 1; i < processes; i++)
        others[i] = another(argv);
    double sum = measure(count);
    for (int i = 1; i < processes; i++)
        sum += figure_of(others[i]);
    printf("%.1f\n", sum / processes);
    while (wait(NULL) > 0) {
    }
    return 0;
}
