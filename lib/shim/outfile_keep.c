#include "outfile_keep.h"

#include "outfile.h"
#include "sys.h"
#include <common/one_kernel.h>
#include <common/text.h>
#include <linux/errno.h>
#include <linux/fcntl.h>

#define NAMES_READ 4096
#define FILES_SEEN 1024
#define NAME_BYTES 256
#define BYTES_PART 8 /* of the filesystem is what the files may take, if nothing else was asked for */

enum standing {
    UNKNOWN, /* not looked at */
    FOREIGN, /* another user's, or no file at all */
    KEPT,    /* ours, and living or not certainly dead */
    DEAD,
    REMOVED
};

struct seen_file {
    uint64_t started;
    uint64_t bytes; /* allocated */
    uint8_t standing;
    bool same_program; /* by its name */
    char name[NAME_BYTES];
};

/* One scan. Static: none of it is for the program's stack, and pages that are not needed are never touched. */
static struct scan {
    uint32_t count;      /* names that match, of anybody, as far as they have room here */
    uint32_t count_same; /* of these, of this program */
    const char *directory;
    uint32_t filesystem; /* of the directory, as statfs(2) says */
    bool identity_known; /* the next five are read only when a file is looked at */
    uint32_t uid;
    uint64_t pid_namespace;
    bool proc_is_ours; /* /proc shows our PID namespace */
    bool one_kernel;   /* no other kernel than the one with this boot_id can reach the directory */
    char boot_id[40];
    char glob[1024];        /* of a name ... */
    char glob_number[1024]; /* ... and with what makes it new behind it */
    char prefix[80];        /* "heaptap.PROGRAM." */
    struct seen_file file[FILES_SEEN];
    union {
        char bytes[16384];
        uint64_t align;
    } entries;
} scan;

/* ---- Which names are meant ---- */

/* Turns a pattern into a glob: %e, %p and %n stand for anything, and nothing else does. */
static void make_glob(const char *pattern, struct text *glob)
{
    for (; *pattern; pattern++) {
        bool escape = *pattern == '%' && pattern[1];
        if (escape && pattern[1] != '%' && (pattern[1] == 'e' || pattern[1] == 'p' || pattern[1] == 'n')) {
            text_char(glob, '*');
            pattern++;
        } else if (*pattern == '*' || *pattern == '?' || *pattern == '[') {
            text_char(glob, '[');
            text_char(glob, *pattern);
            text_char(glob, ']');
        } else {
            text_char(glob, *pattern);
            pattern += escape && pattern[1] == '%';
        }
    }
}

/* PID, or PID.NUMBER */
static bool is_number_tail(const char *string)
{
    uint64_t number;
    const char *end = text_read_decimal(string, &number);
    if (end == string)
        return false;
    if (*end != '.')
        return !*end;
    const char *last = text_read_decimal(end + 1, &number);
    return last != end + 1 && !*last;
}

struct directory_entry { /* of getdents64(2) */
    uint64_t inode;
    int64_t next;
    uint16_t bytes;
    uint8_t type;
    char name[];
};
#define ENTRY_UNKNOWN 0
#define ENTRY_REGULAR 8

static void note(const struct directory_entry *entry)
{
    struct seen_file *file = &scan.file[scan.count];
    if (entry->type != ENTRY_REGULAR && entry->type != ENTRY_UNKNOWN)
        return;
    if (scan.count == FILES_SEEN || !(text_match(scan.glob, entry->name) || text_match(scan.glob_number, entry->name)))
        return;
    if (!text_copy(file->name, sizeof file->name, entry->name))
        return;
    file->standing = UNKNOWN;
    file->same_program = text_starts(entry->name, scan.prefix) &&
                         is_number_tail(entry->name + text_length(scan.prefix));
    scan.count_same += file->same_program;
    scan.count++;
}

static void read_names(int directory_fd)
{
    uint32_t names = 0;
    long bytes;
    while (names < NAMES_READ && (bytes = sys_getdents(directory_fd, &scan.entries, sizeof scan.entries)) > 0)
        for (long at = 0; at < bytes; names++) {
            const struct directory_entry *entry = (const struct directory_entry *)(scan.entries.bytes + at);
            note(entry);
            at += entry->bytes;
        }
}

/* ---- What a file is ---- */

static bool is_of_this_boot(const struct ht_header *header)
{
    size_t same = 0;
    while (same < sizeof scan.boot_id && scan.boot_id[same] == header->boot_id[same])
        same++;
    return same == sizeof scan.boot_id;
}

/* The header is a file's word, though a file of this user: where it does not say enough, the process is not dead. */
static bool is_gone(const struct ht_header *header)
{
    if (!header->boot_id[0])
        return false;
    if (!is_of_this_boot(header))
        return scan.one_kernel && header->flags & HT_FLAG_ONE_KERNEL && header->file_inode;
    if (!header->pid || header->pid > INT32_MAX || !scan.pid_namespace || header->pid_namespace != scan.pid_namespace)
        return false;
    if (!sys_process_exists((long)header->pid))
        return true;
    /* Something has the number now. It is another process if it began at another time. */
    uint64_t ticks = header->start_ticks && scan.proc_is_ours ? outfile_start_ticks(header->pid) : 0;
    return ticks && ticks != header->start_ticks;
}

