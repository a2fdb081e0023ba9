/*
 * A process that limits its own addresses (RLIMIT_AS) has what it would have without the shim, which goes on recording.
 *
 * address_limit later [WAY]: by setrlimit, setrlimit64, prlimit, own (prlimit of its own pid), thread (of that of one of its threads), syscall or syscall64; and
 *               what is refused, or no limit, changes nothing.
 *               child: a fork child, first thing; its own children, while it has something mapped where the shim had
 *               vfork: a child that borrows the memory; its limit is not its parent's
 *               threads: while others allocate, and tables grow
 *               handler: in a signal handler that interrupts whatever
 *               ended: after many threads, which have ended
 *               both: two threads at once
 *               fork: while another thread forks; the child limits its own
 *               beside: in a fork child, where nothing may be recorded, in a thread beside the one that has forked, which allocates
 *               new: in a child of a thread that has not allocated anything, beside many that have
 *               hard: above a hard limit, which is refused
 *               generations: in each of a long row of processes, of which each is the child of the one before, and raises the limit again
 *               filter: under a seccomp filter that does not allow what giving back takes, where nothing is recorded; and in a fork child, which puts it in
 */
#include "behaviour.h"
#include <fcntl.h>
#include <pthread.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>

#define LIMIT (240ul << 20)
#define MOST (64ul << 20)   /* of addresses that are left in use */
#define LEAST (200ul << 20) /* that are in use before */
#define BLOCKS 1000
#define MANY 250000 /* live ones, more than there is room for below LIMIT */
#define REGIONS 150
#define REGION ((size_t)256 << 10)
#define CHILDREN 60
#define STEPS 12
#define GENERATIONS 100

static size_t addresses(void)
{
    char text[64] = "";
    int fd = open("/proc/self/statm", O_RDONLY);
    CHECK(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    close(fd);
    return strtoul(text, NULL, 10) * 4096;
}

static void *limit_thread(void *limit)
{
    CHECK(prlimit64((pid_t)syscall(SYS_gettid), RLIMIT_AS, limit, NULL) == 0);
    return NULL;
}

static pthread_t start(void *(*function)(void *), void *argument)
{
    pthread_t thread;
    pthread_attr_t attributes;
    CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 64 << 10) == 0);
    CHECK(pthread_create(&thread, &attributes, function, argument) == 0);
    pthread_attr_destroy(&attributes);
    return thread;
}

static void limit_by(const char *way, rlim_t bytes)
{
    struct rlimit limit = {bytes, RLIM_INFINITY};
    struct rlimit64 limit64 = {bytes, RLIM64_INFINITY};
    int result = -1;
    errno = 77;
    if (!strcmp(way, "setrlimit"))
        result = setrlimit(RLIMIT_AS, &limit);
    else if (!strcmp(way, "setrlimit64"))
        result = setrlimit64(RLIMIT_AS, &limit64);
    else if (!strcmp(way, "prlimit"))
        result = prlimit(0, RLIMIT_AS, &limit, NULL);
    else if (!strcmp(way, "own"))
        result = prlimit64(getpid(), RLIMIT_AS, &limit64, NULL);
    else if (!strcmp(way, "thread"))
        result = pthread_join(start(limit_thread, &limit64), NULL);
    else if (!strcmp(way, "syscall"))
        result = (int)syscall(SYS_prlimit64, 0, RLIMIT_AS, &limit64, NULL);
#ifdef SYS_setrlimit
    else
        result = (int)syscall(SYS_setrlimit, RLIMIT_AS, &limit);
#endif
    CHECK(result == 0 && errno == 77);
}

static void do_some(void)
{
    void *p[BLOCKS];
    for (int i = 0; i < BLOCKS; i++)
        CHECK((p[i] = malloc(100)));
    for (int i = 0; i < BLOCKS; i++)
        free(p[i]);
}

static void do_large(void)
{
    void *p = malloc(1 << 20);
    CHECK(p);
    free(p);
}

static void do_many(void)
{
    static void *p[MANY];
    for (int i = 0; i < MANY; i++)
        CHECK((p[i] = malloc(16)));
    for (int i = 0; i < MANY; i++)
        free(p[i]);
}

