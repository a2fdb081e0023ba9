/* What is read from the environment, and what exec'ed children find there. */
#include "again.h"

#include <shim/config.h>
#include <linux/capability.h>
#include <linux/xattr.h>
#include <sys/stat.h>
#include <sys/xattr.h>

static struct config config;

/* Variables without "HEAPTAP_", up to a NULL. Copies: they are written to. */
#define READ(...) read_variables((const char *const[]){__VA_ARGS__, NULL})

static char text[16][256];
static char *environment[17];

static void read_variables(const char *const *variables)
{
    size_t n = 0;
    for (; variables[n]; n++) {
        snprintf(text[n], sizeof text[n], "HEAPTAP_%s", variables[n]);
        environment[n] = text[n];
    }
    environment[n] = NULL;
    config_read(&config, environment);
}

START_TEST(defaults)
{
    char *none[] = {(char *)"PATH=/bin", (char *)"HEAPTAP=x", (char *)"XHEAPTAP_DEPTH=3", (char *)"HEAPTAP_LIB=x",
                    NULL};
    char exe[512] = "";
    config_read(&config, none);
    ck_assert(config.chosen && config.first && config.children);
    ck_assert(!config.start_paused && !config.log && !config.out_explicit && !config.budget_explicit);
    ck_assert_uint_eq(config.depth_max, 8192);
    ck_assert_uint_eq(config.keep, 8);
    ck_assert_uint_eq(config.files_max, 256);
    ck_assert_uint_eq(config.budget_bytes, 0);
    ck_assert_uint_eq(config.ring_bytes, 0);
    ck_assert_uint_eq(config.bytes_max, 0);
    ck_assert_str_eq(config.out, "");
    ck_assert_str_eq(config.dir, "");
    ck_assert_str_eq(config.problem, "");
    ck_assert_int_gt(readlink("/proc/self/exe", exe, sizeof exe - 1), 0);
    ck_assert_str_eq(config.exe, exe);
    ck_assert_str_eq(config.program, "check_config");
}
END_TEST

START_TEST(all_variables)
{
    READ("OUT=/x/%e.%p", "DIR=/d", "ONLY=check_*", "CHILDREN=0", "START=off", "BUDGET=3m", "RING=64k", "DEPTH=100",
         "KEEP=2", "FILES=30", "BYTES=5m", "LOG=1");
    ck_assert_str_eq(config.problem, "");
    ck_assert(config.chosen && config.first && !config.children && config.start_paused && config.log);
    ck_assert(config.out_explicit && config.budget_explicit);
    ck_assert_str_eq(config.out, "/x/%e.%p");
    ck_assert_str_eq(config.dir, "/d");
    ck_assert_str_eq(config.only, "check_*");
    ck_assert_uint_eq(config.budget_bytes, 3 * 1048576);
    ck_assert_uint_eq(config.ring_bytes, 65536);
    ck_assert_uint_eq(config.depth_max, 100);
    ck_assert_uint_eq(config.keep, 2);
    ck_assert_uint_eq(config.files_max, 30);
    ck_assert_uint_eq(config.bytes_max, 5 << 20);
}
END_TEST

START_TEST(empty_values_are_none)
{
    READ("OUT=", "DIR=", "ONLY=", "CHILDREN=", "START=", "LOG=");
    ck_assert_str_eq(config.problem, "");
    ck_assert(config.chosen && config.first && config.children && !config.start_paused && !config.out_explicit);
}
END_TEST

START_TEST(the_first_of_two_counts)
{
    READ("DEPTH=7", "DEPTH=9");
    ck_assert_uint_eq(config.depth_max, 7);
}
END_TEST

START_TEST(sizes)
{
    static const struct {
        const char *value;
        uint64_t bytes;
    } good[] = {{"RING=0", 0},           {"RING=12345", 12345},   {"RING=1k", 1024},      {"RING=1K", 1024},
                {"RING=20m", 20u << 20}, {"RING=5g", 5ull << 30}, {"RING=5G", 5ull << 30}};
    static const char *const bad[] = {"RING=k",    "RING=1kb",          "RING=-1", "RING= 1",
                                      "RING=1.5m", "RING=99999999999g", "RING="};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        READ(good[i].value);
        ck_assert_uint_eq(config.ring_bytes, good[i].bytes);
        ck_assert_str_eq(config.problem, "");
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        READ(bad[i]);
        ck_assert_uint_eq(config.ring_bytes, 0);
        ck_assert_uint_eq(config.bytes_max, 0);
        ck_assert_msg(strstr(config.problem, bad[i]) == config.problem + 8, "\"%s\" for %s", config.problem, bad[i]);
    }
}
END_TEST

