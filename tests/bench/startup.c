/*
 * Starts /bin/true again and again in several environments, in turn: `startup TIMES NAME=VALUE... [-- NAME=VALUE...]...`.
 * Prints, as JSON, microseconds of each start by environment, in the order of the starts: from spawning to having waited, and its processor time.
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define SETS_MAX 16
#define WARM 5 /* starts that are not counted */

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int start(char **environment, double *wall, double *cpu)
{
    char *argv[] = {"true", NULL};
    struct rusage used;
    pid_t child;
    int status;
    double began = now_us();
    if (posix_spawn(&child, "/bin/true", NULL, NULL, argv, environment) != 0 ||
        wait4(child, &status, 0, &used) != child || status != 0)
        return -1;
    *wall = now_us() - began;
    *cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    return 0;
}

static void print(const char *name, const double *of, int sets, int times)
{
    printf("\"%s\": [", name);
    for (int s = 0; s < sets; s++) {
        for (int i = 0; i < times; i++)
            printf("%s%.1f", i ? ", " : s ? ", [" : "[", of[s * times + i]);
        printf("]");
    }
    printf("]");
}

int main(int argc, char **argv)
{
    char **set[SETS_MAX];
    int sets = 1, times = argc > 1 ? atoi(argv[1]) : 0;
    if (times < 1)
        return 2;
    set[0] = argv + 2;
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], "--") == 0 && sets < SETS_MAX) {
            argv[i] = NULL;
            set[sets++] = argv + i + 1;
        }
    double *wall = malloc(sizeof(double) * (size_t)(sets * times)),
           *cpu = malloc(sizeof(double) * (size_t)(sets * times));
    int bad = !wall || !cpu;
    for (int i = -WARM; i < times && !bad; i++)
        for (int s = 0; s < sets && !bad; s++) {
            int at = s * times + (i < 0 ? 0 : i);
            bad = start(set[s], &wall[at], &cpu[at]) < 0;
            if (bad)
                fprintf(stderr, "/bin/true did not end well with %s\n", set[s][0]);
        }
    if (!bad) {
        printf("{");
        print("wall", wall, sets, times);
        printf(", ");
        print("cpu", cpu, sets, times);
        printf("}\n");
    }
    free(wall);
    free(cpu);
    return bad;
}
