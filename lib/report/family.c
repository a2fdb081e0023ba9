#include "family.h"

#include "process.h"

#include <common/text.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define PREFIX "heaptap."
#define RUN ".run"
#define SETTLE_TRIES 10
#define SETTLE_NS 5000000

/* ---- Where ---- */

static bool is_in_memory(const char *directory)
{
    struct statfs fs;
    return statfs(directory, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

static bool choose_directory(struct family *family, struct err *err)
{
    const char *chosen = getenv("HEAPTAP_DIR");
    char whole[PATH_MAX];
    if (chosen && *chosen) {
        /* The command may go elsewhere before its first allocation. */
        struct stat stat_now;
        bool there = realpath(chosen, whole) && stat(whole, &stat_now) == 0;
        if (there && !S_ISDIR(stat_now.st_mode)) {
            errno = ENOTDIR;
            there = false;
        }
        if (!there || faccessat(AT_FDCWD, whole, W_OK | X_OK, AT_EACCESS) != 0)
            return err_system(err, "put buffers into HEAPTAP_DIR", chosen);
        return text_copy(family->directory, sizeof family->directory, whole)
                   ? true
                   : err_set(err, "HEAPTAP_DIR %s: the name is too long", chosen);
    }
    static const char *const places[] = {"/dev/shm", "/tmp"};
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if (is_in_memory(places[i]) && faccessat(AT_FDCWD, places[i], W_OK | X_OK, AT_EACCESS) == 0)
            return text_copy(family->directory, sizeof family->directory, places[i]);
    return err_set(err,
                   "neither /dev/shm nor /tmp is a directory in memory that you may write to; name one in HEAPTAP_DIR");
}

void family_pattern(const struct family *family, char *to, size_t capacity)
{
    struct text text = {.at = to, .capacity = capacity};
    for (const char *at = family->directory; *at; at++)
        text_append(&text, *at == '%' ? "%%" : (char[]){*at, 0});
    text_append(&text, "/" PREFIX "%e.%p");
    text_append(&text, family->mark);
}

/* ---- What earlier runs left ---- */

struct run {
    char mark[64];
    uint64_t began; /* of its first process that is left */
    bool alive;
};

/* The part of a buffer's name that tells its run: ".runID-TIME", with ".N" behind it where a name was taken; NULL: it is no run's. */
static const char *mark_in(const char *name, size_t *length)
{
    const char *at = strstr(name, RUN);
    for (const char *next = at; next && (next = strstr(next + 1, RUN));)
        at = next;
    if (!text_starts(name, PREFIX) || !at)
        return NULL;
    *length = strlen(RUN) + strspn(at + strlen(RUN), "0123456789abcdef-");
    return at[*length] == 0 || at[*length] == '.' ? at : NULL;
}

static int compare_runs(const void *a, const void *b)
{
    const struct run *x = a, *y = b;
    return (x->began < y->began) - (x->began > y->began); /* newest first */
}

static void each_name(const char *directory, void (*visit)(void *arg, const char *name), void *arg)
{
    DIR *stream = opendir(directory);
    struct dirent *entry;
    while (stream && (entry = readdir(stream)))
        visit(arg, entry->d_name);
    if (stream)
        closedir(stream);
}

struct runs {
    const char *directory;
    struct run *run;
    size_t count;
};

static bool peek_own(const char *directory, const char *name, char path[512], struct reader_summary *summary)
{
    int length = snprintf(path, 512, "%s/%s", directory, name);
    return length > 0 && length < 512 && reader_peek(summary, path, NULL) && summary->owner == geteuid();
}

static void note_run(void *arg, const char *name)
{
    struct runs *runs = arg;
    struct reader_summary summary;
    char path[512], mark[sizeof runs->run->mark];
    size_t length, i = 0;
    const char *at = mark_in(name, &length);
    if (!at || length >= sizeof mark || !peek_own(runs->directory, name, path, &summary))
        return;
    snprintf(mark, sizeof mark, "%.*s", (int)length, at);
    while (i < runs->count && strcmp(runs->run[i].mark, mark) != 0)
        i++;
    if (i == runs->count) {
        struct run *more = reallocarray(runs->run, runs->count + 1, sizeof *more);
        if (!more)
            return;
        runs->run = more;
        runs->run[runs->count++] = (struct run){.began = UINT64_MAX};
        memcpy(runs->run[i].mark, mark, sizeof mark);
    }
    runs->run[i].began = MIN(runs->run[i].began, summary.header.start_realtime_ns);
    runs->run[i].alive |= summary.process != READER_ENDED;
}

static void remove_old(void *arg, const char *name)
{
    const struct runs *runs = arg;
    struct reader_summary summary;
    char path[512];
    size_t length;
    const char *at = mark_in(name, &length);
    for (size_t i = FAMILY_RUNS_KEPT; at && i < runs->count; i++)
        if (!runs->run[i].alive && strlen(runs->run[i].mark) == length && memcmp(runs->run[i].mark, at, length) == 0 &&
            peek_own(runs->directory, name, path, &summary) && summary.process == READER_ENDED && !summary.copied)
            unlink(path);
}

static void clean(const char *directory)
{
    struct runs runs = {.directory = directory};
    each_name(directory, note_run, &runs);
    if (runs.count > FAMILY_RUNS_KEPT) {
        qsort(runs.run, runs.count, sizeof *runs.run, compare_runs);
        each_name(directory, remove_old, &runs);
    }
    free(runs.run);
}

/* ---- Files that appear ---- */

bool family_open(struct family *family, struct err *err)
{
    struct timespec now;
    *family = (struct family){.watch_fd = -1};
    if (!choose_directory(family, err))
        return false;
    clean(family->directory);
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(family->mark, sizeof family->mark, RUN "%u-%llx", (unsigned)getpid(),
             ((unsigned long long)now.tv_sec * 1000 + (unsigned long long)now.tv_nsec / 1000000) & 0xffffffff);
    family->watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (family->watch_fd >= 0 && inotify_add_watch(family->watch_fd, family->directory, IN_CREATE) < 0) {
        close(family->watch_fd);
        family->watch_fd = -1;
    }
    return true;
}

static bool is_ours(const struct family *family, const char *name)
{
    size_t length;
    const char *at = mark_in(name, &length);
    return at && strlen(family->mark) == length && memcmp(family->mark, at, length) == 0;
}

static void hold(void *arg, const char *name)
{
    struct family *family = arg;
    struct family_file file = {.fd = -1};
    struct stat opened, held;
    struct rlimit limit;
    int length = snprintf(file.path, sizeof file.path, "%s/%s", family->directory, name);
    if (!is_ours(family, name) || family->count == FAMILY_FILES_MAX || length < 0 || length >= (int)sizeof file.path)
        return;
    file.fd = open(file.path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file.fd < 0)
        return;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)file.fd + FAMILY_FILES_SPARE >= limit.rlim_cur) {
        family->crowded = true;
        close(file.fd);
        return;
    }
    bool known = fstat(file.fd, &opened) != 0;
    for (size_t i = 0; i < family->count && !known; i++)
        known = strcmp(family->file[i].path, file.path) == 0 && fstat(family->file[i].fd, &held) == 0 &&
                held.st_ino == opened.st_ino && held.st_dev == opened.st_dev;
    struct family_file *more = known ? NULL : reallocarray(family->file, family->count + 1, sizeof *more);
    if (!more) {
        close(file.fd);
        return;
    }
    family->file = more;
    family->file[family->count++] = file;
    family->most = MAX(family->most, family->count);
}

