/* What names a process for ever. */
#include "outfile_stage.h"

#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

START_TEST(identity_is_what_proc_says)
{
    struct ht_header header;
    char boot[40];
    struct statfs fs;
    pid_t pid = start_process();
    describe(&header, pid);
    ck_assert_uint_eq(outfile_start_ticks((uint32_t)pid), header.start_ticks);
    ck_assert_uint_eq(outfile_pid_namespace(), header.pid_namespace);
    memset(boot, 'x', sizeof boot);
    outfile_boot_id(boot);
    ck_assert_mem_eq(boot, header.boot_id, sizeof boot);
    ck_assert_uint_eq(strlen(boot), 36);
    ck_assert_int_eq(statfs("/proc/sys/kernel/random/boot_id", &fs), 0);
    ck_assert_int_eq(outfile_boot_id(boot), fs.f_type == PROC_SUPER_MAGIC);
    describe(&header, getpid());
    ck_assert_uint_eq(outfile_start_ticks((uint32_t)getpid()), header.start_ticks);
    end_process(pid);
    ck_assert_uint_eq(outfile_start_ticks((uint32_t)pid), 0);
    frozen = true;
    ck_assert_uint_eq(outfile_pid_namespace(), 0);
    ck_assert(!outfile_boot_id(boot));
    ck_assert_str_eq(boot, "");
    frozen = false;
}
END_TEST

/* systemd-nspawn and LXC put a file over the kernel's. */
START_TEST(a_boot_id_that_a_container_is_shown)
{
    char boot[40];
    begin();
    show("/proc/sys/kernel/random/boot_id", "01234567-0123-0123-0123-0123456789ab\n");
    ck_assert(!outfile_boot_id(boot));
    ck_assert_str_eq(boot, "01234567-0123-0123-0123-0123456789ab");
    end();
}
END_TEST

SUITE("outfile_identity", identity_is_what_proc_says, a_boot_id_that_a_container_is_shown)
