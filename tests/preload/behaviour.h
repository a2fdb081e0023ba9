/*
 * What the programs of tests/preload share. Each shows one behaviour of the shim; its exact record is in NAME.expected.
 *
 * Only functions called do_* are compared: the other frames of a stack are dropped, and stacks without one are not looked at. So whatever makes
 * libc allocate (pthread_create, dlopen) is called from functions of another name. What a program only knows when it
 * runs it prints itself, as lines of the same form (see test_preload).
 */
#ifndef BEHAVIOUR_H
#define BEHAVIOUR_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            dprintf(2, "%s:%d: not so: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno);                       \
            _exit(99);                                                                                                 \
        }                                                                                                              \
    } while (0)

/* For a child that has nothing to complain about. */
static inline void wait_for(pid_t child)
{
    int status;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

/* So many children, one after the other, whatever other threads do meanwhile. `child` does not return. */
static inline void fork_often(int times, void (*child)(void))
{
    for (int i = 0; i < times; i++) {
        pid_t pid = fork();
        if (pid == 0)
            child();
        wait_for(pid);
    }
}

#endif
