/* What a run does when its command has ended: profiles, or what is kept, and the summary. */
#ifndef HEAPTAP_RUN_RESULTS_H
#define HEAPTAP_RUN_RESULTS_H

#include "run_say.h"

#include <report/convert.h>

/* What was merged so far: run_merge.h. */
struct run_merge {
    struct merge merge;
    size_t look_at;                 /* so many buffers are too many to wait for the end */
    size_t removed;                 /* buffers that are in it and nowhere else */
    size_t left_out;                /* processes that recorded nothing, */
    struct err told[RUN_LINES_MAX]; /* and why the first did not */
};

struct run_results {
    struct family *family;
    const char *output;         /* NULL: buffers are kept as they are */
    enum convert_format format; /* of output */
    bool merge;                 /* all processes into output */
    struct run_merge merging;
    struct profile others;  /* what was lost in the processes beside the command's, so far */
    enum profile_view view; /* of output */
    const char *debug_dir;  /* NULL: none */
    const char *command;    /* as it was called */
    const char *program;    /* the file that ran: the command or its interpreter */
    pid_t pid;
    int status; /* as from waitpid */
};

/* False: something that was asked for could not be written, or nothing was recorded; told. */
bool run_results(struct run_results *results);

#endif
