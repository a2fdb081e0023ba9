/*
 * Names, retention, planted files and the budget, in directories of the test's own. The seam to the kernel is the test's, too: it
 * counts the calls, makes one of them fail, and shows a cgroup that is not there.
 */
#include "suite.h"

#include <common/arch.h>
#include <shim/outfile.h>
#include <shim/sys.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- The seam ---- */

static unsigned calls;     /* made since the last reset */
static unsigned fail_call; /* this one of them fails; 0: none */
static bool frozen;
static const char
    *fake;              /* what is in this directory is shown in place of the real thing; of cgroups, nothing else is */
static bool hide_types; /* directories do not tell what an entry is, as some filesystems do not */

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

static char top[64];
static struct config config;
static struct outfile out;

static void begin(void)
{
    strcpy(top, "/tmp/check_outfile.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    config = (struct config){.chosen = true, .first = true, .children = true, .keep = 8, .files_max = 256};
    strcpy(config.program, "prog");
    strcpy(config.dir, top);
    calls = fail_call = 0;
    frozen = hide_types = false;
    fake = NULL;
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

static void end(void)
{
    clear(top);
}

static const char *in_top(const char *name)
{
    static char path[4][PATH_MAX];
    static unsigned turn;
    char *at = path[turn++ % 4];
    snprintf(at, PATH_MAX, "%s/%s", top, name);
    return at;
}

static bool is_there(const char *name)
{
    struct stat stat;
    return !lstat(in_top(name), &stat);
}

static unsigned count_files(void)
{
    unsigned count = 0;
    struct dirent *entry;
    DIR *open = opendir(top);
    while ((entry = readdir(open)))
        count += entry->d_name[0] != '.';
    closedir(open);
    return count;
}

static void write_file(const char *path, const void *bytes, size_t size)
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

static void show(const char *path, const char *text)
{
    char whole[PATH_MAX];
    snprintf(whole, sizeof whole, "%s%s", top, path);
    make_path(whole);
    write_file(whole, text, strlen(text));
    fake = top;
}

static void create(bool forked)
{
    ck_assert_msg(outfile_create(&config, 4242, forked, &out), "no file: %s", out.problem);
    ck_assert_int_ge(out.fd, 0);
    close(out.fd);
}

/* The file is made, and is called like this in the test's directory. */
static void expect(bool forked, const char *name)
{
    create(forked);
    ck_assert_str_eq(out.path, in_top(name));
    ck_assert(is_there(name));
}

/* ---- Processes whose files are found: what the shim would have written, from what libc says about them ---- */

static void describe(struct ht_header *header, pid_t pid)
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

static pid_t start_process(void)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (!pid)
        for (;;)
            pause();
    return pid;
}

static void end_process(pid_t pid)
{
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

/* A file as a process that ended left it; `started` orders them. */
static struct ht_header dead_header(uint64_t started)
{
    struct ht_header header;
    pid_t pid = start_process();
    describe(&header, pid);
    end_process(pid);
    header.start_realtime_ns = started;
    return header;
}

static void put(const char *name, const struct ht_header *header)
{
    write_file(in_top(name), header, sizeof *header);
}

static void put_dead(const char *name, uint64_t started)
{
    struct ht_header header = dead_header(started);
    put(name, &header);
}

/* ---- Names ---- */

START_TEST(a_new_file_is_ours_alone)
{
    struct stat stat;
    begin();
    umask(0);
    ck_assert(outfile_create(&config, 4242, false, &out));
    ck_assert_str_eq(out.path, in_top("heaptap.prog.4242"));
    ck_assert_str_eq(out.problem, "");
    ck_assert_int_eq(fstat(out.fd, &stat), 0);
    ck_assert_uint_eq(stat.st_mode, S_IFREG | 0600);
    ck_assert_int_eq(stat.st_size, 0);
    ck_assert_uint_gt(out.free_bytes, 0);
    ck_assert_int_eq(fcntl(out.fd, F_GETFL) & O_ACCMODE, O_RDWR);
    ck_assert_int_eq(fcntl(out.fd, F_GETFD), FD_CLOEXEC);
    close(out.fd);
    end();
}
END_TEST

START_TEST(what_exists_stays)
{
    char text[8] = "";
    begin();
    write_file(in_top("heaptap.prog.4242"), "mine", 4);
    expect(false, "heaptap.prog.4242.1");
    expect(true, "heaptap.prog.4242.2");
    FILE *file = fopen(in_top("heaptap.prog.4242"), "r");
    ck_assert_ptr_nonnull(fgets(text, sizeof text, file));
    fclose(file);
    ck_assert_str_eq(text, "mine");
    end();
}
END_TEST

static void pattern(const char *text)
{
    snprintf(config.out, sizeof config.out, "%s/%s", top, text);
}

START_TEST(patterns)
{
    static const struct {
        const char *pattern, *first, *second, *of_child;
    } rows[] = {
        {"a.ht", "a.ht", "a.ht.1", "a.ht.4242"},
        {"b.%p", "b.4242", "b.4242.1", "b.4242.2"},
        {"c.%e.%p.%e", "c.prog.4242.prog", "c.prog.4242.prog.1", "c.prog.4242.prog.2"},
        {"d.%n", "d.1", "d.2", "d.1.4242"},
        {"e%%p", "e%p", "e%p.1", "e%p.4242"},
        {"f%q%", "f%q%", "f%q%.1", "f%q%.4242"},
        {"g.%%%p", "g.%4242", "g.%4242.1", "g.%4242.2"},
        {"h%%%%n", "h%%n", "h%%n.1", "h%%n.4242"},
    };
    begin();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        pattern(rows[i].pattern);
        expect(false, rows[i].first);
        expect(false, rows[i].second);
        expect(true, rows[i].of_child);
    }
    pattern("a.ht");
    config.first = false;
    expect(false, "a.ht.4242.1");
    end();
}
END_TEST

START_TEST(relative_and_odd_paths)
{
    begin();
    ck_assert_int_eq(chdir(top), 0);
    strcpy(config.out, "here");
    create(false);
    ck_assert_str_eq(out.path, "here");
    ck_assert(is_there("here"));
    ck_assert_int_eq(mkdir("sub", 0700), 0);
    strcpy(config.out, "sub/x");
    create(false);
    ck_assert(is_there("sub/x"));
    ck_assert_int_eq(mkdir("prog", 0700), 0);
    strcpy(config.out, "%e/%p");
    create(false);
    ck_assert(is_there("prog/4242"));
    ck_assert_int_eq(chdir("/"), 0);
    end();
}
END_TEST

static void refuse(const char *problem)
{
    ck_assert(!outfile_create(&config, 4242, false, &out));
    ck_assert_int_eq(out.fd, -1);
    ck_assert_msg(strstr(out.problem, problem), "\"%s\" without \"%s\"", out.problem, problem);
}

START_TEST(what_cannot_be_made_is_said)
{
    begin();
    pattern("none/x");
    refuse("/none: no such directory");
    pattern("");
    refuse("is a directory");
    write_file(in_top("file"), "", 0);
    pattern("file/x");
    refuse("/file: not a directory");
    memset(config.out, 'x', 250);
    config.out[250] = 0;
    strcpy(config.out + 200, "%e%e%e%e%e%e%e%e%e%e%e%e%e%e%e%e%e%e%e%e%e%e%e%e");
    memset(config.program, 'y', 60);
    refuse("name too long");
    end();
}
END_TEST

START_TEST(the_next_place_and_why)
{
    begin();
    snprintf(config.dir, sizeof config.dir, "%s/none", top);
    create(false);
    ck_assert_int_ne(strncmp(out.path, top, strlen(top)), 0);
    ck_assert(out.memory_backed);
    ck_assert_msg(strstr(out.problem, "/none: no such directory"), "%s", out.problem);
    unlink(out.path);
    *config.dir = 0;
    create(false);
    ck_assert_str_eq(out.problem, "");
    ck_assert(out.memory_backed);
    unlink(out.path);
    end();
}
END_TEST

/* ---- Planted files ---- */

START_TEST(planted_names_are_neither_followed_nor_a_hindrance)
{
    struct stat stat;
    begin();
    write_file(in_top("victim"), "v", 1);
    ck_assert_int_eq(symlink(in_top("victim"), in_top("heaptap.prog.4242")), 0);
    ck_assert_int_eq(symlink(in_top("nowhere"), in_top("heaptap.prog.4242.1")), 0);
    ck_assert_int_eq(mkfifo(in_top("heaptap.prog.4242.2"), 0666), 0);
    ck_assert_int_eq(mkdir(in_top("heaptap.prog.4242.3"), 0777), 0);
    expect(false, "heaptap.prog.4242.4");
    ck_assert_int_eq(lstat(in_top("victim"), &stat), 0);
    ck_assert_int_eq(stat.st_size, 1);
    ck_assert(!is_there("nowhere"));
    end();
}
END_TEST

static void try_planted_files(bool with_types)
{
    static const char *const names[] = {"heaptap.prog.1", "heaptap.prog.2", "heaptap.prog.3", "heaptap.prog.4",
                                        "heaptap.prog.5", "heaptap.prog.6", "heaptap.prog.7", "heaptap.prog.8",
                                        "heaptap.prog.9", "heaptap.prog.x", "heaptap.prog.",  "heaptap.prog.10.x"};
    struct ht_header dead;
    begin();
    hide_types = !with_types;
    config.keep = 0;
    dead = dead_header(1);
    write_file(in_top("elsewhere"), &dead, sizeof dead);
    ck_assert_int_eq(symlink(in_top("elsewhere"), in_top(names[0])), 0);
    ck_assert_int_eq(mkfifo(in_top(names[1]), 0666), 0);
    ck_assert_int_eq(mkdir(in_top(names[2]), 0777), 0);
    write_file(in_top(names[3]), "", 0); /* being made */
    write_file(in_top(names[4]), "junk", 4);
    write_file(in_top(names[5]), &dead, sizeof dead - 1); /* cut */
    dead.magic[0] = 'h';
    write_file(in_top(names[6]), &dead, sizeof dead);
    dead.magic[0] = 'H';
    if (!geteuid()) { /* another user's */
        write_file(in_top(names[7]), &dead, sizeof dead);
        ck_assert_int_eq(chown(in_top(names[7]), 65534, 65534), 0);
    } else {
        write_file(in_top(names[7]), "", 0);
    }
    dead.byte_order = __builtin_bswap32(HT_BYTE_ORDER);
    write_file(in_top(names[8]), &dead, sizeof dead);
    dead.byte_order = HT_BYTE_ORDER;
    for (size_t i = 9; i < ARRAY_LEN(names); i++) /* not names that this program's files have */
        write_file(in_top(names[i]), &dead, sizeof dead);
    expect(false, "heaptap.prog.4242");
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        ck_assert_msg(is_there(names[i]), "%s is gone", names[i]);
    ck_assert(is_there("elsewhere"));
    put_dead("heaptap.prog.11", 1); /* and the one that may go goes */
    expect(false, "heaptap.prog.4242.1");
    ck_assert(!is_there("heaptap.prog.11"));
    end();
}

START_TEST(planted_files_are_not_touched)
{
    try_planted_files(true);
    try_planted_files(false);
}
END_TEST

START_TEST(planted_files_do_not_count)
{
    char name[64];
    begin();
    hide_types = true;
    config.files_max = 3;
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "heaptap.prog.%d", i);
        if (i % 3 == 0)
            ck_assert_int_eq(mkfifo(in_top(name), 0666), 0);
        else if (i % 3 == 1 || geteuid())
            ck_assert_int_eq(symlink("/proc/self/exe", in_top(name)), 0);
        else {
            write_file(in_top(name), "", 0);
            ck_assert_int_eq(chown(in_top(name), 65534, 65534), 0);
        }
    }
    expect(false, "heaptap.prog.4242");
    end();
}
END_TEST

