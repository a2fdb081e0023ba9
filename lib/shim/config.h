/*
 * What this process does of what the user asked for (common/variables.h): its own environment, read once at the first event of a process image, and its own name.
 *
 * How children know that they are not the first process, without any memory across exec: the first process that records
 * changes letters of its own variables in place, which exec'ed children inherit: HEAPTAP_OUT= becomes HEAPTAP_SUB=,
 * HEAPTAP_CHILDREN=0 becomes HEAPTAP_CHILDREN=-. A process that was given rights its caller does not have
 * (sys_is_privileged) reads nothing of all this and is not chosen.
 */
#ifndef HEAPTAP_CONFIG_H
#define HEAPTAP_CONFIG_H

#include <common/variables.h>

/*
 * Reads the environment into *config. Never fails: what cannot be understood is left at its default and named in
 * `problem`.
 *
 * Shape:   environment: NULL-terminated strings as in environ, or NULL: /proc/self/environ is read instead (before libc
 *          set environ up).
 * Context: once a process image, signals blocked, one caller at a time; uses static scratch, no libc.
 */
void config_read(struct config *config, char **environment);

/*
 * Tells children started by exec that they are not the first (see above). `environment` as for config_read; NULL:
 * nothing can be told.
 */
void config_mark_children(char **environment);

#endif
