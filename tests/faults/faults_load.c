/*
 * A little of everything that takes the shim off its beaten path: more threads than one, a stack of many frames, enough
 * blocks to make tables grow, libraries that come and go, a fork whose child allocates. Prints a sum over the contents of its blocks, and its open
 * descriptors; both must be the same whatever fails inside heaptap.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCKS 7000

static uint64_t fill(unsigned depth, unsigned seed)
{
    static __thread char *block[BLOCKS];
    uint64_t sum = 0;
    if (depth)
        return fill(depth - 1, seed) + 1;
    for (unsigned i = 0; i < BLOCKS; i++) {
        size_t size = 8 + (i * 37 + seed) % 300;
        block[i] = malloc(size);
        memset(block[i], (int)(i + seed), size);
    }
    for (unsigned i = 0; i < BLOCKS; i += 3)
        block[i] = realloc(block[i], 500);
    for (unsigned i = 0; i < BLOCKS; i++) {
        sum += (unsigned char)block[i][7];
        if (i % 5)
            free(block[i]);
    }
    void *map = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sum += map == MAP_FAILED ? 0 : ((unsigned char *)map)[12345] + 1u;
    munmap(map, 1 << 19);
    return sum;
}

static void *work(void *argument)
{
    return (void *)(uintptr_t)fill(40, (unsigned)(uintptr_t)argument);
}

static uint64_t load(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < 3; i++) {
        void *library = dlopen("libm.so.6", RTLD_NOW);
        sum += library && dlsym(library, "cos");
        free(malloc(100));
        if (library)
            dlclose(library);
        free(malloc(100));
    }
    return sum;
}

static unsigned descriptors(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

int main(void)
{
    pthread_t thread[3];
    uint64_t sum = fill(10, 1) + load();
    int status = 0;
    for (uintptr_t i = 0; i < 3; i++)
        pthread_create(&thread[i], NULL, work, (void *)i);
    for (int i = 0; i < 3; i++) {
        void *result;
        pthread_join(thread[i], &result);
        sum += (uintptr_t)result;
    }
    pid_t child = fork();
    if (!child)
        _exit((int)((fill(5, 9) + load()) % 100));
    waitpid(child, &status, 0);
    printf("%ju %d %u\n", (uintmax_t)sum, status, descriptors());
    return 0;
}