START_TEST(a_crowded_directory)
{
    char name[64];
    begin();
    config.keep = 0;
    write_file(in_top("own"), "", 0);
    for (int i = 0; i < 1200; i++) {
        snprintf(name, sizeof name, "heaptap.prog.%d", 1000000 + i);
        ck_assert_int_eq(link(in_top("own"), in_top(name)), 0);
    }
    config.files_max = 1000;
    ck_assert(!outfile_create(&config, 4242, false, &out)); /* all of them are ours */
    ck_assert_uint_lt(calls, 100 + 1024 * 5);
    ck_assert_uint_eq(count_files(), 1201);
    end();
}
END_TEST

START_TEST(a_directory_full_of_others)
{
    char name[64];
    begin();
    write_file(in_top("own"), "", 0);
    for (int i = 0; i < 9000; i++) {
        snprintf(name, sizeof name, "%d.a-name-that-has-some-length", i);
        ck_assert_int_eq(link(in_top("own"), in_top(name)), 0);
    }
    calls = 0;
    expect(false, "heaptap.prog.4242");
    ck_assert_msg(calls < 30, "%u calls", calls);
    end();
}
END_TEST

/* ---- Retention ---- */

START_TEST(the_newest_dead_files_are_kept)
{
    static const unsigned order[] = {3, 11, 7, 1, 9, 5, 12, 2, 10, 6, 4, 8};
    char name[64];
    begin();
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        snprintf(name, sizeof name, "heaptap.prog.%u", 100 + order[i]);
        put_dead(name, order[i]);
    }
    put_dead("heaptap.prog.200.1", 20);
    put_dead("heaptap.other.1", 1);
    put_dead("heaptap.prog.x.1", 1); /* of a program called prog.x */
    expect(false, "heaptap.prog.4242");
    for (unsigned i = 1; i <= 12; i++) {
        snprintf(name, sizeof name, "heaptap.prog.%u", 100 + i);
        ck_assert_msg(is_there(name) == (i > 5), "%s", name);
    }
    ck_assert(is_there("heaptap.prog.200.1") && is_there("heaptap.other.1") && is_there("heaptap.prog.x.1"));
    end();
}
END_TEST

