#include "find.h"

#include "coverage.h"
#include "process.h"

#include <common/text.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The newest last, where somebody looks first. */
static int compare_files(const void *a, const void *b)
{
    const struct find_file *one = a, *other = b;
    uint64_t begun = one->summary.header.start_realtime_ns, later = other->summary.header.start_realtime_ns;
    return begun != later ? (begun < later ? -1 : 1) : strcmp(one->path, other->path);
}

static bool add(struct find_list *list, const struct find_file *file)
{
    if ((list->count & (list->count + 1)) == 0) { /* full at 2^n - 1 */
        struct find_file *more = realloc(list->file, (2 * list->count + 1) * sizeof *more);
        if (!more)
            return false;
        list->file = more;
    }
    list->file[list->count++] = *file;
    return true;
}

static bool is_of(uid_t user, uid_t owner)
{
    return owner == FIND_ALL_USERS || user == owner;
}

static bool scan(struct find_list *list, const char *directory, uid_t owner)
{
    DIR *stream = opendir(directory);
    struct dirent *entry;
    struct stat stat;
    bool done = true;
    while (stream && done && (entry = readdir(stream))) {
        struct find_file file;
        if (!text_starts(entry->d_name, "heaptap.") ||
            fstatat(dirfd(stream), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(stat.st_mode) ||
            !is_of(stat.st_uid, owner))
            continue;
        int length = snprintf(file.path, sizeof file.path, "%s/%s", directory, entry->d_name);
        if (length > 0 && (size_t)length < sizeof file.path && reader_peek(&file.summary, file.path, NULL) &&
            is_of(file.summary.owner, owner))
            done = add(list, &file);
    }
    if (stream)
        closedir(stream);
    return done;
}

bool find_can_look(struct err *err)
{
    const char *chosen = getenv("HEAPTAP_DIR");
    DIR *stream = chosen && *chosen ? opendir(chosen) : NULL;
    if (chosen && *chosen && !stream)
        return err_system(err, "look into HEAPTAP_DIR", chosen);
    if (stream)
        closedir(stream);
    return true;
}

bool find_all(struct find_list *list, uid_t owner, struct err *err)
{
    const char *chosen = getenv("HEAPTAP_DIR");
    bool done = true;
    *list = (struct find_list){0};
    if (chosen && chosen[0] && strcmp(chosen, "/dev/shm") != 0 && strcmp(chosen, "/tmp") != 0)
        done = scan(list, chosen, owner);
    done = done && scan(list, "/dev/shm", owner) && scan(list, "/tmp", owner);
    if (!done) {
        find_free(list);
        return err_set(err, "no memory for the list of buffers");
    }
    if (list->count)
        qsort(list->file, list->count, sizeof *list->file, compare_files);
    return true;
}

void find_free(struct find_list *list)
{
    free(list->file);
    *list = (struct find_list){0};
}

/* The best file of a list for a process: the living one's own, else the latest. */
static const struct find_file *choose(const struct find_list *list, uint32_t pid)
{
    const struct find_file *best = NULL;
    for (size_t i = 0; i < list->count; i++) {
        const struct find_file *file = &list->file[i];
        if (file->summary.header.pid != pid)
            continue;
        bool running = file->summary.process == READER_RUNNING;
        bool best_running = best && best->summary.process == READER_RUNNING;
        if (!best || (running && !best_running) ||
            (running == best_running &&
             file->summary.header.start_realtime_ns > best->summary.header.start_realtime_ns))
            best = file;
    }
    return best;
}

bool find_pid(uint32_t pid, char *path, size_t capacity, uid_t *owner, struct err *err)
{
    struct find_list list;
    uid_t users[2] = {geteuid()};
    size_t count = 1;
    bool found = false;
    if (users[0] == 0 && process_owner(pid, &users[1]) && users[1] != 0)
        count = 2;
    for (size_t i = count; i-- > 0 && !found;) {
        if (!find_all(&list, users[i], err))
            return false;
        const struct find_file *file = choose(&list, pid);
        found = file && text_copy(path, capacity, file->path);
        *owner = users[i];
        find_free(&list);
    }
    if (found)
        return true;
    if (users[0] == 0 && find_all(&list, FIND_ALL_USERS, err)) {
        const struct find_file *file = choose(&list, pid);
        if (file)
            err_set(err, "no buffer of process %u is yours; user %u has %s: name that file", pid,
                    (unsigned)file->summary.owner, file->path);
        find_free(&list);
        if (file)
            return false;
    }
    struct err places;
    if (!find_can_look(&places))
        return err_set(err, "no buffer of process %u in /dev/shm or /tmp, and %s", pid, places.text);
    char why[COVERAGE_MAX];
    coverage_absent(pid, why);
    return err_set(err,
                   "no buffer of process %u in $HEAPTAP_DIR, /dev/shm or /tmp%s%s; if it is elsewhere, name its file",
                   pid, *why ? ": " : "", why);
}
