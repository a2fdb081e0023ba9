/*
 * A filter that kills the process on anything but a few calls, installed by prctl (seccomp prctl) or by syscall (seccomp syscall): new call
 * sites and the first events of threads survive it. The threads were made before; the filter is put on all of them by TSYNC, or made
 * after, where the filter lets the calls through that making one needs. seccomp refused: a second filter that the kernel does not take. seccomp vfork: the
 * filter is a child's that shares the memory; its parent is under none.
 */
#include "behaviour.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define ALLOW(n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (n), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static struct sock_filter filter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    ALLOW(SYS_write),
    ALLOW(SYS_exit_group),
    ALLOW(SYS_exit),
    ALLOW(SYS_brk),
    ALLOW(SYS_mmap),
    ALLOW(SYS_munmap),
    ALLOW(SYS_mprotect), /* glibc makes an arena for a thread */
    ALLOW(SYS_sched_getaffinity),
    ALLOW(SYS_futex),
    ALLOW(SYS_rt_sigreturn),
    ALLOW(SYS_prctl),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};
static struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
static pthread_barrier_t barrier;
static intptr_t turn;

static void do_before(void)
{
    free(malloc(10));
}

static void do_after(void)
{
    for (int i = 0; i < 5000; i++)
        CHECK(malloc(20));
    free(calloc(1, 21));
}

static void *do_thread(void *p)
{
    free(malloc(30));
    return p;
}

static void *run(void *p)
{
    pthread_barrier_wait(&barrier); /* it has started */
    pthread_barrier_wait(&barrier); /* the filter is there */
    while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) !=
           (intptr_t)p) /* one after the other: who finds the teacher busy gets a cut stack */
        ;
    do_thread(p);
    __atomic_fetch_add(&turn, 1, __ATOMIC_RELEASE);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier); /* for ever: the filter does not let a thread end */
    return p;
}

static void in_child(void)
{
    pid_t pid = vfork();
    if (pid == 0) /* NOLINTNEXTLINE(clang-analyzer-unix.Vfork): that is the case */
        _exit(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0);
    wait_for(pid);
}

int main(int argc, char **argv)
{
    pthread_t thread;
    CHECK(argc == 2);
    do_before();
    pthread_barrier_init(&barrier, NULL, 3);
    for (intptr_t i = 0; i < 2; i++)
        CHECK(pthread_create(&thread, NULL, run, (void *)i) == 0);
    pthread_barrier_wait(&barrier);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    if (strcmp(argv[1], "vfork") == 0)
        in_child();
    else if (strcmp(argv[1], "syscall") != 0)
        CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0);
    else
        CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0);
    if (strcmp(argv[1], "refused") == 0)
        CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &(struct sock_fprog){0, filter}, 0, 0) != 0);
    do_after();
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    _exit(0);
}