START_TEST(what_is_not_certainly_dead_stays)
{
    struct ht_header living, zombie, dead;
    begin();
    config.keep = 0;
    pid_t pid = start_process(), defunct = start_process();
    describe(&living, pid);
    describe(&zombie, defunct);
    siginfo_t info;
    kill(defunct, SIGKILL);
    ck_assert_int_eq(waitid(P_PID, (id_t)defunct, &info, WEXITED | WNOWAIT), 0);
    put("heaptap.prog.1", &living);
    put("heaptap.prog.2", &zombie);
    dead = dead_header(1);
    put("heaptap.prog.99", &dead);
#define PUT_CHANGED(name, change)                                                                                      \
    do {                                                                                                               \
        struct ht_header changed = dead;                                                                               \
        change;                                                                                                        \
        put(name, &changed);                                                                                           \
    } while (0)
    PUT_CHANGED("heaptap.prog.3", changed.state = HT_STATE_MAKING);
    PUT_CHANGED("heaptap.prog.4", changed.boot_id[0] ^= 1);
    PUT_CHANGED("heaptap.prog.5", memset(changed.boot_id, 0, sizeof changed.boot_id));
    PUT_CHANGED("heaptap.prog.6", changed.pid_namespace++);
    PUT_CHANGED("heaptap.prog.7", changed.pid_namespace = 0);
    PUT_CHANGED("heaptap.prog.8", changed.pid = 0);
    PUT_CHANGED("heaptap.prog.9", changed.pid = 0x80000001u);
    PUT_CHANGED("heaptap.prog.10", changed.version_major++);
    PUT_CHANGED("heaptap.prog.11", (changed.pid = (uint32_t)pid, changed.start_ticks = 0));
    expect(false, "heaptap.prog.4242");
    for (int i = 1; i <= 11; i++) {
        char name[64];
        snprintf(name, sizeof name, "heaptap.prog.%d", i);
        ck_assert_msg(is_there(name), "%s is gone", name);
    }
    ck_assert(!is_there("heaptap.prog.99"));
    end_process(pid);
    ck_assert_int_eq(waitpid(defunct, NULL, 0), defunct);
    expect(false, "heaptap.prog.4242.1");
    ck_assert(!is_there("heaptap.prog.1") && !is_there("heaptap.prog.2"));
    end();
}
END_TEST

