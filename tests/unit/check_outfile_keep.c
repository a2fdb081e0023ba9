/* Which files are counted, which are removed, and which never. */
#include "outfile_stage.h"

#include <linux/magic.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Planted files ---- */

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
    write_file(in_home("elsewhere"), &dead, sizeof dead);
    ck_assert_int_eq(symlink(in_home("elsewhere"), in_home(names[0])), 0);
    ck_assert_int_eq(mkfifo(in_home(names[1]), 0666), 0);
    ck_assert_int_eq(mkdir(in_home(names[2]), 0777), 0);
    write_file(in_home(names[3]), "", 0); /* being made */
    write_file(in_home(names[4]), "junk", 4);
    write_file(in_home(names[5]), &dead, sizeof dead - 1); /* cut */
    dead.magic[0] = 'h';
    write_file(in_home(names[6]), &dead, sizeof dead);
    dead.magic[0] = 'H';
    if (!geteuid()) { /* another user's */
        write_file(in_home(names[7]), &dead, sizeof dead);
        ck_assert_int_eq(chown(in_home(names[7]), 65534, 65534), 0);
    } else {
        write_file(in_home(names[7]), "", 0);
    }
    dead.byte_order = __builtin_bswap32(HT_BYTE_ORDER);
    write_file(in_home(names[8]), &dead, sizeof dead);
    dead.byte_order = HT_BYTE_ORDER;
    for (size_t i = 9; i < ARRAY_LEN(names); i++) /* not names that this program's files have */
        write_file(in_home(names[i]), &dead, sizeof dead);
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
            ck_assert_int_eq(mkfifo(in_home(name), 0666), 0);
        else if (i % 3 == 1 || geteuid())
            ck_assert_int_eq(symlink("/proc/self/exe", in_home(name)), 0);
        else {
            write_file(in_home(name), "", 0);
            ck_assert_int_eq(chown(in_home(name), 65534, 65534), 0);
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
    write_file(in_home("own"), "", 0);
    for (int i = 0; i < 1200; i++) {
        snprintf(name, sizeof name, "heaptap.prog.%d", 1000000 + i);
        ck_assert_int_eq(link(in_home("own"), in_home(name)), 0);
    }
    config.files_max = 1000;
    ck_assert(!outfile_create(&config, 4242, false, &out)); /* all of them are ours */
    ck_assert_uint_lt(calls, 100 + 1024 * 5);
    ck_assert_uint_eq(count_files(), 1201);
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

static struct ht_header header_of_another_boot(uint64_t started)
{
    struct ht_header header;
    describe(&header, getpid()); /* the number is a living process's by now */
    header.boot_id[0] = header.boot_id[0] == '0' ? '1' : '0';
    header.pid_namespace++;
    header.flags = HT_FLAG_ONE_KERNEL;
    header.start_realtime_ns = started;
    return header;
}

START_TEST(copies_stay)
{
    struct ht_header of_another_boot = header_of_another_boot(1), dead = dead_header(2);
    of_another_boot.file_inode = dead.file_inode = UINT64_MAX;
    begin();
    filesystem = EXT4_SUPER_MAGIC;
    config.keep = 0;
    put("heaptap.prog.1", &of_another_boot);
    put("heaptap.prog.2", &dead);
    put_dead("heaptap.prog.3", 3);
    expect(false, "heaptap.prog.4242");
    ck_assert(is_there("heaptap.prog.1") && is_there("heaptap.prog.2") && !is_there("heaptap.prog.3"));
    struct stat stat_now;
    ck_assert_int_eq(stat(out.path, &stat_now), 0);
    ck_assert_uint_eq(out.inode, stat_now.st_ino);
    end();
}
END_TEST

START_TEST(files_of_an_earlier_boot_are_of_dead_processes)
{
    struct ht_header living;
    begin();
    filesystem = EXT4_SUPER_MAGIC;
    config.keep = 2;
    for (unsigned i = 1; i <= 4; i++) {
        char name[64];
        struct ht_header header = header_of_another_boot(i);
        snprintf(name, sizeof name, "heaptap.prog.%u", i);
        put(name, &header);
    }
    put_dead("heaptap.prog.5", 5);
    describe(&living, getpid());
    put("heaptap.prog.6", &living);
    expect(false, "heaptap.prog.4242");
    ck_assert(!is_there("heaptap.prog.1") && !is_there("heaptap.prog.2") && !is_there("heaptap.prog.3"));
    ck_assert(is_there("heaptap.prog.4") && is_there("heaptap.prog.5") && is_there("heaptap.prog.6"));
    end();
}
END_TEST

static bool stays(const struct ht_header *header)
{
    put("heaptap.prog.1", header);
    create(false);
    unlink(out.path);
    return is_there("heaptap.prog.1");
}

START_TEST(only_where_no_other_kernel_can_be)
{
    static const struct {
        uint32_t filesystem;
        bool shared;
    } rows[] = {
        {EXT4_SUPER_MAGIC, false},
        {TMPFS_MAGIC, false},
        {XFS_SUPER_MAGIC, false},
        {BTRFS_SUPER_MAGIC, false},
        {F2FS_SUPER_MAGIC, false},
        {OVERLAYFS_SUPER_MAGIC, false},
        {NFS_SUPER_MAGIC, true},
        {SMB_SUPER_MAGIC, true},
        {0xff534d42 /* CIFS */, true},
        {V9FS_MAGIC, true},
        {0x65735546 /* FUSE, virtiofs */, true},
        {AFS_SUPER_MAGIC, true},
        {0x00c36400 /* Ceph */, true},
        {0x7461636f /* OCFS2 */, true},
        {0x01161970 /* GFS2 */, true},
        {0x0bd00bd0 /* Lustre */, true},
        {1 /* not known */, true},
    };
    struct ht_header header = header_of_another_boot(1), elsewhere = header, nowhere = header;
    elsewhere.flags = 0;
    memset(nowhere.boot_id, 0, sizeof nowhere.boot_id);
    begin();
    config.keep = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        filesystem = rows[i].filesystem;
        ck_assert_msg(stays(&header) == rows[i].shared, "on %#x", filesystem);
        ck_assert_uint_eq(out.one_kernel, !rows[i].shared);
    }
    filesystem = EXT4_SUPER_MAGIC;
    ck_assert(stays(&elsewhere)); /* it was made through another filesystem, or in a container */
    ck_assert(stays(&nowhere));
    show("/proc/sys/kernel/random/boot_id", "01234567-0123-0123-0123-0123456789ab\n"); /* as of a container */
    ck_assert(stays(&header));
    show("/proc/sys/kernel/random/boot_id", "");
    ck_assert(stays(&header));
    fake = NULL;
    ck_assert(!stays(&header));
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
    write_file(in_home("unrelated"), "", 0);
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
        FILE *file = fopen(in_home(names[i]), "a");
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

SUITE("outfile_keep", planted_files_are_not_touched, planted_files_do_not_count, a_crowded_directory,
      the_newest_dead_files_are_kept, what_is_not_certainly_dead_stays, a_number_that_another_process_got,
      nothing_is_certain_without_proc, copies_stay, files_of_an_earlier_boot_are_of_dead_processes,
      only_where_no_other_kernel_can_be, too_many_files_make_room_from_the_oldest_dead,
      too_many_bytes_make_room_from_the_oldest_dead, files_under_a_pattern_are_counted_and_never_removed)
