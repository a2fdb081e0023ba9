/*
 * mlockall, in each of its ways: the program's memory is locked and populated as it asked for, what the shim keeps in reserve is not, and what the program
 * may have under RLIMIT_MEMLOCK it still gets, as do its threads and children.
 *
 * mlockall FLAGS [limit | drop | syscall | filter | two]: the flags as a number. two: by two threads at once. limit: with as little as most users have, from before the call; drop: from after it.
 * filter: under a filter that kills for any other call about locks.
 */
#include "behaviour.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PAGE 4096
#define REGION (64 * PAGE)
#define LIMIT (8 << 20)
#define THREADS 8

static char sparse[REGION + PAGE];

/* A figure of /proc/self/status, in KiB. */
static long status(const char *key)
{
    char line[256];
    long value = -1;
    FILE *file = fopen("/proc/self/status", "r");
    CHECK(file);
    while (value < 0 && fgets(line, sizeof line, file))
        if (!strncmp(line, key, strlen(key)))
            value = atol(line + strlen(key) + 1);
    fclose(file);
    return value;
}

/* Whether the mapping around an address is locked. */
static int is_locked(const void *p)
{
    char line[512];
    unsigned long start, end;
    int here = 0, locked = -1;
    FILE *file = fopen("/proc/self/smaps", "r");
    CHECK(file);
    while (locked < 0 && fgets(line, sizeof line, file)) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            here = (uintptr_t)p >= start && (uintptr_t)p < end;
        else if (here && !strncmp(line, "VmFlags:", 8))
            locked = strstr(line, " lo") != NULL;
    }
    fclose(file);
    return locked;
}

static int populated(void *p)
{
    unsigned char in[REGION / PAGE];
    int pages = 0;
    CHECK(mincore(p, REGION, in) == 0);
    for (int i = 0; i < REGION / PAGE; i++)
        pages += in[i] & 1;
    return pages;
}

static void check(void *p, int locked, int filled)
{
    CHECK(is_locked(p) == locked);
    CHECK(populated(p) == (filled ? REGION / PAGE : 0));
}

static void *region(void)
{
    void *p = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

static void limit(void)
{
    struct rlimit limit = {LIMIT, LIMIT};
    CHECK(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    if (geteuid() == 0)
        CHECK(setresuid(65534, 65534, 65534) == 0);
}

#define KILL(n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (n), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

static void put_filter_on(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        KILL(SYS_mlock),
        KILL(SYS_mlock2),
        KILL(SYS_munlock),
        KILL(SYS_munlockall),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void do_blocks(void)
{
    void *p[10];
    for (int i = 0; i < 10; i++) {
        p[i] = malloc(200000);
        CHECK(p[i]);
        memset(p[i], 1, 200000);
    }
    for (int i = 0; i < 10; i++)
        free(p[i]);
}

static pthread_barrier_t barrier;

static void do_thread(void)
{
    free(malloc(30));
}

static void *run(void *p)
{
    do_thread();
    pthread_barrier_wait(&barrier);
    return p;
}

/* All at once: each has a state of its own in the shim. */
static void start_threads(void)
{
    pthread_t thread[THREADS];
    pthread_attr_t attr;
    CHECK(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    CHECK(pthread_attr_init(&attr) == 0 && pthread_attr_setstacksize(&attr, 64 << 10) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], &attr, run, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
}

static void do_child(void)
{
    free(malloc(40));
}

static void fork_child(int flags)
{
    int state;
    pid_t pid = fork();
    if (pid == 0) {
        do_child();
        CHECK(status("VmLck") == 0 && status("RssShmem") < 2048);
        CHECK(mlockall(flags) == 0); /* nothing of its parent's is the child's now */
        CHECK(status("VmLck") < 64 << 10);
        exit(0);
    }
    CHECK(waitpid(pid, &state, 0) == pid && state == 0);
}

static void *lock_all(void *flags)
{
    pthread_barrier_wait(&barrier);
    CHECK(mlockall(*(int *)flags) == 0);
    return flags;
}

static void lock_by_two(int flags)
{
    pthread_t other;
    pthread_attr_t attr;
    CHECK(pthread_barrier_init(&barrier, NULL, 2) == 0);
    CHECK(pthread_attr_init(&attr) == 0 && pthread_attr_setstacksize(&attr, 64 << 10) == 0);
    CHECK(pthread_create(&other, &attr, lock_all, &flags) == 0);
    lock_all(&flags);
    CHECK(pthread_join(other, NULL) == 0);
}

static void lock(int flags, const char *how)
{
    errno = 7;
    if (!strcmp(how, "two"))
        lock_by_two(flags);
    else
        CHECK((strcmp(how, "syscall") ? mlockall(flags) : syscall(SYS_mlockall, flags)) == 0);
    CHECK(errno == 7);
}

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    int flags = atoi(argv[1]), current = flags & MCL_CURRENT, future = flags & MCL_FUTURE,
        at_once = !(flags & MCL_ONFAULT);
    const char *how = argc > 2 ? argv[2] : "";
    char *own = (char *)(((uintptr_t)sparse + PAGE - 1) & ~(uintptr_t)(PAGE - 1)), *before = region();
    CHECK(mallopt(M_ARENA_MAX, 1)); /* the threads' heaps would be locked as a whole, too */
    if (!strcmp(how, "limit"))
        limit();
    if (!strcmp(how, "filter"))
        put_filter_on();
    lock(flags, how);
    check(own, current != 0, current && at_once);
    check(before, current != 0, current && at_once);
    CHECK(is_locked(&own) == (current != 0)); /* the stack */
    if (!strcmp(how, "filter"))
        return 0; /* with what is the shim's, which cannot be helped */
    CHECK(status("VmLck") < 5120 && status("RssShmem") < 2048 && status("RssAnon") < 8192);
    if (!strcmp(how, "drop"))
        limit();
    check(region(), future != 0, future && at_once);
    start_threads();
    do_blocks();
    CHECK(status("RssShmem") < 2048 && status("RssAnon") < 8192);
    fork_child(flags);
}
