/* Names, places and failures. */
#include "outfile_stage.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

START_TEST(a_new_file_is_ours_alone)
{
    struct stat stat;
    begin();
    umask(0);
    ck_assert(outfile_create(&config, 4242, false, &out));
    ck_assert_str_eq(out.path, in_home("heaptap.prog.4242"));
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
    write_file(in_home("heaptap.prog.4242"), "mine", 4);
    expect(false, "heaptap.prog.4242.1");
    expect(true, "heaptap.prog.4242.2");
    FILE *file = fopen(in_home("heaptap.prog.4242"), "r");
    ck_assert_ptr_nonnull(fgets(text, sizeof text, file));
    fclose(file);
    ck_assert_str_eq(text, "mine");
    end();
}
END_TEST

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
    ck_assert_int_eq(chdir(home), 0);
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

START_TEST(what_cannot_be_made_is_said)
{
    begin();
    pattern("none/x");
    refuse("/none: no such directory");
    pattern("");
    refuse("is a directory");
    write_file(in_home("file"), "", 0);
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
    snprintf(config.dir, sizeof config.dir, "%s/none", home);
    create(false);
    ck_assert_int_ne(strncmp(out.path, home, strlen(home)), 0);
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

START_TEST(planted_names_are_neither_followed_nor_a_hindrance)
{
    struct stat stat;
    begin();
    write_file(in_home("victim"), "v", 1);
    ck_assert_int_eq(symlink(in_home("victim"), in_home("heaptap.prog.4242")), 0);
    ck_assert_int_eq(symlink(in_home("nowhere"), in_home("heaptap.prog.4242.1")), 0);
    ck_assert_int_eq(mkfifo(in_home("heaptap.prog.4242.2"), 0666), 0);
    ck_assert_int_eq(mkdir(in_home("heaptap.prog.4242.3"), 0777), 0);
    expect(false, "heaptap.prog.4242.4");
    ck_assert_int_eq(lstat(in_home("victim"), &stat), 0);
    ck_assert_int_eq(stat.st_size, 1);
    ck_assert(!is_there("nowhere"));
    end();
}
END_TEST

START_TEST(a_directory_full_of_others)
{
    char name[64];
    begin();
    write_file(in_home("own"), "", 0);
    for (int i = 0; i < 9000; i++) {
        snprintf(name, sizeof name, "%d.a-name-that-has-some-length", i);
        ck_assert_int_eq(link(in_home("own"), in_home(name)), 0);
    }
    calls = 0;
    expect(false, "heaptap.prog.4242");
    ck_assert_msg(calls < 30, "%u calls", calls);
    end();
}
END_TEST

/* ---- Cost and failures ---- */

START_TEST(a_start_costs_few_calls)
{
    begin();
    fake = home; /* no cgroup */
    create(false);
    outfile_budget(&config, out.free_bytes);
    outfile_start_ticks((uint32_t)getpid());
    outfile_pid_namespace();
    ck_assert_msg(calls <= 17, "%u calls", calls);
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

SUITE("outfile", a_new_file_is_ours_alone, what_exists_stays, patterns, relative_and_odd_paths,
      what_cannot_be_made_is_said, the_next_place_and_why, planted_names_are_neither_followed_nor_a_hindrance,
      a_directory_full_of_others, a_start_costs_few_calls, any_call_may_fail)