void family_look(struct family *family)
{
    union {
        struct inotify_event event;
        char bytes[16384];
    } buffer;
    ssize_t bytes;
    while ((bytes = read(family->watch_fd, &buffer, sizeof buffer)) > 0)
        for (ssize_t at = 0; at < bytes;) {
            const struct inotify_event *event = (const void *)(buffer.bytes + at);
            if (event->mask & IN_Q_OVERFLOW)
                each_name(family->directory, hold, family);
            else if (event->len)
                hold(family, event->name);
            at += (ssize_t)(sizeof *event + event->len);
        }
}

/* ---- Afterwards ---- */

void family_forget(struct family *family, struct family_file *file)
{
    size_t behind = (size_t)(family->file + family->count - file) - 1;
    close(file->fd);
    memmove(file, file + 1, behind * sizeof *file);
    family->count--;
}

/* A process that finds no room for its buffer removes it before it is one. */
static bool was_given_up(const struct family_file *file)
{
    struct stat stat_now;
    return !file->usable && fstat(file->fd, &stat_now) == 0 && stat_now.st_nlink == 0;
}

void family_read_headers(struct family *family)
{
    for (size_t i = 0; i < family->count;) {
        struct family_file *file = &family->file[i];
        file->usable = reader_peek_fd(&file->summary, file->fd, file->path, &file->problem);
        if (file->usable && file->summary.owner != geteuid())
            file->usable = err_set(&file->problem,
                                   "%s: belongs to user %u; heaptap dump %u reads it with that user's rights",
                                   file->path, (unsigned)file->summary.owner, file->summary.header.pid);
        if (was_given_up(file))
            family_forget(family, file);
        else
            i++;
    }
}

