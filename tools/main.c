#include "tool.h"

#include <report/find.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct tool_verb verbs[] = {
    {"run", "profile a command", help_run, cmd_run},
    {"dump", "convert a buffer to a profile", help_dump, cmd_dump},
    {"info", "what is in a buffer: identity, tables, coverage, losses", help_info, cmd_info},
    {"events", "the last events, as text", help_events, cmd_events},
    {"ls", "list the buffers of your processes", help_ls, cmd_ls},
    {"rm", "remove buffers", help_rm, cmd_rm},
    {"pause", "record no allocations for a while", help_pause, cmd_pause},
    {"resume", "record them again", help_resume, cmd_resume},
};

int tool_fail(const struct err *err)
{
    fprintf(stderr, "heaptap: %s\n", err->text);
    return TOOL_FAILED;
}

int tool_usage(const struct tool_verb *verb, const char *format, ...)
{
    char raw[512], text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(raw, sizeof raw, format, arguments);
    va_end(arguments);
    err_safe_text(text, sizeof text, raw);
    fprintf(stderr, "heaptap %s: %s; see heaptap %s --help\n", verb->name, text, verb->name);
    return TOOL_USAGE;
}

int tool_bad_option(const struct tool_verb *verb, const struct option *longs, int found, char **argv)
{
    /* What getopt names by its number it knows: it has an argument too many. */
    for (; found == '?' && optopt && longs->name; longs++)
        if (longs->val == optopt)
            return tool_usage(verb, "--%s takes no argument", longs->name);
    const char *what = found == ':' ? "needs an argument" : "is no option";
    if (optopt && optopt < 128)
        return tool_usage(verb, "-%c %s", optopt, what);
    return tool_usage(verb, "%s %s", argv[optind - 1], what);
}

int tool_help(const struct tool_verb *verb)
{
    fputs(verb->help, stdout);
    return tool_finish(stdout, "standard output");
}

bool tool_check_directory(const char *path, const char *what, struct err *err)
{
    int fd = path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (path && fd < 0)
        return err_system(err, what, path);
    if (fd >= 0)
        close(fd);
    return true;
}

int tool_check_places(void)
{
    struct err err;
    return find_can_look(&err) ? TOOL_DONE : tool_fail(&err);
}

void tool_print_text(FILE *out, const char *text)
{
    char safe[4096];
    err_safe_text(safe, sizeof safe, text);
    fputs(safe, out);
}

int tool_finish(FILE *out, const char *path)
{
    struct err err;
    if (fflush(out) == 0 && !ferror(out))
        return TOOL_DONE;
    err_system(&err, "write", path);
    return tool_fail(&err);
}

/* From here on the rights are those of the user who chose what the buffer names. */
static bool become(uid_t owner, struct err *err)
{
    gid_t nobody = 65534;
    if (setgroups(0, NULL) != 0 || setresgid(nobody, nobody, nobody) != 0 || setresuid(owner, owner, owner) != 0)
        return err_set(err, "cannot take the rights of user %u, whose process it is: %s", (unsigned)owner,
                       strerror(errno));
    return true;
}

static bool open_pid(struct reader *reader, uint32_t pid, struct err *err)
{
    char path[512];
    uid_t owner;
    if (!find_pid(pid, path, sizeof path, &owner, err))
        return false;
    if (owner != geteuid() && !become(owner, err))
        return false;
    if (!reader_open(reader, path, err))
        return false;
    if (reader->owner == owner && reader->header.pid == pid)
        return true;
    reader_close(reader);
    return err_set(err, "%s: changed while it was opened; try again", path);
}

bool tool_is_pid(const char *target, uint32_t *pid)
{
    char *end;
    struct stat stat;
    unsigned long number = strtoul(target, &end, 10);
    *pid = (uint32_t)number;
    return target[0] >= '1' && target[0] <= '9' && !*end && number <= INT32_MAX && lstat(target, &stat) != 0;
}

bool tool_open(struct reader *reader, const char *target, struct err *err)
{
    uint32_t pid;
    return tool_is_pid(target, &pid) ? open_pid(reader, pid, err) : reader_open(reader, target, err);
}

static void print_help(FILE *out)
{
    fputs("usage: heaptap VERB [options] ...\n\n", out);
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        fprintf(out, "  %-8s %s\n", verbs[i].name, verbs[i].summary);
    fputs("\nheaptap VERB --help tells more, heaptap --version the version.\n"
          "To record without it: LD_PRELOAD=/path/to/libheaptap.so COMMAND ...\n",
          out);
}

/* NULL, having told: there is none. */
static const struct tool_verb *find_verb(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(name, verbs[i].name) == 0)
            return &verbs[i];
    fprintf(stderr, "heaptap: no %s ", name[0] == '-' ? "option" : "verb");
    tool_print_text(stderr, name);
    fprintf(stderr, "%s; see heaptap --help\n", name[0] == '-' ? ": options follow a verb" : "");
    return NULL;
}

static int help_on(const char *name)
{
    const struct tool_verb *verb = name ? find_verb(name) : NULL;
    if (verb)
        return tool_help(verb);
    if (name)
        return TOOL_USAGE;
    print_help(stdout);
    return tool_finish(stdout, "standard output");
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        return help_on(argc > 2 ? argv[2] : NULL);
    if (strcmp(name, "--version") == 0) {
        puts("heaptap " HEAPTAP_VERSION);
        return tool_finish(stdout, "standard output");
    }
    if (!name[0]) {
        print_help(stderr);
        return TOOL_USAGE;
    }
    const struct tool_verb *verb = find_verb(name);
    if (!verb)
        return TOOL_USAGE;
    opterr = 0;
    /* A limit on the size of files is a write that fails. run ignores it later: its command begins with what was there. */
    if (verb->run != cmd_run)
        signal(SIGXFSZ, SIG_IGN);
    return verb->run(verb, argc - 1, argv + 1);
}
