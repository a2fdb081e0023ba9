/*
 * A unit program that runs itself again, with an environment (and an owner) of its own: what a process reads about itself at start can
 * only be tried from the start. The copy runs AGAIN(word) { ... } before main and ends; what it prints is returned.
 */
#ifndef HEAPTAP_TESTS_AGAIN_H
#define HEAPTAP_TESTS_AGAIN_H

#include "suite.h"

#include <sys/wait.h>
#include <unistd.h>

/* The body that runs in the copy that was started with `word`; a constructor, so that Check has no part in it. */
#define AGAIN(word)                                                                                                    \
    static void again_##word(void);                                                                                    \
    __attribute__((constructor)) static void again_start_##word(int argc, char **argv)                                 \
    {                                                                                                                  \
        if (argc != 2 || strcmp(argv[1], #word))                                                                       \
            return;                                                                                                    \
        again_##word();                                                                                                \
        fflush(stdout);                                                                                                \
        _exit(0);                                                                                                      \
    }                                                                                                                  \
    static void again_##word(void)

/* Runs `program` (NULL: this one) with `word`, as user `uid` if that is not -1. Its exit status. */
static int again(const char *program, const char *word, char *const *environment, int uid, char *output, size_t bytes)
{
    int ends[2], status;
    size_t length = 0;
    ssize_t got;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (!child) {
        char *const arguments[] = {(char *)"again", (char *)(uintptr_t)word, NULL};
        dup2(ends[1], 1);
        if (uid != -1 && (setgid((gid_t)uid) || setuid((uid_t)uid)))
            _exit(126);
        execve(program ? program : "/proc/self/exe", arguments, environment);
        _exit(127);
    }
    close(ends[1]);
    while ((got = read(ends[0], output + length, bytes - 1 - length)) > 0)
        length += (size_t)got;
    output[length] = 0;
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#endif