START_TEST(a_number_that_another_process_got)
{
    struct ht_header header;
    begin();
    config.keep = 0;
    pid_t pid = start_process();
    describe(&header, pid);
    header.start_ticks--;
    put("heaptap.prog.1", &header);
    expect(false, "heaptap.prog.4242");
    ck_assert(!is_there("heaptap.prog.1"));
    end_process(pid);
    end();
}
END_TEST

START_TEST(nothing_is_certain_without_proc)
{
    struct ht_header header, nowhere = dead_header(1);
    begin();
    config.keep = 0;
    pid_t pid = start_process();
    describe(&header, pid);
    header.start_ticks--;
    put("heaptap.prog.1", &header);
    memset(nowhere.boot_id, 0, sizeof nowhere.boot_id);
    put("heaptap.prog.2", &nowhere);
    show("/proc/self/stat", "99 (of another PID namespace) S 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1");
    ck_assert_uint_eq(outfile_start_ticks((uint32_t)getpid()), 0);
    expect(false, "heaptap.prog.4242");
    ck_assert(is_there("heaptap.prog.1"));
    show("/proc/sys/kernel/random/boot_id", "");
    expect(false, "heaptap.prog.4242.1");
    ck_assert(is_there("heaptap.prog.2"));
    end_process(pid);
    end();
}
END_TEST

