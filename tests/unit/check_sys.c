/* The system seam, against what libc says about the same things. */
#include "again.h"

#include <shim/lines.h>
#include <shim/sys.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>

START_TEST(errors_come_back_and_errno_stays)
{
    long error = 1;
    errno = 4711;
    ck_assert_int_eq(sys_open("/nonexistent/x", O_RDONLY, 0), -ENOENT);
    ck_assert_int_eq(sys_close(-1), -EBADF);
    ck_assert_ptr_null(sys_map_shared(NULL, -1, 4096, &error));
    ck_assert_int_eq(error, -EBADF);
    ck_assert_ptr_null(sys_map_anonymous(NULL, SIZE_MAX / 2, NULL));
    ck_assert_int_eq(errno, 4711);
}
END_TEST

static bool has_flag(const void *at, const char *flag)
{
    char line[512], start[32];
    bool inside = false, found = false;
    FILE *smaps = fopen("/proc/self/smaps", "r");
    snprintf(start, sizeof start, "%lx-", (unsigned long)at);
    ck_assert_ptr_nonnull(smaps);
    while (fgets(line, sizeof line, smaps)) {
        inside = inside || !strncmp(line, start, strlen(start));
        if (inside && !strncmp(line, "VmFlags:", 8)) {
            found = strstr(line, flag) != NULL;
            break;
        }
    }
    fclose(smaps);
    return found;
}

START_TEST(maps_and_replaces)
{
    long error = 1;
    size_t bytes = 1 << 20;
    char *memory = sys_map_anonymous(NULL, bytes, &error);
    ck_assert_ptr_nonnull(memory);
    ck_assert_int_eq(error, 0);
    ck_assert(has_flag(memory, " nr")); /* no reserve */
    ck_assert(has_flag(memory, " dd")); /* not dumped */
    memset(memory, 'x', bytes);
    ck_assert_ptr_eq(sys_map_anonymous(memory, bytes, &error), memory);
    ck_assert_int_eq(memory[0] | memory[bytes - 1], 0);
    ck_assert(sys_readable(memory));
    ck_assert_int_eq(sys_unmap(memory, bytes), 0);
    ck_assert(!sys_readable(memory));
}
END_TEST

START_TEST(readable)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *memory = sys_map_anonymous(NULL, 2 * page, NULL);
    int local = 0;
    sigset_t before, after;
    ck_assert_int_eq(mprotect(memory + page, page, PROT_NONE), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    ck_assert(sys_readable(&local));
    ck_assert(sys_readable(memory));
    ck_assert(sys_readable(memory + page - 8));
    ck_assert(!sys_readable(memory + page));
    ck_assert(!sys_readable(NULL));
    ck_assert(!sys_readable((void *)8));
    ck_assert(!sys_readable((void *)UINTPTR_MAX));
    ck_assert(!sys_readable((void *)(UINTPTR_MAX << 48)));
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int i = 1; i < 32; i++)
        ck_assert_int_eq(sigismember(&before, i), sigismember(&after, i));
    sys_unmap(memory, 2 * page);
}
END_TEST

