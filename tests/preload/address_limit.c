/*
 * A process that limits its own addresses (RLIMIT_AS) has what it would have without the shim, which goes on recording.
 *
 * address_limit later [WAY]: by setrlimit, setrlimit64, prlimit, own (prlimit of its own pid), syscall or syscall64; and what is refused, or no limit, changes nothing.
 *               child: a fork child, first thing; its own children, while it has something mapped where the shim had
 *               vfork: a child that borrows the memory; its limit is not its parent's
 *               threads: while others allocate, and tables grow
 *               handler: in a signal handler that interrupts whatever
 */
#include "behaviour.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
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

static size_t addresses(void)
{
    char text[64] = "";
    int fd = open("/proc/self/statm", O_RDONLY);
    CHECK(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    close(fd);
    return strtoul(text, NULL, 10) * 4096;
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

int main(int argc, char **argv)
{
    CHECK(argc >= 2);
    if (!strcmp(argv[1], "later"))
        later(argv[2]);
    else if (!strcmp(argv[1], "child"))
        children();
    else if (!strcmp(argv[1], "vfork"))
        borrowed();
    else if (!strcmp(argv[1], "threads"))
        threads();
    else
        handler();
    fflush(stdout);
}
