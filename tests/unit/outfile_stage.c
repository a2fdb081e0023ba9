#include "outfile_stage.h"

#include <common/arch.h>
#include <shim/sys.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- The seam ---- */

unsigned calls, fail_call;
bool frozen, hide_types;
const char *fake;
uint32_t filesystem;

static void forget_types(char *entries, long bytes)
{
    for (long at = 0; at < bytes; at += *(uint16_t *)(entries + at + 16))
        entries[at + 18] = DT_UNKNOWN;
}

long sys_call(long n, long a, long b, long c, long d, long e, long f)
{
    char path[PATH_MAX];
    if (++calls == fail_call) {
        if (n == SYS_close) /* the kernel's closes, too, when it says that it failed */
            arch_syscall(n, a, b, c, d, e, f);
        return -EIO;
    }
    if (frozen)
        return -EPERM;
    if (n == SYS_openat && fake) {
        snprintf(path, sizeof path, "%s%s", fake, (char *)b);
        if (strstr((char *)b, "cgroup") || !access(path, F_OK))
            b = (long)path;
    }
    long result = arch_syscall(n, a, b, c, d, e, f);
    if (n == SYS_getdents64 && hide_types)
        forget_types((char *)b, result);
    if (n == SYS_fstatfs && !result && filesystem && ((struct statfs *)b)->f_type != PROC_SUPER_MAGIC)
        ((struct statfs *)b)->f_type = filesystem;
    return result;
}

long sys_call_undo(long n, long a, long b, long c, long d, long e, long f)
{
    return arch_syscall(n, a, b, c, d, e, f);
}

bool sys_frozen(void)
{
    return frozen;
}

/* ---- A directory, and what is in it ---- */

char home[64];
struct config config;
struct outfile out;

void begin(void)
{
    strcpy(home, "/tmp/check_outfile.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(home));
    config = (struct config){.chosen = true, .first = true, .children = true, .keep = 8, .files_max = 256};
    strcpy(config.program, "prog");
    strcpy(config.dir, home);
    calls = fail_call = 0;
    frozen = hide_types = false;
    fake = NULL;
    filesystem = 0;
}

static void clear(const char *directory)
{
    char path[PATH_MAX];
    struct dirent *entry;
    DIR *open = opendir(directory);
    while ((entry = readdir(open))) {
        struct stat stat;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (!lstat(path, &stat) && S_ISDIR(stat.st_mode))
            clear(path);
        else
            unlink(path);
    }
    closedir(open);
    rmdir(directory);
}

void end(void)
{
    clear(home);
}

const char *in_home(const char *name)
{
    static char path[4][PATH_MAX];
    static unsigned turn;
    char *at = path[turn++ % 4];
    snprintf(at, PATH_MAX, "%s/%s", home, name);
    return at;
}

bool is_there(const char *name)
{
    struct stat stat;
    return !lstat(in_home(name), &stat);
}

unsigned count_files(void)
{
    unsigned count = 0;
    struct dirent *entry;
    DIR *open = opendir(home);
    while ((entry = readdir(open)))
        count += entry->d_name[0] != '.';
    closedir(open);
    return count;
}

void write_file(const char *path, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
    close(fd);
}

static void make_path(const char *path)
{
    char part[PATH_MAX];
    for (const char *at = path + 1; (at = strchr(at, '/')); at++) {
        snprintf(part, sizeof part, "%.*s", (int)(at - path), path);
        mkdir(part, 0700);
    }
}

void show(const char *path, const char *text)
{
    char whole[PATH_MAX];
    snprintf(whole, sizeof whole, "%s%s", home, path);
    make_path(whole);
    write_file(whole, text, strlen(text));
    fake = home;
}

/* ---- Files that are made ---- */

void pattern(const char *text)
{
    snprintf(config.out, sizeof config.out, "%s/%s", home, text);
}

void create(bool forked)
{
    ck_assert_msg(outfile_create(&config, 4242, forked, &out), "no file: %s", out.problem);
    ck_assert_int_ge(out.fd, 0);
    close(out.fd);
}

void expect(bool forked, const char *name)
{
    create(forked);
    ck_assert_str_eq(out.path, in_home(name));
    ck_assert(is_there(name));
}

void refuse(const char *problem)
{
    ck_assert(!outfile_create(&config, 4242, false, &out));
    ck_assert_int_eq(out.fd, -1);
    ck_assert_msg(strstr(out.problem, problem), "\"%s\" without \"%s\"", out.problem, problem);
}

/* ---- Processes whose files are found ---- */

void describe(struct ht_header *header, pid_t pid)
{
    char path[64], line[1024], *at;
    struct stat stat;
    memset(header, 0, sizeof *header);
    memcpy(header->magic, HT_MAGIC, 8);
    header->byte_order = HT_BYTE_ORDER;
    header->version_major = HT_VERSION_MAJOR;
    header->state = HT_STATE_ON;
    header->pid = (uint32_t)pid;
    header->uid = geteuid();
    ck_assert(!fstatat(AT_FDCWD, "/proc/self/ns/pid", &stat, 0));
    header->pid_namespace = stat.st_ino;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    ck_assert(file && fgets(line, sizeof line, file));
    fclose(file);
    at = strrchr(line, ')') + 2;
    for (int field = 3; field < 22; field++)
        at = strchr(at, ' ') + 1;
    header->start_ticks = strtoull(at, NULL, 10);
    file = fopen("/proc/sys/kernel/random/boot_id", "r");
    ck_assert(file && fgets(line, sizeof line, file));
    fclose(file);
    memcpy(header->boot_id, line, strcspn(line, "\n"));
}

pid_t start_process(void)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (!pid)
        for (;;)
            pause();
    return pid;
}

void end_process(pid_t pid)
{
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

struct ht_header dead_header(uint64_t started)
{
    struct ht_header header;
    pid_t pid = start_process();
    describe(&header, pid);
    end_process(pid);
    header.start_realtime_ns = started;
    return header;
}

void put(const char *name, const struct ht_header *header)
{
    struct ht_header own = *header;
    struct stat stat_now;
    write_file(in_home(name), &own, sizeof own);
    ck_assert_int_eq(stat(in_home(name), &stat_now), 0);
    if (!own.file_inode)
        own.file_inode = stat_now.st_ino;
    write_file(in_home(name), &own, sizeof own);
}

void put_dead(const char *name, uint64_t started)
{
    struct ht_header header = dead_header(started);
    put(name, &header);
}
