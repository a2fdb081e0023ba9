#include "supervise.h"

#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define WATCH_MS 1000

static const int passed_on[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH};

/* What the command is given back as it was. */
struct signals {
    sigset_t before;
    struct sigaction child_before, pipe_before, size_before;
    struct rlimit files_before;
    int fd;
    struct witness witness;
};

static bool take_signals(struct signals *signals)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(passed_on); i++)
        sigaddset(&set, passed_on[i]);
    sigaddset(&set, SIGCHLD);
    signals->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals->fd < 0)
        return false;
    /* Ignored, it would take the exit status away. */
    sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, &signals->child_before);
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, &signals->pipe_before);
    sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = SIG_IGN}, &signals->size_before);
    sigprocmask(SIG_BLOCK, &set, &signals->before);
    sigdelset(&set, SIGCHLD);
    witness_start(&signals->witness, &set);
    return true;
}

/* Bits by signal number. */
struct arrived {
    uint64_t all;
    uint64_t from_terminal;
};

/*
 * Takes what has come, but for what the command itself sent. What the kernel sends (code > 0) comes from the terminal and is for the whole group; but a timer that
 * was set before this program began is this process's alone.
 */
static void take_arrived(const struct signals *signals, pid_t child, struct arrived *arrived)
{
    struct signalfd_siginfo info;
    while (read(signals->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        uint64_t bit = UINT64_C(1) << info.ssi_signo;
        if (info.ssi_signo == SIGCHLD || info.ssi_pid == (uint32_t)child)
            continue;
        arrived->all |= bit;
        if (info.ssi_code > 0 && info.ssi_signo != SIGALRM)
            arrived->from_terminal |= bit;
    }
}

/*
 * Reads what has come, and passes on to `child` (0: to nobody) what it has not got by itself. Pending signals of one number are one; so are those that come while
 * it is found out whom the first was sent to: timeout(1) sends to its command and then to the group.
 */
static void read_signals(struct signals *signals, pid_t child)
{
    struct arrived arrived = {0, 0};
    take_arrived(signals, child, &arrived);
    while (child && arrived.all) {
        int number = __builtin_ctzll(arrived.all);
        uint64_t bit = UINT64_C(1) << number;
        bool to_all = witness_saw(&signals->witness, number);
        take_arrived(signals, child, &arrived);
        if (!to_all && !(arrived.from_terminal & bit))
            kill(child, number);
        arrived.all &= ~bit;
        arrived.from_terminal &= ~bit;
    }
}

static _Noreturn void become_command(const struct supervise *supervise, const struct signals *signals, int tell)
{
    sigaction(SIGCHLD, &signals->child_before, NULL);
    sigaction(SIGPIPE, &signals->pipe_before, NULL);
    sigaction(SIGXFSZ, &signals->size_before, NULL);
    setrlimit(RLIMIT_NOFILE, &signals->files_before);
    sigprocmask(SIG_SETMASK, &signals->before, NULL);
    execvp(supervise->argv[0], supervise->argv);
    int error = errno;
    (void)!write(tell, &error, sizeof error);
    _exit(127);
}

static pid_t start(const struct supervise *supervise, const struct signals *signals, struct err *err)
{
    int ends[2], error = 0;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        err_system(err, "run", supervise->argv[0]);
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0)
        become_command(supervise, signals, ends[1]);
    if (pid < 0)
        error = errno;
    close(ends[1]);
    while (pid > 0 && read(ends[0], &error, sizeof error) < 0 && errno == EINTR) {
    }
    close(ends[0]);
    if (!error)
        return pid;
    if (pid > 0)
        waitpid(pid, NULL, 0);
    errno = error;
    err_system(err, "run", supervise->argv[0]);
    return -1;
}

static void wait_for(const struct supervise *supervise, struct signals *signals, pid_t pid, int *status)
{
    struct pollfd polled[] = {
        {.fd = signals->fd, .events = POLLIN}, {.fd = supervise->watch_fd, .events = POLLIN}, {.events = POLLIN}};
    while (waitpid(pid, status, WNOHANG) == 0) {
        polled[2].fd = signals->witness.fd;
        int ready = poll(polled, ARRAY_LEN(polled), supervise->watch_fd >= 0 ? WATCH_MS : -1);
        if (ready < 0)
            continue;
        uint64_t told = polled[2].revents ? witness_hear(&signals->witness) : 0;
        read_signals(signals, pid);
        witness_forget(&signals->witness, told);
        if (polled[1].revents || (!ready && supervise->watch_fd >= 0))
            supervise->watch(supervise->watch_arg);
    }
    read_signals(signals, 0);
}

static void allow_more_files(struct signals *signals)
{
    getrlimit(RLIMIT_NOFILE, &signals->files_before);
    struct rlimit more = signals->files_before;
    more.rlim_cur = more.rlim_max;
    setrlimit(RLIMIT_NOFILE, &more);
}

bool supervise_run(const struct supervise *supervise, pid_t *pid, int *status, struct err *err)
{
    struct signals signals;
    if (!take_signals(&signals))
        return err_system(err, "watch over", supervise->argv[0]);
    allow_more_files(&signals);
    *pid = start(supervise, &signals, err);
    if (*pid > 0)
        wait_for(supervise, &signals, *pid, status);
    witness_end(&signals.witness);
    if (!supervise->stay)
        sigprocmask(SIG_SETMASK, &signals.before, NULL);
    close(signals.fd);
    return *pid > 0;
}

int supervise_exit_status(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