START_TEST(a_problem_names_variable_value_and_what_is_used)
{
    READ("DEPTH=abc");
    ck_assert_str_eq(config.problem, "HEAPTAP_DEPTH=abc: not a number; using 8192");
    ck_assert_uint_eq(config.depth_max, 8192);
    READ("BUDGET=4k");
    ck_assert_str_eq(config.problem, "HEAPTAP_BUDGET=4k: less than 512k; using 512k");
    ck_assert_uint_eq(config.budget_bytes, 512 * 1024);
    READ("DEPTH=0");
    ck_assert_str_eq(config.problem, "HEAPTAP_DEPTH=0: too small; using 1");
    ck_assert_uint_eq(config.depth_max, 1);
    READ("FILES=4294967297");
    ck_assert_str_eq(config.problem, "HEAPTAP_FILES=4294967297: too large; using 1000");
    ck_assert_uint_eq(config.files_max, 1000);
    READ("START=Off");
    ck_assert_str_eq(config.problem, "HEAPTAP_START=Off: not understood; using on");
    ck_assert(!config.start_paused);
    READ("CHILDREN=no");
    ck_assert(config.children);
    READ("LOG=\n\x1b[2J", "DEPTH=x");
    ck_assert_str_eq(config.problem, "HEAPTAP_LOG=??[2J: not understood; using 0");
    READ("OUT=a%d");
    ck_assert_str_eq(config.problem, "HEAPTAP_OUT=a%d: only %e, %p, %n and %% have a meaning; using it as it is");
    READ("OUT=a%");
    ck_assert_str_ne(config.problem, "");
    READ("OUT=%e%%%p%n");
    ck_assert_str_eq(config.problem, "");
}
END_TEST

/* A slip of the pen changes nothing, and is told; what an ancestor or the tool has there is no slip. */
START_TEST(names_that_do_not_exist)
{
    static char name[300] = "HEAPTAP_";
    char *variables[] = {name, NULL};
    READ("BUGDET=64m");
    ck_assert_str_eq(config.problem, "HEAPTAP_BUGDET=64m: there is no such variable; man heaptap lists them");
    ck_assert_uint_eq(config.budget_bytes, 0);
    READ("DEPTHS=3");
    ck_assert_str_eq(config.problem, "HEAPTAP_DEPTHS=3: there is no such variable; man heaptap lists them");
    ck_assert_uint_eq(config.depth_max, 8192);
    READ("depth=3", "DEPTH=x");
    ck_assert_msg(strstr(config.problem, "HEAPTAP_depth=3: ") == config.problem, "%s", config.problem);
    READ("DEPTH=7", "DEPTH=9", "SUB=x", "OUT=y", "LIB=x");
    ck_assert_str_eq(config.problem, "");
    READ("OUT=new", "SUB=old");
    config_mark_children(environment);
    config_read(&config, environment);
    ck_assert_str_eq(config.problem, "");
    memset(name + 8, 'x', sizeof name - 9);
    config_read(&config, variables);
    ck_assert_msg(strstr(config.problem, "xxx...: there is no such variable; man heaptap lists them"), "%s",
                  config.problem);
}
END_TEST

START_TEST(values_that_are_too_long)
{
    static char out[400] = "HEAPTAP_OUT=", only[300] = "HEAPTAP_ONLY=";
    char *variables[] = {out, NULL};
    memset(out + 12, 'x', sizeof out - 13);
    memset(only + 13, '*', sizeof only - 14);
    config_read(&config, variables);
    ck_assert(config.chosen && !config.out_explicit);
    ck_assert_str_eq(config.out, "");
    ck_assert_msg(strstr(config.problem, "...: too long"), "%s", config.problem);
    ck_assert_uint_lt(strlen(config.problem), 120);
    variables[0] = only;
    config_read(&config, variables);
    ck_assert(!config.chosen); /* who asked for some must not get all */
}
END_TEST