START_TEST(too_many_files_make_room_from_the_oldest_dead)
{
    struct ht_header living;
    begin();
    config.files_max = 4;
    pid_t pid = start_process();
    describe(&living, pid);
    put("heaptap.a.1", &living);
    put_dead("heaptap.b.2", 30);
    put_dead("heaptap.c.3", 10);
    put_dead("heaptap.d.4", 20);
    write_file(in_top("unrelated"), "", 0);
    expect(false, "heaptap.prog.4242");
    ck_assert(is_there("heaptap.a.1") && is_there("heaptap.b.2") && !is_there("heaptap.c.3") &&
              is_there("heaptap.d.4"));
    put("heaptap.prog.4242", &living);
    config.files_max = 2;
    ck_assert(!outfile_create(&config, 4242, false, &out));
    ck_assert_msg(strstr(out.problem, "HEAPTAP_FILES"), "%s", out.problem);
    ck_assert(is_there("heaptap.a.1") && is_there("heaptap.prog.4242") && is_there("unrelated"));
    config.files_max = 3;
    expect(false, "heaptap.prog.4242.1");
    end_process(pid);
    end();
}
END_TEST

START_TEST(too_many_bytes_make_room_from_the_oldest_dead)
{
    static char block[64 << 10];
    const char *names[] = {"heaptap.a.1", "heaptap.b.2", "heaptap.c.3"};
    begin();
    for (unsigned i = 0; i < 3; i++) {
        put_dead(names[i], 30 - i * 10); /* c began first */
        FILE *file = fopen(in_top(names[i]), "a");
        ck_assert_ptr_nonnull(file);
        ck_assert_uint_eq(fwrite(block, 1, sizeof block, file), sizeof block);
        fclose(file);
    }
    config.bytes_max = 180 << 10;
    expect(false, "heaptap.prog.4242");
    ck_assert(is_there("heaptap.a.1") && is_there("heaptap.b.2") && !is_there("heaptap.c.3"));
    pattern("heaptap.%e.%p"); /* an explicit name: nothing is removed for it */
    config.bytes_max = 100 << 10;
    refuse("HEAPTAP_BYTES");
    ck_assert(is_there("heaptap.a.1") && is_there("heaptap.b.2"));
    end();
}
END_TEST

START_TEST(files_under_a_pattern_are_counted_and_never_removed)
{
    begin();
    config.keep = 0;
    config.files_max = 3;
    pattern("x[*.%e.%p");
    put_dead("x[*.a.1", 1);
    put_dead("x[*.b.2.7", 2);
    put_dead("x[y.b.2", 2); /* the pattern's own letters are no glob */
    put_dead("heaptap.prog.1", 2);
    expect(false, "x[*.prog.4242");
    refuse("HEAPTAP_FILES");
    config.files_max = 4;
    expect(false, "x[*.prog.4242.1");
    ck_assert(is_there("x[*.a.1") && is_there("x[*.b.2.7") && is_there("heaptap.prog.1"));
    end();
}
END_TEST

/* ---- Cost and failures ---- */

START_TEST(a_start_costs_few_calls)
{
    begin();
    fake = top; /* no cgroup */
    create(false);
    outfile_budget(&config, out.free_bytes);
    outfile_start_ticks((uint32_t)getpid());
    outfile_pid_namespace();
    ck_assert_msg(calls <= 15, "%u calls", calls);
    end();
}
END_TEST

