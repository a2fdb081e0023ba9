/*
 * Runs a command and waits for it as if the caller had started it itself: same process group and terminal. A signal that was sent to this process alone
 * (kill) is passed on; one that was sent to the whole group, by the terminal (^C, ^\) or by kill, reaches the command by itself and is only survived
 * (witness.h tells them apart). ^Z stops both.
 */
#ifndef HEAPTAP_SUPERVISE_H
#define HEAPTAP_SUPERVISE_H

#include "err.h"

#include <sys/types.h>

struct supervise {
    char *const *argv;
    int watch_fd; /* `watch` is called when it is readable, and now and then while nothing happens; -1: none */
    void (*watch)(void *arg);
    void *watch_arg;
    bool stay; /* signals that came for the command stay blocked afterwards: there is something to be saved */
};

/* False: it could not be started. This process may have more open files from then on, as many as it can; the command as many as before. `status` is as from waitpid. Afterwards signals are as they were, but for `stay`, and SIGPIPE and SIGXFSZ are ignored. */
bool supervise_run(const struct supervise *supervise, pid_t *pid, int *status, struct err *err);

/* What a shell would say: the exit status, or 128 + the signal. */
int supervise_exit_status(int status);

#endif
