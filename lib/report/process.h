/* Whether the process that a buffer belongs to is still there, and what can be seen of it from outside. */
#ifndef HEAPTAP_PROCESS_H
#define HEAPTAP_PROCESS_H

#include "reader.h"

#include <sys/types.h>

/*
 * Compares boot, PID namespace, PID and start time. A process of another boot has ended if no other kernel than this one can reach the file (open as `fd`),
 * nor could another than its own where it was made: else it may be another machine's, or a container's that was shown a boot id of its own.
 */
enum reader_process process_state(const struct ht_header *header, int fd);

/* Effective user of a process. False: no such process. */
bool process_owner(uint32_t pid, uid_t *uid);

/* Resident anonymous memory of a process in bytes (RssAnon); 0: unknown. */
uint64_t process_rss_anon(uint32_t pid);

/* Whether a line of a file of /proc/PID ("maps"), or a variable in "environ", has a word in it. `readable`: the file could be read. */
bool process_mentions(uint32_t pid, const char *file, const char *word, bool *readable);

#endif