START_TEST(only)
{
    char whole[600], above[600];
    READ("ONLY=nginx");
    ck_assert(!config.chosen);
    READ("ONLY=check_config");
    ck_assert(config.chosen && config.named);
    READ("ONLY=c*g");
    ck_assert(config.chosen);
    READ("ONLY=heck");
    ck_assert(!config.chosen);
    READ("ONLY=*/unit/check_*");
    ck_assert(config.chosen);
    READ("ONLY=/usr/*");
    ck_assert_int_eq(config.chosen, !strncmp(config.exe, "/usr/", 5));
    READ("ONLY=nit/check_config");
    ck_assert(!config.chosen && !config.named);
    snprintf(whole, sizeof whole, "ONLY=%s", config.exe);
    READ(whole);
    ck_assert(config.chosen || strlen(config.exe) > 120);
    snprintf(above, sizeof above, "ONLY=%s/", config.exe);
    READ(above);
    ck_assert(!config.chosen);
}
END_TEST

START_TEST(children_know)
{
    READ("OUT=a", "CHILDREN=0", "DEPTH=3");
    ck_assert(config.first && config.chosen);
    config_mark_children(environment);
    ck_assert_str_eq(text[0], "HEAPTAP_SUB=a");
    ck_assert_str_eq(text[1], "HEAPTAP_CHILDREN=-");
    ck_assert_str_eq(text[2], "HEAPTAP_DEPTH=3");
    config_read(&config, environment);
    ck_assert(!config.first && !config.chosen && !config.children);
    ck_assert_str_eq(config.out, "a");
    config_mark_children(environment);
    ck_assert_str_eq(text[0], "HEAPTAP_SUB=a");

    READ("SUB=a");
    ck_assert(config.chosen && !config.first && config.out_explicit && config.children);
    config_mark_children(NULL);
}
END_TEST

START_TEST(a_new_pattern_inside_a_recorded_program)
{
    for (int turn = 0; turn < 2; turn++) {
        if (turn)
            READ("SUB=old", "OUT=new");
        else
            READ("OUT=new", "SUB=old");
        ck_assert(config.first);
        ck_assert_str_eq(config.out, "new");
        config_mark_children(environment);
        config_read(&config, environment);
        ck_assert(!config.first);
        ck_assert_str_eq(config.out, "new");
    }
}
END_TEST

/* ---- In a process of its own: /proc/self/environ, names, privileges ---- */

AGAIN(show)
{
    config_read(&config, NULL);
    printf("chosen %d depth %u program %s", config.chosen, config.depth_max, config.program);
}

static char output[4096];

START_TEST(reads_proc_when_there_is_no_environ_yet)
{
    static char big[20000] = "BIG=", tail[20000] = "TAIL=";
    char *variables[] = {big, (char *)"HEAPTAP_DEPTH=77", tail, NULL};
    memset(big + 4, 'x', sizeof big - 5);
    memset(tail + 5, 'x', sizeof tail - 6);
    /* The end of a string that is longer than any buffer is not a variable, wherever it is cut. */
    for (size_t at = 1024; at < sizeof big - 20; at += 1024) {
        memcpy(big + at - 1, "HEAPTAP_DEPTH=9", 15);
    }
    ck_assert_int_eq(again(NULL, "show", variables, -1, output, sizeof output), 0);
    ck_assert_str_eq(output, "chosen 1 depth 77 program check_config");
}
END_TEST

/* A copy of this program; the directory is left to the caller to remove. */
static void copy_self(char *directory, const char *name, char *path, size_t bytes)
{
    static char block[65536];
    size_t got;
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_eq(chmod(directory, 0755), 0);
    snprintf(path, bytes, "%s/%s", directory, name);
    FILE *from = fopen("/proc/self/exe", "rb"), *to = fopen(path, "wb");
    ck_assert(from && to);
    while ((got = fread(block, 1, sizeof block, from)))
        ck_assert_uint_eq(fwrite(block, 1, got, to), got);
    fclose(from);
    ck_assert_int_eq(fclose(to), 0);
    ck_assert_int_eq(chmod(path, 0755), 0);
}