/* A copy is somebody's, whatever became of the process; perhaps of another machine's. */
static bool is_dead(int fd, uint64_t inode, uint64_t *started)
{
    static struct ht_header header;
    if (sys_read_at(fd, &header, sizeof header, 0) != (long)sizeof header)
        return false;
    for (size_t i = 0; i < sizeof header.magic; i++)
        if (header.magic[i] != HT_MAGIC[i])
            return false;
    *started = header.start_realtime_ns;
    return header.byte_order == HT_BYTE_ORDER && header.version_major == HT_VERSION_MAJOR &&
           header.state != HT_STATE_MAKING && (!header.file_inode || header.file_inode == inode) && is_gone(&header);
}

static void path_of(const struct seen_file *file, struct text *path)
{
    text_append(path, scan.directory);
    text_char(path, '/');
    text_append(path, file->name);
}

static void look(struct seen_file *file)
{
    static char buffer[600];
    struct text path = TEXT(buffer);
    struct sys_stat stat;
    path_of(file, &path);
    file->standing = FOREIGN;
    if (path.cut)
        return;
    long fd = sys_open(buffer, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY, 0);
    if (fd < 0)
        return;
    if (!sys_stat((int)fd, &stat) && (stat.mode & SYS_MODE_TYPE) == SYS_MODE_FILE && stat.uid == scan.uid)
        file->standing = is_dead((int)fd, stat.inode, &file->started) ? DEAD : KEPT;
    file->bytes = stat.allocated_bytes;
    sys_close((int)fd);
}

static void read_identity(void)
{
    scan.identity_known = true;
    scan.uid = (uint32_t)sys_uid();
    scan.pid_namespace = outfile_pid_namespace();
    scan.proc_is_ours = outfile_start_ticks((uint32_t)sys_pid()) != 0;
    scan.one_kernel = outfile_boot_id(scan.boot_id) && one_kernel_has(scan.filesystem);
}

static void look_at_all(bool same_program)
{
    if (!scan.identity_known)
        read_identity();
    for (uint32_t i = 0; i < scan.count; i++)
        if (scan.file[i].standing == UNKNOWN && (scan.file[i].same_program || !same_program))
            look(&scan.file[i]);
}

/* Removes the dead file that began first. False: there is none that can be removed. */
static bool remove_oldest(bool same_program)
{
    static char buffer[600];
    struct text path = TEXT(buffer);
    struct seen_file *oldest = NULL;
    for (uint32_t i = 0; i < scan.count; i++) {
        struct seen_file *file = &scan.file[i];
        if (file->standing == DEAD && (file->same_program || !same_program) &&
            (!oldest || file->started < oldest->started))
            oldest = file;
    }
    if (!oldest)
        return false;
    path_of(oldest, &path);
    long result = sys_unlink(buffer);
    /* Another process that starts just now may have been faster. */
    oldest->standing = result && result != -ENOENT ? KEPT : REMOVED;
    return true;
}

static uint32_t count_standing(enum standing standing, bool same_program)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < scan.count; i++)
        count += scan.file[i].standing == standing && (scan.file[i].same_program || !same_program);
    return count;
}

static uint64_t bytes_of_ours(void)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < scan.count; i++)
        if (scan.file[i].standing == KEPT || scan.file[i].standing == DEAD)
            bytes += scan.file[i].bytes;
    return bytes;
}

bool outfile_keep(const struct config *config, int directory_fd, const char *directory, const char *pattern,
                  const struct sys_fs *fs, bool clean)
{
    uint64_t bytes_max = config->bytes_max ? config->bytes_max : fs->total_bytes / BYTES_PART;
    struct text glob = TEXT(scan.glob), glob_number = TEXT(scan.glob_number), prefix = TEXT(scan.prefix);
    scan.count = scan.count_same = 0;
    scan.identity_known = false; /* there may have been a fork */
    scan.directory = directory;
    scan.filesystem = fs->type;
    make_glob(pattern, &glob);
    text_append(&glob_number, scan.glob);
    text_append(&glob_number, ".*");
    text_append(&prefix, "heaptap.");
    text_append(&prefix, config->program);
    text_char(&prefix, '.');
    read_names(directory_fd);
    if (clean && scan.count_same > config->keep) {
        look_at_all(true);
        while (count_standing(DEAD, true) > config->keep && remove_oldest(true)) {
        }
    }
    bool may_be_full = scan.count && bytes_max && fs->total_bytes - fs->free_bytes >= bytes_max;
    if (scan.count < config->files_max && !may_be_full)
        return true;
    look_at_all(false);
    while (count_standing(KEPT, false) + count_standing(DEAD, false) >= config->files_max ||
           (may_be_full && bytes_of_ours() >= bytes_max))
        if (!clean || !remove_oldest(false))
            return false;
    return true;
}
