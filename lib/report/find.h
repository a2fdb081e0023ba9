/*
 * Buffer files by process: where they lie and whose they are. Looks where the shim puts them: $HEAPTAP_DIR, /dev/shm, /tmp, names heaptap.PROGRAM.PID[.N].
 */
#ifndef HEAPTAP_FIND_H
#define HEAPTAP_FIND_H

#include "reader.h"

struct find_file {
    char path[512];
    struct reader_summary summary;
};

struct find_list {
    struct find_file *file;
    size_t count;
};

/*
 * All buffers of one user, or of all users, the newest last. Files that are no buffers, or of other users, are passed over: anybody may plant a file in /tmp.
 * False: no memory, and no list.
 */
#define FIND_ALL_USERS ((uid_t)-1)
bool find_all(struct find_list *list, uid_t owner, struct err *err);
void find_free(struct find_list *list);

/* Whether $HEAPTAP_DIR can be listed, or is not set. */
bool find_can_look(struct err *err);

/*
 * The buffer of a process: of a living one the file whose PID and start time are its own, else the latest of that PID. Accepted are files of the
 * caller and, if the caller is root, files of the user that the living process runs as; `owner` tells which. (A root caller then drops to that user's rights
 * before it looks at what the file names.)
 */
bool find_pid(uint32_t pid, char *path, size_t capacity, uid_t *owner, struct err *err);

#endif
