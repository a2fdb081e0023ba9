/*
 * The buffers of one run: of a command and of all that it starts. They are told by their names: the run chooses the pattern
 * DIR/heaptap.%e.%p.runID-TIME in the directory where buffers lie, so that `heaptap ls` and PIDs find them, too. A descriptor of each is held from the
 * moment it appears: what is unlinked meanwhile (systemd's RemoveIPC, a cleaner, another heaptap's retention) is not lost.
 */
#ifndef HEAPTAP_FAMILY_H
#define HEAPTAP_FAMILY_H

#include "reader.h"

#define FAMILY_FILES_MAX 1000    /* the shim makes no more of one pattern ... */
#define FAMILY_FILES_DEFAULT 256 /* ... or HEAPTAP_FILES, or so many */
#define FAMILY_RUNS_KEPT 8
#define FAMILY_FILES_SPARE 32 /* descriptors that are left for everything else */

struct family_file {
    char path[512];
    int fd;
    bool refused;                  /* the caller's: it was tried, and is kept */
    bool usable;                   /* a buffer of this user that says anything; else `problem` tells why not */
    struct reader_summary summary; /* set by family_read_headers, as `usable` and `problem` */
    struct err problem;
};

struct family {
    char directory[256];
    char mark[64]; /* end of the names, ".run123-4f5e6d7c" */
    int watch_fd;  /* readable when something appeared; -1: only family_settle looks */
    struct family_file *file;
    size_t count;
    size_t most;   /* highest count so far */
    bool crowded;  /* not all could be held: there were too many open files */
    size_t silent; /* set by family_settle: processes of the run that live and have no buffer */
};

/*
 * Chooses directory and names: $HEAPTAP_DIR, else /dev/shm, else /tmp (these two if they are in memory). Removes there what earlier runs left, but for the
 * newest FAMILY_RUNS_KEPT of this user whose processes have all ended.
 */
bool family_open(struct family *family, struct err *err);
/* For HEAPTAP_OUT. */
void family_pattern(const struct family *family, char *to, size_t capacity);
/* Looks for new files. Call it when watch_fd is readable. */
void family_look(struct family *family);
/* Reads every header. What is no buffer and was unlinked is forgotten: its process has given it up, and there is nothing to tell of it. */
void family_read_headers(struct family *family);
/* Closes one, and knows nothing of it any more. */
void family_forget(struct family *family, struct family_file *file);
/* The command has ended: finds what was missed and reads every header. What it left behind gets 50 ms for its first event (daemons begin with a fork). */
void family_settle(struct family *family);

/* The buffer that a process recorded into last; NULL: none. */
const struct family_file *family_of(const struct family *family, pid_t pid);
/* Reads one: through the descriptor, also if it was unlinked. */
bool family_read(const struct family_file *file, struct reader *reader, struct err *err);
/* Copies a file that was unlinked to its old path, or to the working directory; `copied` tells if that was necessary. False: it is lost. */
bool family_restore(struct family_file *file, bool *copied, struct err *err);

/* Closes all descriptors; no file is removed. */
void family_close(struct family *family);

#endif