/* ---- Later ---- */

static void refused(void)
{
    size_t before = addresses();
    struct rlimit limit = {LIMIT, LIMIT - 1}, now;
    CHECK(setrlimit(RLIMIT_AS, &limit) == -1 && errno == EINVAL);
    CHECK(syscall(SYS_prlimit64, 0, RLIMIT_AS, (void *)8, NULL) == -1 && errno == EFAULT);
    CHECK(prlimit(0, RLIMIT_AS, NULL, &now) == 0 && now.rlim_cur == RLIM_INFINITY);
    CHECK(setrlimit(RLIMIT_AS, &now) == 0);
    limit = (struct rlimit){LIMIT, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_DATA, &limit) == 0);
    limit.rlim_cur = RLIM_INFINITY;
    CHECK(setrlimit(RLIMIT_DATA, &limit) == 0);
    CHECK(addresses() == before && before >= LEAST);
}

static void later(const char *way)
{
    do_some();
    refused();
    limit_by(way, LIMIT);
    CHECK(addresses() <= MOST);
    do_large();
    do_many();
    limit_by(way, LIMIT / 2);
    do_some();
    printf("total %d %d\n", 2 * BLOCKS + 1 + MANY, 2 * BLOCKS + 1 + MANY);
}

/* ---- Children ---- */

/* Memory where the shim had some, as it is likely to be. */
static char *mine[REGIONS];

static void take_holes(void)
{
    for (int i = 0; i < REGIONS; i++) {
        mine[i] = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(mine[i] != MAP_FAILED);
        *mine[i] = (char)i;
    }
}

/* Nobody else has stored there, or made it memory. */
static void check_holes(void)
{
    unsigned char in[REGION / 4096];
    for (int i = 0; i < REGIONS; i++) {
        CHECK(mincore(mine[i], REGION, in) == 0 && *mine[i] == (char)i);
        for (size_t j = 1; j < sizeof in; j++)
            CHECK(!(in[j] & 1));
    }
}

static void do_in_grandchild(void)
{
    free(malloc(7));
}

static void do_in_child(void)
{
    free(malloc(5));
}

static void child(void)
{
    limit_by("setrlimit", LIMIT);
    CHECK(addresses() <= MOST);
    do_in_child();
    CHECK(addresses() <= MOST);
    do_large();
    limit_by("setrlimit", LIMIT / 2); /* its own file comes to lie in pieces */
    take_holes();
    check_holes();
    pid_t pid = fork();
    if (pid == 0) {
        check_holes();
        do_in_grandchild();
        check_holes();
        for (int i = 0; i < REGIONS; i++)
            munmap(mine[i], REGION);
        CHECK(addresses() <= MOST);
        _exit(0);
    }
    wait_for(pid);
    check_holes();
    do_in_child();
    _exit(0);
}

static void children(void)
{
    do_some();
    pid_t pid = fork();
    if (pid == 0)
        child();
    wait_for(pid);
    CHECK(addresses() >= LEAST);
    do_some();
}

static void borrowed(void)
{
    static const struct rlimit limit = {LIMIT, LIMIT};
    do_some();
    pid_t pid = vfork();
    if (pid == 0) /* NOLINTNEXTLINE(clang-analyzer-unix.Vfork): that is the case */
        _exit(setrlimit(RLIMIT_AS, &limit) || prlimit(getpid(), RLIMIT_AS, &limit, NULL));
    wait_for(pid);
    CHECK(addresses() >= LEAST);
    do_large();
    do_some();
}

/* ---- Others at work ---- */

static volatile int done;
static void *kept[2][4096];

/* A stack for each number. */
static void *do_stack(unsigned number, int depth)
{
    void *p = depth == 0 ? malloc(48) : number & 1 ? do_stack(number >> 1, depth - 1) : NULL;
    return p || depth == 0 ? p : do_stack(number >> 1, depth - 1);
}

static void *allocate(void *argument)
{
    void **place = argument;
    for (unsigned number = 0; !done; number++) {
        void **at = &place[number % 4096];
        if (number % 8192 < 4096)
            free(*at);
        *at = do_stack(number, 12);
    }
    return NULL;
}