static bool has_buffer(const struct family *family, uint32_t pid)
{
    for (size_t i = 0; i < family->count; i++)
        if (family->file[i].usable && family->file[i].summary.header.pid == pid)
            return true;
    return false;
}

/* A process of the run has the names of the buffers in its environment. */
static void count_silent(void *arg, const char *name)
{
    struct family *family = arg;
    uint64_t pid;
    bool readable;
    if (*text_read_decimal(name, &pid) == 0 && process_mentions((uint32_t)pid, "environ", family->mark, &readable) &&
        !has_buffer(family, (uint32_t)pid))
        family->silent++;
}

void family_settle(struct family *family)
{
    family->crowded = false; /* what was too much then may be gone */
    for (int tries = 0; tries <= SETTLE_TRIES; tries++) {
        if (tries)
            nanosleep(&(struct timespec){.tv_nsec = SETTLE_NS}, NULL);
        if (family->watch_fd >= 0)
            family_look(family);
        each_name(family->directory, hold, family);
        family_read_headers(family);
        family->silent = 0;
        each_name("/proc", count_silent, family);
        if (!family->silent)
            return;
    }
}

const struct family_file *family_of(const struct family *family, pid_t pid)
{
    const struct family_file *last = NULL;
    struct stat namespace;
    bool known = stat("/proc/self/ns/pid", &namespace) == 0;
    for (size_t i = 0; i < family->count; i++) {
        const struct family_file *file = &family->file[i];
        const struct ht_header *header = &file->summary.header;
        if (!file->usable || header->pid != (uint32_t)pid ||
            (known && header->pid_namespace && header->pid_namespace != namespace.st_ino))
            continue;
        if (!last || header->start_realtime_ns >= last->summary.header.start_realtime_ns)
            last = file;
    }
    return last;
}

bool family_read(const struct family_file *file, struct reader *reader, struct err *err)
{
    return reader_open_fd(reader, file->fd, file->path, err);
}

static bool copy_data(int from, int to)
{
    static char buffer[65536];
    struct stat stat_now;
    off_t at = 0, end;
    if (fstat(from, &stat_now) != 0 || ftruncate(to, stat_now.st_size) != 0)
        return false;
    while ((at = lseek(from, at, SEEK_DATA)) >= 0 && (end = lseek(from, at, SEEK_HOLE)) > at)
        while (at < end) {
            ssize_t bytes = pread(from, buffer, MIN(sizeof buffer, (size_t)(end - at)), at);
            if (bytes <= 0 || pwrite(to, buffer, (size_t)bytes, at) != bytes)
                return false;
            at += bytes;
        }
    return at >= 0 || errno == ENXIO; /* no more data */
}

static bool copy_to(struct family_file *file, const char *path)
{
    int to = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to < 0)
        return false;
    if (copy_data(file->fd, to)) {
        close(file->fd);
        file->fd = to;
        return true;
    }
    unlink(path);
    close(to);
    return false;
}

bool family_restore(struct family_file *file, bool *copied, struct err *err)
{
    struct stat stat_now;
    *copied = fstat(file->fd, &stat_now) == 0 && stat_now.st_nlink == 0;
    if (!*copied || copy_to(file, file->path))
        return true;
    const char *name = text_basename(file->path);
    if (!copy_to(file, name))
        return err_system(err, "copy the unlinked buffer to", name);
    memmove(file->path, name, strlen(name) + 1);
    return true;
}

void family_close(struct family *family)
{
    for (size_t i = 0; i < family->count; i++)
        close(family->file[i].fd);
    free(family->file);
    if (family->watch_fd >= 0)
        close(family->watch_fd);
    *family = (struct family){.watch_fd = -1};
}
