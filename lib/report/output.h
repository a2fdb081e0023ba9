/*
 * A file that is written as a whole or not at all: what is written goes to a temporary name beside it, which takes the place of the old file when all
 * is well and is removed otherwise, also when the tool is killed. A process of its own does that (it does nothing else), so that it works after
 * the tool gave up rights. What is no regular file (a device, a FIFO) is written to as it is. A heaptap buffer is never replaced.
 */
#ifndef HEAPTAP_OUTPUT_H
#define HEAPTAP_OUTPUT_H

#include "err.h"

#include <stdio.h>
#include <sys/types.h>

struct output {
    FILE *stream;
    char path[4096]; /* as it was asked for */
    int fd, error;   /* of the stream: the errno of the first write that failed, or 0 */
    pid_t keeper;    /* 0: none */
    int order;       /* pipe to the keeper */
};

/* False: nothing was made. The output must stay where it is. */
bool output_open(struct output *output, const char *path, struct err *err);
/* Ends it. `keep`: the new file takes its place; false if that, or any write before, failed: then the old file is as it was. */
bool output_close(struct output *output, bool keep, struct err *err);

#endif