static void limit_step_by_step(void)
{
    pthread_t thread[2];
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&thread[i], NULL, allocate, kept[i]) == 0);
    for (int step = 0; step < STEPS; step++) {
        usleep(500);
        limit_by("setrlimit", (rlim_t)(8192u >> step / 2) << 20);
    }
    take_holes();
    usleep(2000);
    done = 1;
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    check_holes();
    _exit(0);
}

static void threads(void)
{
    free(malloc(1));
    fork_often(CHILDREN, limit_step_by_step);
}

static volatile rlim_t next_limit = (rlim_t)8192 << 20;

static void handle(int signal)
{
    (void)signal;
    limit_by("setrlimit", next_limit);
    if (next_limit > LIMIT)
        next_limit -= next_limit / 64;
}

static void handler(void)
{
    struct itimerval every = {{0, 200}, {0, 200}};
    CHECK(signal(SIGALRM, handle) != SIG_ERR && setitimer(ITIMER_REAL, &every, NULL) == 0);
    for (unsigned number = 0; next_limit > LIMIT; number++) {
        void **at = &kept[0][number % 4096];
        free(*at);
        *at = do_stack(number, 12);
    }
    every = (struct itimerval){{0, 0}, {0, 0}};
    CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
    take_holes();
    do_many();
    check_holes();
    CHECK(addresses() - REGIONS * REGION <= MOST);
}

#define ENDED 100

static pthread_barrier_t all;

static void *allocate_once(void *argument)
{
    do_in_child();
    pthread_barrier_wait(&all);
    return argument;
}

