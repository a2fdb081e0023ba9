/* What a run does when its command has ended: profiles, or what is kept, and the summary. */
#ifndef HEAPTAP_RUN_RESULTS_H
#define HEAPTAP_RUN_RESULTS_H

#include <report/convert.h>
#include <report/family.h>

struct run_results {
    struct family *family;
    const char *output;         /* NULL: buffers are kept as they are */
    enum convert_format format; /* of output */
    bool merge;                 /* all processes into output */
    enum profile_view view;     /* of output */
    const char *debug_dir;      /* NULL: none */
    const char *command;        /* as it was called */
    const char *program;        /* the file that ran: the command or its interpreter */
    pid_t pid;
    int status; /* as from waitpid */
};

/* False: something that was asked for could not be written, or nothing was recorded; told. */
bool run_results(const struct run_results *results);

#endif