/* again() calls every program "again". */
START_TEST(only_by_what_the_program_was_called_by)
{
    static const struct {
        const char *variable, *output;
    } cases[] = {{"HEAPTAP_ONLY=again", "chosen 1 depth 8192 program check_config"},
                 {"HEAPTAP_ONLY=check_config", "chosen 1 depth 8192 program check_config"},
                 {"HEAPTAP_ONLY=show", "chosen 0 depth 8192 program check_config"},
                 {"HEAPTAP_ONLY=*/again", "chosen 0 depth 8192 program check_config"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *variables[] = {(char *)(uintptr_t)cases[i].variable, NULL};
        ck_assert_int_eq(again(NULL, "show", variables, -1, output, sizeof output), 0);
        ck_assert_str_eq(output, cases[i].output);
    }
}
END_TEST

START_TEST(strange_program_names)
{
    char directory[] = "/tmp/check_config.XXXXXX", path[256], *none[] = {NULL};
    copy_self(directory, "a\nb\x7f c%p", path, sizeof path);
    ck_assert_int_eq(again(path, "show", none, -1, output, sizeof output), 0);
    ck_assert_str_eq(output, "chosen 1 depth 8192 program a_b_ c%p");
    unlink(path);
    rmdir(directory);
}
END_TEST

AGAIN(show_deleted)
{
    char exe[512] = "";
    if (readlink("/proc/self/exe", exe, sizeof exe - 1) > 0)
        unlink(exe);
    again_show();
    printf("%s", strstr(config.exe, "deleted") ? " deleted" : "");
}

START_TEST(a_deleted_program_keeps_its_name)
{
    char directory[] = "/tmp/check_config.XXXXXX", path[256], *none[] = {NULL};
    copy_self(directory, "gone", path, sizeof path);
    ck_assert_int_eq(again(path, "show_deleted", none, -1, output, sizeof output), 0);
    ck_assert_str_eq(output, "chosen 1 depth 8192 program gone");
    ck_assert_int_eq(access(path, F_OK), -1);
    rmdir(directory);
}
END_TEST

START_TEST(setuid_programs_are_left_alone)
{
    static const uid_t owners[] = {0, 1};
    char *variables[] = {(char *)"HEAPTAP_DEPTH=77", NULL};
    if (geteuid()) {
        printf("not root: setuid programs are not tried\n");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(owners); i++) {
        char directory[] = "/tmp/check_config.XXXXXX", path[256];
        copy_self(directory, "owned", path, sizeof path);
        ck_assert_int_eq(chown(path, owners[i], owners[i]), 0);
        ck_assert_int_eq(again(path, "show", variables, 65534, output, sizeof output), 0);
        ck_assert_str_eq(output, "chosen 1 depth 77 program owned");
        ck_assert_int_eq(chmod(path, 04755), 0);
        ck_assert_int_eq(again(path, "show", variables, 65534, output, sizeof output), 0);
        ck_assert_str_eq(output, "chosen 0 depth 8192 program owned");
        unlink(path);
        rmdir(directory);
    }
}
END_TEST

/*
 * Neither its ids nor, since it may not look into itself, /proc tells that such a program has more rights than its
 * caller.
 */
START_TEST(programs_with_capabilities_are_left_alone)
{
    struct vfs_cap_data capabilities = {.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
                                        .data = {{.permitted = 1u << CAP_NET_BIND_SERVICE}}};
    char directory[] = "/tmp/check_config.XXXXXX", path[256];
    char *variables[] = {(char *)"HEAPTAP_DEPTH=77", NULL};
    copy_self(directory, "capable", path, sizeof path);
    if (setxattr(path, XATTR_NAME_CAPS, &capabilities, XATTR_CAPS_SZ_2, 0)) {
        printf("capabilities cannot be given to a file: not tried\n");
    } else {
        ck_assert_int_eq(again(path, "show", variables, 65534, output, sizeof output), 0);
        ck_assert_str_eq(output, "chosen 0 depth 8192 program capable");
    }
    unlink(path);
    rmdir(directory);
}
END_TEST

SUITE("config", defaults, all_variables, empty_values_are_none, the_first_of_two_counts, sizes,
      a_problem_names_variable_value_and_what_is_used, names_that_do_not_exist, values_that_are_too_long, only,
      children_know, a_new_pattern_inside_a_recorded_program, reads_proc_when_there_is_no_environ_yet,
      only_by_what_the_program_was_called_by, strange_program_names, a_deleted_program_keeps_its_name,
      setuid_programs_are_left_alone, programs_with_capabilities_are_left_alone)