START_TEST(files)
{
    char path[] = "/tmp/check_sys.XXXXXX", link[64], target[64] = "";
    char buffer[16] = "";
    struct stat libc;
    struct sys_stat ours;
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(sys_write(fd, "hello", 5), 5);
    ck_assert_int_eq(sys_allocate(fd, 0, 100000), 0);
    ck_assert_int_eq(fstat(fd, &libc), 0);
    ck_assert_int_eq(sys_stat(fd, &ours), 0);
    ck_assert_uint_eq(ours.bytes, 100000);
    ck_assert_uint_eq(ours.bytes, (uint64_t)libc.st_size);
    ck_assert_uint_eq(ours.allocated_bytes, (uint64_t)libc.st_blocks * 512);
    ck_assert_uint_eq(ours.inode, libc.st_ino);
    ck_assert_uint_eq(ours.mode, libc.st_mode);
    ck_assert_uint_eq(ours.mode & SYS_MODE_TYPE, SYS_MODE_FILE);
    ck_assert_uint_eq(ours.uid, libc.st_uid);
    ck_assert_uint_eq(ours.links, libc.st_nlink);
    ck_assert_int_eq(sys_read_at(fd, buffer, 4, 1), 4);
    ck_assert_str_eq(buffer, "ello");
    ck_assert_int_eq(sys_truncate(fd, 3), 0);
    ck_assert_int_eq(sys_read_file(path, buffer, sizeof buffer), 3);
    snprintf(link, sizeof link, "%s.link", path);
    ck_assert_int_eq(symlink("there", link), 0);
    ck_assert_int_eq(sys_readlink(link, target, sizeof target), 5);
    ck_assert_str_eq(target, "there");
    ck_assert_int_eq(sys_unlink(link), 0);
    ck_assert_int_eq(sys_unlink(path), 0);
    ck_assert_int_eq(sys_unlink(path), -ENOENT);
    long again_fd = sys_open("/dev/null", O_RDWR, 0);
    ck_assert_int_eq(fcntl((int)again_fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(sys_close((int)again_fd), 0);
    close(fd);
}
END_TEST

START_TEST(filesystem_and_machine)
{
    struct statfs libc;
    struct sys_fs ours;
    struct sysinfo info;
    struct rlimit limit = {1ull << 44, RLIM_INFINITY};
    int fd = open("/proc", O_RDONLY | O_DIRECTORY);
    ck_assert_int_eq(fstatfs(fd, &libc), 0);
    ck_assert_int_eq(sys_statfs(fd, &ours), 0);
    ck_assert_uint_eq(ours.type, (uint32_t)libc.f_type);
    close(fd);
    fd = open("/tmp", O_RDONLY | O_DIRECTORY);
    ck_assert_int_eq(fstatfs(fd, &libc), 0);
    ck_assert_int_eq(sys_statfs(fd, &ours), 0);
    ck_assert_uint_eq(ours.total_bytes, (uint64_t)libc.f_blocks * (uint64_t)libc.f_bsize);
    ck_assert_uint_le(ours.free_bytes, ours.total_bytes);
    close(fd);
    ck_assert_int_eq(sysinfo(&info), 0);
    ck_assert_uint_eq(sys_ram(), (uint64_t)info.totalram * info.mem_unit);
    getrlimit(RLIMIT_AS, &limit);
    ck_assert_uint_eq(sys_address_limit(), limit.rlim_cur);
    limit.rlim_cur = 123456789;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_uint_eq(sys_file_limit(), 123456789);
}
END_TEST

START_TEST(processes)
{
    pid_t child = fork();
    if (!child)
        _exit(0);
    siginfo_t info;
    ck_assert_int_eq(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    ck_assert(sys_process_exists(child)); /* a zombie still has its number */
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ck_assert(!sys_process_exists(child));
    ck_assert_int_eq(sys_pid(), getpid());
    ck_assert_int_eq(sys_parent_pid(), getppid());
    ck_assert_int_eq(sys_tid(), syscall(SYS_gettid));
    ck_assert_int_eq(sys_uid(), geteuid());
    ck_assert(sys_process_exists(getpid()));
    ck_assert(sys_process_exists(1));
    ck_assert(sys_thread_exists(getpid(), getpid()));
    ck_assert(!sys_thread_exists(getpid(), child));
    ck_assert(!sys_is_privileged());
}
END_TEST

static bool is_blocked(int signal)
{
    sigset_t now;
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    return sigismember(&now, signal);
}

START_TEST(signals_are_blocked_and_put_back)
{
    struct sys_signals old;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    sys_block_signals(&old);
    ck_assert(is_blocked(SIGUSR1) && is_blocked(SIGUSR2) && is_blocked(SIGRTMAX) && is_blocked(SIGSEGV));
    sys_restore_signals(&old);
    ck_assert(!is_blocked(SIGUSR1) && is_blocked(SIGUSR2) && !is_blocked(SIGRTMAX));
}
END_TEST

START_TEST(frozen_enters_the_kernel_no_more)
{
    struct sys_signals before, during;
    int local = 0;
    ck_assert(!sys_frozen());
    sys_block_signals(&before);
    sys_freeze();
    ck_assert(sys_frozen());
    ck_assert_int_eq(sys_pid(), -EPERM);
    ck_assert(!sys_readable(&local));
    ck_assert_ptr_null(sys_map_anonymous(NULL, 4096, NULL));
    ck_assert_int_eq(sys_close(0), -EPERM);
    sys_restore_signals(&before); /* what was done before the freeze is undone */
    ck_assert(!is_blocked(SIGUSR1));
    memset(&during, 0xff, sizeof during);
    sys_block_signals(&during);
    ck_assert(!is_blocked(SIGUSR1));
    sys_restore_signals(&during);
    ck_assert(!is_blocked(SIGUSR1));
    sys_thaw();
    ck_assert_int_eq(sys_pid(), getpid());
    ck_assert_int_ge(fcntl(0, F_GETFD), 0);
}
END_TEST

static volatile int on_stack = -1;

static void look(int signal)
{
    (void)signal;
    on_stack = sys_on_alternate_stack();
}

START_TEST(alternate_stack)
{
    static char memory[65536];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};
    struct sigaction action = {.sa_handler = look};
    ck_assert(!sys_on_alternate_stack());
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    ck_assert_int_eq(on_stack, 0);
    sigaltstack(&stack, NULL);
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    ck_assert_int_eq(on_stack, 1);
    ck_assert(!sys_on_alternate_stack());
    stack.ss_flags = SS_DISABLE;
    sigaltstack(&stack, NULL);
}
END_TEST

/* A filter that lets everything through, but for prctl: that kills. */
AGAIN(filtered)
{
    struct sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 1),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {ARRAY_LEN(code), code};
    bool before = sys_under_seccomp();
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        printf("no filters here");
    else
        printf("%d %d", before, sys_under_seccomp());
}

START_TEST(a_filter_in_force_is_seen)
{
    char output[64], *none[] = {NULL};
    bool mine = sys_under_seccomp();
    ck_assert_int_eq(again(NULL, "filtered", none, -1, output, sizeof output), 0);
    if (!strcmp(output, "no filters here"))
        printf("%s\n", output);
    else
        ck_assert_str_eq(output, mine ? "1 1" : "0 1");
}
END_TEST

START_TEST(lines_of_every_length)
{
    static struct lines lines;
    static char text[40000];
    char path[] = "/tmp/check_sys.XXXXXX";
    int fd = mkstemp(path);
    static const size_t lengths[] = {0, 1, 4094, 4095, 4096, 10, 9000, 0, 5000, 4093, 2};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        memset(text, 'a' + (int)i, lengths[i]);
        ck_assert_int_eq(write(fd, text, lengths[i]), (ssize_t)lengths[i]);
        if (i + 1 < ARRAY_LEN(lengths))
            ck_assert_int_eq(write(fd, "\n", 1), 1);
    }
    ck_assert(lines_open(&lines, path, '\n'));
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        const char *line = lines_next(&lines);
        ck_assert_msg(line, "line %zu of %zu is missing", i, lengths[i]);
        ck_assert_uint_eq(strlen(line), MIN(lengths[i], sizeof lines.buffer - 1));
        for (size_t k = 0; line[k]; k++)
            ck_assert_int_eq(line[k], 'a' + (int)i);
    }
    ck_assert_ptr_null(lines_next(&lines));
    ck_assert_ptr_null(lines_next(&lines));
    lines_close(&lines);
    ck_assert(!lines_open(&lines, "/nonexistent", '\n'));
    close(fd);
    unlink(path);
}
END_TEST

SUITE("sys", errors_come_back_and_errno_stays, maps_and_replaces, readable, files, filesystem_and_machine, processes,
      signals_are_blocked_and_put_back, frozen_enters_the_kernel_no_more, alternate_stack, a_filter_in_force_is_seen,
      lines_of_every_length)
