/* The budget: of RAM, cgroups, filesystems and limits. */
#include "outfile_stage.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define M (1ull << 20)
#define PLENTY (1ull << 44)

START_TEST(budget_is_bounded)
{
    begin();
    fake = home;
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

static void check_budget_under_limit(__rlimit_resource_t resource, uint64_t limit_bytes, uint64_t budget)
{
    begin();
    pid_t pid = fork();
    if (!pid) {
        struct rlimit limit = {limit_bytes, RLIM_INFINITY};
        config.budget_bytes = 200 * M;
        bool set = !setrlimit(resource, &limit);
        _exit(set && outfile_budget(&config, PLENTY) == budget ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    end();
}

START_TEST(budget_under_an_address_limit)
{
    check_budget_under_limit(RLIMIT_AS, 320 * M, 10 * M);
}
END_TEST

START_TEST(budget_under_a_data_limit)
{
    check_budget_under_limit(RLIMIT_DATA, 320 * M, 20 * M);
}
END_TEST

START_TEST(budget_under_a_file_limit)
{
    check_budget_under_limit(RLIMIT_FSIZE, 3 * M, 3 * M / 2);
}
END_TEST

SUITE("outfile_budget", budget_is_bounded, budget_in_cgroup_2, budget_in_cgroup_1, budget_of_damaged_cgroup_files,
      budget_under_an_address_limit, budget_under_a_data_limit, budget_under_a_file_limit)
