#include "witness.h"

#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ASKED 1 /* any byte */
#define ANSWERED 0

/* ---- The witness itself ---- */

static bool tell_signals(int signals, int to)
{
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == (ssize_t)sizeof info)
        if (write(to, &(uint8_t){(uint8_t)info.ssi_signo}, 1) != 1)
            return false;
    return true;
}

/* Blocks everything, so that it cannot be stopped by a terminal either, and holds nothing open but its end. */
static _Noreturn void witness_all(int end, const sigset_t *set)
{
    sigset_t all;
    uint8_t asked;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    dup2(end, 0);
    close_range(1, ~0u, 0);
    int signals = signalfd(-1, set, SFD_NONBLOCK);
    struct pollfd polled[] = {{.fd = 0, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    while (signals >= 0 && (poll(polled, ARRAY_LEN(polled), -1) >= 0 || errno == EINTR)) {
        if (!tell_signals(signals, 0))
            break;
        if (polled[0].revents &&
            (read(0, &asked, 1) != 1 || !tell_signals(signals, 0) || write(0, &(uint8_t){ANSWERED}, 1) != 1))
            break;
    }
    _exit(0);
}

/* ---- This process ---- */

void witness_start(struct witness *witness, const sigset_t *signals)
{
    int ends[2];
    *witness = (struct witness){.fd = -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return;
    witness->pid = fork();
    if (witness->pid == 0)
        witness_all(ends[1], signals);
    close(ends[1]);
    if (witness->pid > 0)
        witness->fd = ends[0];
    else
        close(ends[0]);
}

void witness_end(struct witness *witness)
{
    if (witness->fd < 0)
        return;
    close(witness->fd);
    witness->fd = -1;
    kill(witness->pid, SIGKILL); /* it may be stopped */
    while (waitpid(witness->pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

/* One thing that it tells: a signal's number or ANSWERED. False: it is gone. */
static bool hear(struct witness *witness, uint8_t *number)
{
    ssize_t got;
    while ((got = read(witness->fd, number, 1)) < 0 && errno == EINTR) {
    }
    if (got != 1) {
        witness_end(witness);
        return false;
    }
    if (*number != ANSWERED)
        witness->seen |= UINT64_C(1) << (*number % 64);
    return true;
}

/*
 * Sending to a group holds the kernel's list of processes; so does this, which changes nothing: it returns when a sending that has reached one of us has
 * reached all.
 */
static void await_senders(void)
{
    (void)setpgid(0, getpgrp());
}

uint64_t witness_hear(struct witness *witness)
{
    uint8_t number = ASKED;
    if (witness->fd < 0)
        return 0;
    await_senders();
    kill(witness->pid, SIGCONT); /* whoever stopped both need not have continued both */
    if (send(witness->fd, &number, 1, MSG_NOSIGNAL) != 1)
        witness_end(witness);
    while (witness->fd >= 0 && hear(witness, &number) && number != ANSWERED) {
    }
    await_senders();
    return witness->seen;
}

static int milliseconds_since(const struct timespec *then)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int)((now.tv_sec - then->tv_sec) * 1000 + (now.tv_nsec - then->tv_nsec) / 1000000);
}

bool witness_saw(struct witness *witness, int number)
{
    uint64_t bit = UINT64_C(1) << (number % 64);
    struct timespec asked;
    clock_gettime(CLOCK_MONOTONIC, &asked);
    witness_hear(witness);
    while (witness->fd >= 0 && !(witness->seen & bit)) {
        int left = WITNESS_GRACE_MS - milliseconds_since(&asked);
        struct pollfd polled = {.fd = witness->fd, .events = POLLIN};
        int ready = left > 0 ? poll(&polled, 1, left) : 0;
        uint8_t heard;
        if (ready == 0 || (ready > 0 && !hear(witness, &heard)))
            break;
    }
    bool saw = witness->seen & bit;
    witness->seen &= ~bit;
    if (saw)
        await_senders();
    return saw;
}
