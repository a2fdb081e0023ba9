/*
 * What the user asked for: the HEAPTAP_* environment variables, and what their values mean. The library goes by them; the tool tells what is wrong with
 * them before it starts a command.
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
 */
#ifndef HEAPTAP_VARIABLES_H
#define HEAPTAP_VARIABLES_H

#include "base.h"

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
    uint32_t taken;        /* a bit for each variable that was there */
    char program[64];      /* %e: last component of exe; '/' and control characters replaced by '_' */
    char exe[512];
    char out[256]; /* pattern; empty: default */
    char dir[256];
    char only[128];
    char problem[160]; /* first variable that is none, or was not understood, as one line to print; empty: none */
};

/* Everything at its default. */
void variables_begin(struct config *config);

/*
 * Takes one string of the environment, NAME=VALUE. Of several with one name the first counts, as for getenv(), and HEAPTAP_OUT goes before HEAPTAP_SUB. What
 * cannot be understood is left at its default and named in `problem`, as is a HEAPTAP_ variable that does not exist.
 */
void variables_take(struct config *config, const char *string);

#endif
