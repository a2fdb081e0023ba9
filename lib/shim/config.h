/*
 * What the user asked for: HEAPTAP_* environment variables, read once at the first event of a process image.
 *
 *   HEAPTAP_OUT       pattern of the buffer's name: %e program, %p PID, %n first number from 1 that makes the name new,
 *                     %% percent. Without %p it names the first process exactly and others get .PID
 *   HEAPTAP_DIR       directory for the default name, heaptap.%e.%p
 *   HEAPTAP_ONLY      glob on the program's name or on what it was called by, argv[0] (if the glob has a '/', on the whole
 *                     of these paths); others only forward
 *   HEAPTAP_CHILDREN  0: only the first process, not what it starts (fork or exec)
 *   HEAPTAP_START     off: begin paused
 *   HEAPTAP_BUDGET    bytes, with k, m, g (powers of 1024): all memory that heaptap may use; at least 512k
 *   HEAPTAP_RING      bytes of the ring, part of the budget, at most three quarters of it
 *   HEAPTAP_DEPTH     frames kept of a stack (default 8192, at most 65536)
 *   HEAPTAP_KEEP      dead files of this user and program that are kept (default 8)
 *   HEAPTAP_FILES     files of this user under this name pattern, of all programs, beyond which no new one is made
 *                     (default 256, at most 1000)
 *   HEAPTAP_BYTES     memory of those files together beyond which no new one is made (default: an eighth of their filesystem)
 *   HEAPTAP_LOG       1: say on stderr what heaptap did and why it does not record. Nothing is ever printed otherwise
 *
 * How children know that they are not the first process, without any memory across exec: the first process that records
 * changes letters of its own variables in place, which exec'ed children inherit: HEAPTAP_OUT= becomes HEAPTAP_SUB=,
 * HEAPTAP_CHILDREN=0 becomes HEAPTAP_CHILDREN=-. A process that was given rights its caller does not have
 * (sys_is_privileged) reads nothing of all this and is not chosen.
 */
#ifndef HEAPTAP_CONFIG_H
#define HEAPTAP_CONFIG_H

#include <common/base.h>

struct config {
    bool chosen; /* record this process; false: only forward */
    bool named;  /* HEAPTAP_ONLY names this program, or is not given */
    bool first;  /* no ancestor of this process image is recorded under the same pattern */
    bool start_paused;
    bool log;
    bool out_explicit; /* HEAPTAP_OUT or HEAPTAP_SUB was given */
    bool budget_explicit;
    bool children; /* HEAPTAP_CHILDREN is not 0 or - : fork children record too */
    uint32_t depth_max;
    uint32_t keep;
    uint32_t files_max;
    uint64_t bytes_max;    /* 0: default */
    uint64_t budget_bytes; /* as asked for; 0: default */
    uint64_t ring_bytes;   /* as asked for; 0: default */
    char program[64];      /* %e: last component of exe; '/' and control characters replaced by '_' */
    char exe[512];
    char out[256]; /* pattern; empty: default */
    char dir[256];
    char only[128];
    char problem[160]; /* first variable that could not be understood, as one line to print; empty: none */
};

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
