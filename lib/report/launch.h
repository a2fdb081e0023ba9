/*
 * Whether a program can be started with libheaptap.so preloaded, looked at before it is: what the loader would silently ignore, or fail on, is refused with
 * its reason. What only shows later (an allocator inside the executable, an exec of something static) is coverage.h's.
 */
#ifndef HEAPTAP_LAUNCH_H
#define HEAPTAP_LAUNCH_H

#include "err.h"

#define LAUNCH_PATH_MAX 4096

/* libheaptap.so: $HEAPTAP_LIB if it is one, else beside the tool (build tree), else where it is installed to. An absolute path that LD_PRELOAD can name. */
bool launch_library(char to[LAUNCH_PATH_MAX], struct err *err);

/* The file that execvp(3) would take for `command`. False: not there, or not to be executed. */
bool launch_find(const char *command, char to[LAUNCH_PATH_MAX], struct err *err);

/*
 * The program that will really run: `path` itself, or the interpreter of a script ("#!", several deep; /bin/sh where there is none). False: libheaptap.so
 * cannot be preloaded into it: static, other architecture or word size, loader missing, setuid, setgid or file capabilities that take effect.
 */
bool launch_check(const char *path, const char *library, char program[LAUNCH_PATH_MAX], struct err *err);

#endif
