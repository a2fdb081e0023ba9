#include "config.h"

#include "lines.h"
#include "sys.h"
#include <common/text.h>

static void read_environment(struct config *config, char **environment)
{
    static struct lines lines;
    const char *string;
    if (environment) {
        for (; *environment; environment++)
            variables_take(config, *environment);
    } else if (lines_open(&lines, "/proc/self/environ", 0)) {
        while ((string = lines_next(&lines)))
            variables_take(config, string);
        lines_close(&lines);
    }
}

/* ---- The program ---- */

static void read_exe(struct config *config)
{
    static const char deleted[] = " (deleted)";
    char *exe = config->exe;
    long length = sys_readlink("/proc/self/exe", exe, sizeof config->exe);
    /* A path that was cut has lost just the part that matters. */
    if (length <= 0 || (size_t)length >= sizeof config->exe) {
        length = sys_read_file("/proc/self/comm", exe, sizeof config->exe - 1);
        if (length > 0 && exe[length - 1] == '\n')
            length--;
    }
    exe[MAX(length, 0)] = 0;
    size_t tail = sizeof deleted - 1;
    if (length > (long)tail && text_equal(exe + length - tail, deleted))
        exe[(size_t)length - tail] = 0;
    if (!*exe)
        text_copy(exe, sizeof config->exe, "unknown");
}

static void name_program(struct config *config)
{
    text_copy(config->program, sizeof config->program, text_basename(config->exe));
    for (char *c = config->program; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127 || *c == '/')
            *c = '_';
}

/* What the program was called by: python3, where the file is python3.11. Empty: not known, or too long. */
static const char *read_called(void)
{
    static char called[512];
    long length = sys_read_file("/proc/self/cmdline", called, sizeof called - 1);
    called[MAX(length, 0)] = 0;
    return text_length(called) < sizeof called - 1 ? called : "";
}

static bool matches(const char *glob, const char *path)
{
    for (const char *c = glob; *c; c++)
        if (*c == '/')
            return text_match(glob, path);
    return text_match(glob, text_basename(path));
}

static bool is_named(const struct config *config)
{
    return !*config->only || matches(config->only, config->exe) || matches(config->only, read_called());
}

void config_read(struct config *config, char **environment)
{
    variables_begin(config);
    read_exe(config);
    name_program(config);
    if (sys_is_privileged())
        return;
    config->chosen = config->named = true;
    read_environment(config, environment);
    config->named = config->named && is_named(config);
    config->chosen = config->chosen && config->named;
}

static void replace(char *at, const char *letters)
{
    while (*letters)
        *at++ = *letters++;
}

void config_mark_children(char **environment)
{
    bool out = false;
    if (!environment)
        return;
    for (char **at = environment; *at; at++)
        out = out || text_starts(*at, "HEAPTAP_OUT=");
    for (char **at = environment; *at; at++) {
        /* The pattern of an ancestor, which this process's own one replaced, must not come back in the children. */
        if (out && text_starts(*at, "HEAPTAP_SUB="))
            replace(*at + 8, "OLD");
        else if (text_starts(*at, "HEAPTAP_OUT="))
            replace(*at + 8, "SUB");
        else if (text_equal(*at, "HEAPTAP_CHILDREN=0"))
            replace(*at + 17, "-");
    }
}