static unsigned open_descriptors(void)
{
    unsigned count = 0;
    DIR *open = opendir("/proc/self/fd");
    while (readdir(open))
        count++;
    closedir(open);
    return count;
}

START_TEST(any_call_may_fail)
{
    struct ht_header living, dead = dead_header(0);
    bool made = true;
    begin();
    pid_t pid = start_process();
    describe(&living, pid);
    put("heaptap.prog.1", &living);
    put("heaptap.a.1", &living);
    unsigned descriptors = open_descriptors();
    config.keep = 1;
    config.files_max = 5;
    for (unsigned n = 1; n < 300; n++) {
        dead.start_realtime_ns = 1;
        put("heaptap.prog.2", &dead);
        dead.start_realtime_ns = 2;
        put("heaptap.prog.3", &dead);
        calls = 0;
        fail_call = n;
        made = outfile_create(&config, 4242, false, &out);
        ck_assert_int_eq(made, out.fd >= 0);
        ck_assert(made || *out.problem);
        if (made) {
            close(out.fd);
            unlink(out.path);
        }
        ck_assert_uint_eq(open_descriptors(), descriptors);
        ck_assert(is_there("heaptap.prog.1") && is_there("heaptap.a.1"));
        if (calls < n)
            break;
    }
    ck_assert_uint_lt(calls, 299);
    ck_assert_uint_ge(calls, 20);
    fail_call = 0;
    frozen = true;
    ck_assert(!outfile_create(&config, 4242, false, &out));
    ck_assert_int_eq(out.fd, -1);
    frozen = false;
    end_process(pid);
    end();
}
END_TEST

/* ---- Identity ---- */

START_TEST(identity_is_what_proc_says)
{
    struct ht_header header;
    char boot[40];
    pid_t pid = start_process();
    describe(&header, pid);
    ck_assert_uint_eq(outfile_start_ticks((uint32_t)pid), header.start_ticks);
    ck_assert_uint_eq(outfile_pid_namespace(), header.pid_namespace);
    memset(boot, 'x', sizeof boot);
    outfile_boot_id(boot);
    ck_assert_mem_eq(boot, header.boot_id, sizeof boot);
    ck_assert_uint_eq(strlen(boot), 36);
    describe(&header, getpid());
    ck_assert_uint_eq(outfile_start_ticks((uint32_t)getpid()), header.start_ticks);
    end_process(pid);
    ck_assert_uint_eq(outfile_start_ticks((uint32_t)pid), 0);
    frozen = true;
    ck_assert_uint_eq(outfile_pid_namespace(), 0);
    outfile_boot_id(boot);
    ck_assert_str_eq(boot, "");
    frozen = false;
}
END_TEST

/* ---- Budget ---- */

#define M (1ull << 20)
#define PLENTY (1ull << 44)

START_TEST(budget_is_bounded)
{
    begin();
    fake = top;
    uint64_t ram = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t expected = ram / 64 > 256 * M ? 256 * M : ram / 64;
    ck_assert_uint_eq(outfile_budget(&config, PLENTY), expected);
    ck_assert_uint_eq(outfile_budget(&config, 64 * M), M);
    ck_assert_uint_eq(outfile_budget(&config, 2 * M), M / 2);
    ck_assert_uint_eq(outfile_budget(&config, M / 2), M / 4); /* half of what is free, and no more */
    config.budget_bytes = 700 * M;
    ck_assert_uint_eq(outfile_budget(&config, PLENTY), 700 * M);
    ck_assert_uint_eq(outfile_budget(&config, 1000 * M), 500 * M);
    config.budget_bytes = 3 * M;
    ck_assert_uint_eq(outfile_budget(&config, PLENTY), 3 * M);
    end();
}
END_TEST

