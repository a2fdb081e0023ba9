/*
 * Fork children of a process of which another thread is just making the first event: that thread is stopped after every so many instructions (ptrace) of that, and
 * each time the main thread forks, in turn by libc and by a raw system call. Each child is recorded as any other, also where it limits its addresses before.
 * fork_start INSTRUCTIONS
 */
#include "behaviour.h"
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define BLOCKS 20
#define LIMIT ((rlim_t)4 << 30)

static struct shared {
    volatile pid_t starter;
    volatile bool go, done;
} * shared;
static int asked[2], answered[2];

static void do_before(void)
{
    free(malloc(5));
}

static void *make_stack(void *argument)
{
    return argument;
}

/* Has a file, where that is to be made. */
static bool is_recorded(void)
{
    char path[300];
    const char *directory = getenv("HEAPTAP_DIR");
    snprintf(path, sizeof path, "%s/heaptap.fork_start.%d", directory, (int)getpid());
    return !directory || access(path, F_OK) == 0;
}

static void limit_addresses(void)
{
    struct rlimit limit = {LIMIT, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

static void do_child(char turn)
{
    if (turn & 2)
        limit_addresses();
    for (int i = 0; i < BLOCKS; i++)
        free(malloc(20));
    CHECK(is_recorded());
    _exit(0);
}

static void *do_first(void *argument)
{
    shared->starter = (pid_t)syscall(SYS_gettid);
    while (!shared->go) {
    }
    free(malloc(10));
    shared->done = true;
    return argument;
}

static void do_process(void)
{
    pthread_t thread;
    char turn;
    CHECK(pthread_create(&thread, NULL, do_first, NULL) == 0);
    while (read(asked[0], &turn, 1) == 1) {
        pid_t pid = turn & 1 ? (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : fork();
        if (pid == 0)
            do_child(turn);
        wait_for(pid);
        CHECK(write(answered[1], &turn, 1) == 1);
    }
    CHECK(pthread_join(thread, NULL) == 0 && is_recorded());
    for (int i = 1; i < BLOCKS; i++) /* as many as each child has */
        free(malloc(30));
    _exit(0);
}

/* Until the starter has done so many instructions, or what it had to. */
static void step(long instructions)
{
    int status;
    for (long i = 0; i < instructions && !shared->done; i++) {
        CHECK(ptrace(PTRACE_SINGLESTEP, shared->starter, 0, 0) == 0);
        CHECK(waitpid(shared->starter, &status, __WALL) == shared->starter && WIFSTOPPED(status));
    }
}

static void trace(long instructions)
{
    int status;
    char turn = 0;
    while (!shared->starter)
        usleep(100);
    CHECK(ptrace(PTRACE_SEIZE, shared->starter, 0, 0) == 0 && ptrace(PTRACE_INTERRUPT, shared->starter, 0, 0) == 0);
    CHECK(waitpid(shared->starter, &status, __WALL) == shared->starter && WIFSTOPPED(status));
    shared->go = true;
    while (!shared->done) {
        step(instructions);
        CHECK(write(asked[1], &turn, 1) == 1 && read(answered[0], &turn, 1) == 1);
        printf("process fork_start\ntotal %d %d\n", BLOCKS, BLOCKS);
        turn++;
    }
    CHECK(ptrace(PTRACE_DETACH, shared->starter, 0, 0) == 0);
    close(asked[1]);
}

int main(int argc, char **argv)
{
    pthread_t thread;
    long instructions = argc > 1 ? atol(argv[1]) : 0;
    CHECK(instructions > 0 && pipe(asked) == 0 && pipe(answered) == 0);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    do_before();
    CHECK(pthread_create(&thread, NULL, make_stack, NULL) == 0 && pthread_join(thread, NULL) == 0);
    printf("process fork_start\ntotal 1 1\nprocess fork_start\ntotal %d %d\n", BLOCKS, BLOCKS);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        close(asked[1]);
        close(answered[0]);
        do_process();
    }
    close(asked[0]);
    close(answered[1]);
    trace(instructions);
    wait_for(pid);
    fflush(stdout);
}