static void ended(void)
{
    pthread_t thread[ENDED];
    CHECK(pthread_barrier_init(&all, NULL, ENDED) == 0);
    for (int i = 0; i < ENDED; i++)
        thread[i] = start(allocate_once, NULL);
    for (int i = 0; i < ENDED; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    limit_by("setrlimit", LIMIT);
    CHECK(addresses() <= MOST + (32 << 20)); /* libc keeps a few stacks */
    CHECK(pthread_barrier_init(&all, NULL, 8) == 0);
    for (int i = 0; i < 8; i++)
        thread[i] = start(allocate_once, NULL);
    for (int i = 0; i < 8; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
}

#define ROUNDS 60

static void map_half(rlim_t limit)
{
    void *p = mmap(NULL, limit / 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK(munmap(p, limit / 2) == 0);
}

#define BOTH (400ul << 20)

static void *limit_and_map(void *argument)
{
    pthread_barrier_wait(&all);
    limit_by("setrlimit", BOTH);
    map_half(BOTH - (100 << 20));
    return argument;
}

static void limit_twice(void)
{
    pthread_t thread[2];
    do_in_child();
    CHECK(pthread_barrier_init(&all, NULL, 2) == 0);
    for (int i = 0; i < 2; i++)
        thread[i] = start(limit_and_map, NULL);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    CHECK(addresses() <= 2 * MOST);
    _exit(0);
}

static void both(void)
{
    free(malloc(1));
    fork_often(5 * ROUNDS, limit_twice);
}

static void *limit_down(void *argument)
{
    pthread_barrier_wait(&all);
    for (rlim_t limit = 16 * LIMIT; limit > 4 * LIMIT; limit -= LIMIT / 2)
        limit_by("setrlimit", limit);
    return argument;
}

/* The child is forked somewhere in that. */
static void fork_meanwhile(void)
{
    static volatile unsigned turns;
    do_in_child();
    CHECK(pthread_barrier_init(&all, NULL, 2) == 0);
    pthread_t thread = start(limit_down, NULL);
    pthread_barrier_wait(&all);
    for (unsigned i = (unsigned)getpid() % 40 * 300; turns < i; turns++)
        ;
    pid_t pid = fork();
    if (pid == 0) {
        do_in_child();
        limit_by("setrlimit", LIMIT);
        map_half(LIMIT);
        CHECK(addresses() <= MOST);
        _exit(0);
    }
    wait_for(pid);
    CHECK(pthread_join(thread, NULL) == 0);
    _exit(0);
}

static void forks(void)
{
    free(malloc(1));
    fork_often(2 * ROUNDS, fork_meanwhile);
}

static void *limit_beside(void *argument)
{
    limit_by("setrlimit", LIMIT);
    done = 1;
    return argument;
}

static void allocate_beside(void)
{
    done = 0;
    pthread_t thread = start(limit_beside, NULL);
    while (!done)
        do_in_child();
    CHECK(pthread_join(thread, NULL) == 0);
    _exit(0);
}

static void beside(void)
{
    do_in_child();
    fork_often(4 * ROUNDS, allocate_beside);
}

static void *fork_at_once(void *argument)
{
    pid_t pid = fork();
    if (pid == 0) {
        limit_by("setrlimit", LIMIT);
        CHECK(addresses() <= MOST + (32 << 20));
        do_in_child();
        _exit(0);
    }
    wait_for(pid);
    return argument;
}

static void of_a_new_thread(void)
{
    pthread_t thread[ENDED];
    CHECK(pthread_barrier_init(&all, NULL, ENDED + 1) == 0);
    for (int i = 0; i < ENDED; i++)
        thread[i] = start(allocate_once, NULL);
    CHECK(pthread_join(start(fork_at_once, NULL), NULL) == 0);
    pthread_barrier_wait(&all);
    for (int i = 0; i < ENDED; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
}

/* Each begins with tables as large as without a limit, and leaves them as small as with one. */
static void do_generation(void)
{
    do_in_child();
    limit_by("setrlimit", LIMIT);
    CHECK(addresses() <= MOST);
    limit_by("setrlimit", RLIM_INFINITY);
}

static void generations(void)
{
    int status;
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
    pid_t pid = fork();
    for (int i = 0; i < GENERATIONS && pid == 0; i++) {
        do_generation();
        pid = i + 1 < GENERATIONS ? fork() : 1;
        CHECK(pid >= 0);
        if (pid)
            _exit(0);
    }
    for (int i = 0; i < GENERATIONS; i++)
        CHECK(wait(&status) > 0 && status == 0);
}

static void hard(void)
{
    struct rlimit limit = {RLIM_INFINITY, (rlim_t)64 << 30};
    limit.rlim_cur = limit.rlim_max;
    do_some();
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    size_t before = addresses();
    CHECK(before >= LEAST);
    CHECK(geteuid() != 0 || seteuid(65534) == 0);
    limit = (struct rlimit){LIMIT, (rlim_t)65 << 30};
    CHECK(setrlimit(RLIMIT_AS, &limit) == -1 && errno == EPERM);
    CHECK(prlimit(0, RLIMIT_AS, &limit, NULL) == -1 && errno == EPERM);
    CHECK(addresses() == before);
    do_some();
}

/* It would be the end of the process, and no error that somebody may overlook. */
static void forbid(long number)
{
    struct sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                                   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
                                   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                                   BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void filter(void)
{
    do_in_child();
    pid_t pid = fork();
    if (pid == 0) {
        do_in_grandchild();
        forbid(SYS_munmap);
        limit_by("setrlimit", LIMIT * 4);
        _exit(0);
    }
    wait_for(pid);
    forbid(SYS_rt_sigprocmask);
    limit_by("setrlimit", LIMIT * 4);
    limit_by("own", LIMIT * 3);
}

static const struct {
    const char *name;
    void (*run)(void);
} ways[] = {
    {"child", children}, {"vfork", borrowed}, {"threads", threads}, {"handler", handler},
    {"ended", ended},    {"both", both},      {"fork", forks},      {"new", of_a_new_thread},
    {"hard", hard},      {"beside", beside},  {"filter", filter},   {"generations", generations},
};

int main(int argc, char **argv)
{
    size_t i = 0, count = sizeof ways / sizeof *ways;
    if (argc == 3 && !strcmp(argv[1], "later")) {
        later(argv[2]);
        return fflush(stdout);
    }
    CHECK(argc == 2);
    while (i < count && strcmp(argv[1], ways[i].name) != 0)
        i++;
    CHECK(i < count);
    ways[i].run();
    fflush(stdout);
}