START_TEST(budget_in_cgroup_2)
{
    begin();
    show("/proc/self/cgroup", "0::/user.slice/app.scope/deep\n");
    ck_assert_uint_ge(outfile_budget(&config, PLENTY), 64 * M);
    show("/sys/fs/cgroup/user.slice/app.scope/deep/memory.max", "max\n");
    show("/sys/fs/cgroup/user.slice/memory.max", "268435456\n");
    ck_assert_uint_eq(outfile_budget(&config, PLENTY), 4 * M);
    show("/sys/fs/cgroup/user.slice/app.scope/memory.max", "134217728\n");
    ck_assert_uint_eq(outfile_budget(&config, PLENTY), 2 * M);
    show("/sys/fs/cgroup/memory.max", "67108864\n"); /* in a cgroup namespace the root has a limit, too */
    ck_assert_uint_eq(outfile_budget(&config, PLENTY), 1 * M);
    show("/sys/fs/cgroup/user.slice/app.scope/deep/memory.max", "1000\n");
    ck_assert_uint_eq(outfile_budget(&config, PLENTY), M / 2);
    show("/proc/self/cgroup", "0::/\n");
    ck_assert_uint_eq(outfile_budget(&config, PLENTY), 1 * M);
    end();
}
END_TEST

START_TEST(budget_in_cgroup_1)
{
    begin();
    show("/proc/self/cgroup", "12:pids:/x\n7:hugetlb,memory:/docker/abc\n4:xmemory:/bad\n1:name=systemd:/\n0::/y\n");
    show("/sys/fs/cgroup/memory/bad/memory.limit_in_bytes", "1000\n");
    show("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "9223372036854771712\n");
    ck_assert_uint_ge(outfile_budget(&config, PLENTY), 64 * M);
    show("/proc/self/cgroup", "7:memory,hugetlb:/docker/abc\n");
    show("/sys/fs/cgroup/memory/docker/memory.limit_in_bytes", "268435456\n");
    ck_assert_uint_eq(outfile_budget(&config, PLENTY), 4 * M);
    /* Docker mounts the container's own group where the path says the host's. */
    show("/sys/fs/cgroup/memory/memory.limit_in_bytes", "134217728\n");
    ck_assert_uint_eq(outfile_budget(&config, PLENTY), 2 * M);
    end();
}
END_TEST

START_TEST(budget_of_damaged_cgroup_files)
{
    static char text[9000];
    begin();
    memset(text, '/', sizeof text - 1);
    memcpy(text, "0::", 3);
    show("/proc/self/cgroup", text);
    ck_assert_uint_ge(outfile_budget(&config, PLENTY), 64 * M);
    show("/proc/self/cgroup", "0\n:\n0:\n0:memory\n\n::::\n5:memory:");
    ck_assert_uint_ge(outfile_budget(&config, PLENTY), 64 * M);
    show("/proc/self/cgroup", "0::../../../../a/../b\n");
    ck_assert_uint_ge(outfile_budget(&config, PLENTY), 64 * M);
    end();
}
END_TEST

START_TEST(budget_under_an_address_limit)
{
    begin();
    pid_t pid = fork();
    if (!pid) {
        struct rlimit limit = {320 * M, RLIM_INFINITY};
        config.budget_bytes = 200 * M;
        bool set = !setrlimit(RLIMIT_AS, &limit);
        _exit(set && outfile_budget(&config, PLENTY) == 20 * M ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    end();
}
END_TEST

START_TEST(budget_under_a_file_limit)
{
    begin();
    pid_t pid = fork();
    if (!pid) {
        struct rlimit limit = {3 * M, RLIM_INFINITY};
        config.budget_bytes = 200 * M;
        bool set = !setrlimit(RLIMIT_FSIZE, &limit);
        _exit(set && outfile_budget(&config, PLENTY) == 3 * M / 2 ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    end();
}
END_TEST

SUITE("outfile", a_new_file_is_ours_alone, what_exists_stays, patterns, relative_and_odd_paths,
      what_cannot_be_made_is_said, the_next_place_and_why, planted_names_are_neither_followed_nor_a_hindrance,
      planted_files_are_not_touched, planted_files_do_not_count, a_crowded_directory, a_directory_full_of_others,
      the_newest_dead_files_are_kept, what_is_not_certainly_dead_stays, a_number_that_another_process_got,
      nothing_is_certain_without_proc, too_many_files_make_room_from_the_oldest_dead,
      files_under_a_pattern_are_counted_and_never_removed, too_many_bytes_make_room_from_the_oldest_dead,
      a_start_costs_few_calls, any_call_may_fail, identity_is_what_proc_says, budget_is_bounded, budget_in_cgroup_2,
      budget_in_cgroup_1, budget_of_damaged_cgroup_files, budget_under_an_address_limit, budget_under_a_file_limit)
