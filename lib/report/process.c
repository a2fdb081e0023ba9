#include "process.h"

#include <common/one_kernel.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Magic number of the filesystem that a file lies on; 0: unknown. */
static uint32_t filesystem_of(int fd)
{
    struct statfs fs;
    return fd >= 0 && fstatfs(fd, &fs) == 0 ? (uint32_t)fs.f_type : 0;
}

static size_t slurp_fd(int fd, char *to, size_t capacity)
{
    ssize_t bytes = fd < 0 ? -1 : read(fd, to, capacity - 1);
    to[bytes > 0 ? bytes : 0] = 0;
    return bytes > 0 ? (size_t)bytes : 0;
}

/* Reads the beginning of a small file of /proc. Returns its length, 0 if there is none. */
static size_t slurp(const char *path, char *to, size_t capacity)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t bytes = slurp_fd(fd, to, capacity);
    if (fd >= 0)
        close(fd);
    return bytes;
}

/*
 * Field 22 of /proc/PID/stat, when the process began; 0: there is none, or it has ended and its parent has not waited for it. If only its first
 * thread has ended (field 3: Z, too), it has others (field 20).
 */
static uint64_t living_since(uint32_t pid)
{
    char path[64], stat[1024], state;
    unsigned threads;
    unsigned long long ticks;
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    slurp(path, stat, sizeof stat);
    const char *at = strrchr(stat, ')'); /* the name in field 2 may hold anything */
    if (!at || sscanf(at + 1, " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %u %*s %llu", &state,
                      &threads, &ticks) != 3)
        return 0;
    return (state == 'Z' || state == 'X') && threads < 2 ? 0 : ticks;
}

bool process_owner(uint32_t pid, uid_t *uid)
{
    char path[64], status[4096];
    snprintf(path, sizeof path, "/proc/%u/status", pid);
    unsigned real, effective;
    if (!slurp(path, status, sizeof status))
        return false;
    const char *line = strstr(status, "\nUid:");
    if (!line || sscanf(line, "\nUid: %u %u", &real, &effective) != 2)
        return false;
    *uid = effective;
    return true;
}

uint64_t process_rss_anon(uint32_t pid)
{
    char path[64], status[4096];
    unsigned long long kib;
    snprintf(path, sizeof path, "/proc/%u/status", pid);
    if (!slurp(path, status, sizeof status))
        return 0;
    const char *line = strstr(status, "\nRssAnon:");
    return line && sscanf(line, "\nRssAnon: %llu", &kib) == 1 ? kib * 1024 : 0;
}

/* The boot id that this process is shown. True: it is the kernel's own. */
static bool read_boot_id(char id[64])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    bool own = slurp_fd(fd, id, 64) && one_kernel_wrote_boot_id(filesystem_of(fd));
    id[strcspn(id, "\n")] = 0;
    if (fd >= 0)
        close(fd);
    return own;
}

enum reader_process process_state(const struct ht_header *header, int fd)
{
    char boot[64];
    struct stat namespace;
    bool own = read_boot_id(boot);
    if (!boot[0] || !header->boot_id[0])
        return READER_UNKNOWN;
    if (strcmp(boot, header->boot_id) != 0)
        return own && header->flags & HT_FLAG_ONE_KERNEL && one_kernel_has(filesystem_of(fd)) ? READER_ENDED
                                                                                              : READER_UNKNOWN;
    if (!header->pid_namespace || stat("/proc/self/ns/pid", &namespace) != 0 ||
        namespace.st_ino != header->pid_namespace)
        return READER_UNKNOWN;
    uint64_t ticks = living_since(header->pid);
    if (!ticks)
        return READER_ENDED;
    if (!header->start_ticks)
        return READER_UNKNOWN;
    return ticks == header->start_ticks ? READER_RUNNING : READER_ENDED;
}

bool process_mentions(uint32_t pid, const char *file, const char *word, bool *readable)
{
    char path[64], *line = NULL;
    size_t capacity = 0;
    bool found = false;
    snprintf(path, sizeof path, "/proc/%u/%s", pid, file);
    FILE *in = fopen(path, "re");
    *readable = in != NULL;
    int end = strcmp(file, "environ") == 0 ? 0 : '\n';
    while (in && !found && getdelim(&line, &capacity, end, in) > 0)
        found = strstr(line, word) != NULL;
    *readable = in && (found || !ferror(in));
    if (in)
        fclose(in);
    free(line);
    return found;
}
