/*
 * What fork costs a process with many live blocks: `fork BLOCKS FORKS` prints the median time of fork, _exit and wait in microseconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    size_t blocks = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
    size_t forks = argc > 2 ? strtoul(argv[2], NULL, 10) : 31;
    void **block = malloc(blocks * sizeof *block);
    double *took = malloc(forks * sizeof *took);
    if (!block || !took) {
        free(block);
        free(took);
        return 1;
    }
    for (size_t i = 0; i < blocks; i++)
        block[i] = malloc(16 + i * 7 % 100);
    for (size_t i = 0; i < forks; i++) {
        double start = now_us();
        pid_t child = fork();
        if (!child)
            _exit(0);
        waitpid(child, NULL, 0);
        took[i] = now_us() - start;
    }
    qsort(took, forks, sizeof *took, by_size);
    printf("%.0f\n", took[forks / 2]);
    for (size_t i = 0; i < blocks; i++)
        free(block[i]);
    free(block);
    free(took);
    return 0;
}
