#include "outfile.h"

#include "outfile_keep.h"
#include "sys.h"
#include <common/one_kernel.h>
#include <common/text.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/magic.h>

#define DEFAULT_NAME "heaptap.%e.%p"
#define PATH_SHOWN 90
#define NUMBER_MOST 999 /* .999, or %n: so many files of one name are a mistake */

/* ---- Problems, as a person reads them ---- */

/* Two reasons of our own among the kernel's. */
#define NOT_MEMORY EXDEV
#define TOO_MANY E2BIG

static const struct {
    int error;
    const char *text;
} error_texts[] = {
    {EACCES, "permission denied"},   {EPERM, "not permitted"},
    {ENOENT, "no such directory"},   {ENOTDIR, "not a directory"},
    {EISDIR, "is a directory"},      {EROFS, "read-only filesystem"},
    {ENOSPC, "no space left"},       {EDQUOT, "quota exceeded"},
    {EMFILE, "too many open files"}, {ENFILE, "too many open files in the system"},
    {ENAMETOOLONG, "name too long"}, {EEXIST, "too many files of this name"},
    {NOT_MEMORY, "not in memory"},   {TOO_MANY, "too many files of this user already (HEAPTAP_FILES, HEAPTAP_BYTES)"},
};

COLD static void complain(struct outfile *out, const char *path, long error)
{
    struct text text = TEXT(out->problem);
    if (*out->problem)
        return; /* the first place is the one that was meant */
    size_t length = text_length(path);
    if (length > PATH_SHOWN) { /* the reason matters more */
        text_append(&text, "...");
        path += length - PATH_SHOWN;
    }
    text_append(&text, path);
    text_append(&text, ": ");
    for (size_t i = 0; i < ARRAY_LEN(error_texts); i++)
        if (error_texts[i].error == -error) {
            text_append(&text, error_texts[i].text);
            return;
        }
    text_append(&text, "error ");
    text_decimal(&text, (uint64_t)-error);
}

/* ---- Names ---- */

struct name {
    const char *directory; /* NULL: the pattern is a whole path */
    const char *pattern;
    const char *program;
    uint32_t pid;
    bool add_pid; /* behind a name that has no %p and belongs to the first process */
};

static bool has(const char *pattern, char letter)
{
    for (; *pattern; pattern++)
        if (*pattern == '%' && *++pattern == letter)
            return true;
        else if (!*pattern)
            break;
    return false;
}

/* The name's n-th form, from 0. False: it does not fit. */
static bool expand(const struct name *name, uint32_t n, char *path, size_t capacity)
{
    struct text text = {.at = path, .capacity = capacity};
    bool numbered = has(name->pattern, 'n');
    if (name->directory) {
        text_append(&text, name->directory);
        text_char(&text, '/');
    }
    for (const char *at = name->pattern; *at; at++) {
        char letter = *at == '%' ? at[1] : 0;
        at += letter == 'e' || letter == 'p' || letter == 'n' || letter == '%';
        switch (letter) {
        case 'e': text_append(&text, name->program); break;
        case 'p': text_decimal(&text, name->pid); break;
        case 'n': text_decimal(&text, n + 1); break;
        default: text_char(&text, *at); break;
        }
    }
    if (name->add_pid) {
        text_char(&text, '.');
        text_decimal(&text, name->pid);
    }
    if (n && !numbered) {
        text_char(&text, '.');
        text_decimal(&text, n);
    }
    return !text.cut;
}

/* ---- Places ---- */

static long open_directory(const char *path)
{
    long fd = sys_open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0);
    /* One may be allowed to make files where one may not list them. */
    return fd == -EACCES ? sys_open(path, O_PATH | O_DIRECTORY, 0) : fd;
}

static bool is_memory(uint32_t type)
{
    return type == TMPFS_MAGIC || type == RAMFS_MAGIC || type == HUGETLBFS_MAGIC;
}

/* Makes the first new one of the name's forms. The descriptor, or -errno. */
static long make(const struct name *name, struct outfile *out)
{
    long fd = -EEXIST;
    for (uint32_t n = 0; n <= NUMBER_MOST && fd == -EEXIST; n++) {
        if (!expand(name, n, out->path, sizeof out->path))
            return -ENAMETOOLONG;
        fd = sys_open(out->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    }
    return fd;
}

enum place_rule {
    PLACE_ANY = 0,
    PLACE_CLEAN = 1, /* dead files may be removed */
    PLACE_MEMORY = 2 /* nothing but a filesystem in memory will do */
};

/* Tries one directory: 0 when the file is made, or -errno with the problem noted. */
static long place(const struct config *config, const struct name *name, const char *directory, unsigned rules,
                  struct outfile *out)
{
    struct sys_fs fs = {0};
    struct sys_stat stat;
    const char *culprit = directory;
    long directory_fd = open_directory(directory), fd = directory_fd;
    if (directory_fd >= 0) {
        if (!sys_statfs((int)directory_fd, &fs)) {
            out->free_bytes = fs.free_bytes;
            out->memory_backed = is_memory(fs.type);
            out->one_kernel = one_kernel_has(fs.type);
        }
        if ((rules & PLACE_MEMORY) && !out->memory_backed) {
            fd = -NOT_MEMORY;
        } else if (!outfile_keep(config, (int)directory_fd, directory, text_basename(name->pattern), &fs,
                                 rules & PLACE_CLEAN)) {
            fd = -TOO_MANY;
        } else {
            fd = make(name, out);
            culprit = out->path;
            out->inode = fd >= 0 && !sys_stat((int)fd, &stat) ? stat.inode : 0;
        }
        sys_close((int)directory_fd);
    }
    if (fd < 0)
        complain(out, culprit, fd);
    out->fd = fd < 0 ? -1 : (int)fd;
    return MIN(fd, 0);
}

/* HEAPTAP_OUT: the directory is what stands before the last slash, after expansion. */
static bool create_explicit(const struct config *config, struct name *name, struct outfile *out)
{
    static char directory[sizeof out->path];
    if (!expand(name, 0, directory, sizeof directory)) {
        complain(out, config->out, -ENAMETOOLONG);
        return false;
    }
    size_t length = (size_t)(text_basename(directory) - directory);
    if (!length)
        text_copy(directory, sizeof directory, ".");
    else
        directory[MAX(length - 1, 1)] = 0;
    return !place(config, name, directory, PLACE_ANY, out);
}

static bool create_default(const struct config *config, struct name *name, struct outfile *out)
{
    const struct {
        const char *directory;
        unsigned rules;
    } places[] = {
        {config->dir, PLACE_CLEAN}, {"/dev/shm", PLACE_CLEAN | PLACE_MEMORY}, {"/tmp", PLACE_CLEAN | PLACE_MEMORY}};
    long error = -ENOENT;
    /* Too many files in one place do not move on to the next. */
    for (size_t i = *config->dir ? 0 : 1; i < ARRAY_LEN(places) && error && error != -TOO_MANY; i++) {
        name->directory = places[i].directory;
        error = place(config, name, places[i].directory, places[i].rules, out);
    }
    if (!error && !*config->dir)
        *out->problem = 0; /* no /dev/shm here: /tmp is as good */
    return !error;
}

bool outfile_create(const struct config *config, uint32_t pid, bool forked, struct outfile *out)
{
    struct name name = {.pattern = config->out, .program = config->program, .pid = pid};
    *out = (struct outfile){.fd = -1};
    if (*config->out) {
        name.add_pid = (forked || !config->first) && !has(config->out, 'p');
        return create_explicit(config, &name, out);
    }
    name.pattern = DEFAULT_NAME;
    return create_default(config, &name, out);
}
