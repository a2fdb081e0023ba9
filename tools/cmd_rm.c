#include "tool.h"

#include <report/find.h>

#include <unistd.h>

const char help_rm[] =
    "usage: heaptap rm [--force] FILE|PID...\n"
    "       heaptap rm --dead\n"
    "\n"
    "Removes buffers: only files that are yours and are buffers, and those of living processes only with --force (the "
    "process\n"
    "goes on recording into a file without a name).\n"
    "\n"
    "      --dead   all of yours in $HEAPTAP_DIR, /dev/shm and /tmp whose process is certainly gone,\n"
    "               but for copies\n"
    "      --force  also of a process that lives, or may live\n"
    "  -h, --help   this text\n";

/* Removes one file after looking at it. */
static bool remove_file(const char *path, bool force, struct err *err)
{
    struct reader_summary summary;
    if (!reader_peek(&summary, path, err))
        return false;
    if (summary.owner != geteuid())
        return err_set(err, "%s: belongs to user %u, not to you; not removed", path, (unsigned)summary.owner);
    if (summary.process != READER_ENDED && !force)
        return err_set(err, "%s: process %u %s; not removed, --force does", path, summary.header.pid,
                       summary.process == READER_RUNNING ? "runs" : "may run");
    return unlink(path) == 0 ? true : err_system(err, "remove", path);
}

static bool remove_target(const char *target, bool force, struct err *err)
{
    char path[512];
    uint32_t pid;
    uid_t owner;
    if (!tool_is_pid(target, &pid))
        return remove_file(target, force, err);
    return find_pid(pid, path, sizeof path, &owner, err) && remove_file(path, force, err);
}

static int remove_dead(void)
{
    struct find_list list;
    struct err err;
    int status = tool_check_places();
    if (!find_all(&list, geteuid(), &err))
        status = tool_fail(&err);
    for (size_t i = 0; i < list.count; i++)
        if (list.file[i].summary.process == READER_ENDED && !list.file[i].summary.copied &&
            !remove_file(list.file[i].path, false, &err))
            status = tool_fail(&err);
    find_free(&list);
    return status;
}

enum { OPTION_DEAD = 256, OPTION_FORCE }; /* getopt's numbers of options without a letter */

int cmd_rm(const struct tool_verb *verb, int argc, char **argv)
{
    static const struct option longs[] = {{"dead", no_argument, NULL, OPTION_DEAD},
                                          {"force", no_argument, NULL, OPTION_FORCE},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    bool dead = false, force = false;
    struct err err;
    int status = TOOL_DONE;
    for (int found; (found = getopt_long(argc, argv, ":h", longs, NULL)) != -1;) {
        switch (found) {
        case OPTION_DEAD: dead = true; break;
        case OPTION_FORCE: force = true; break;
        case 'h': return tool_help(verb);
        default: return tool_bad_option(verb, longs, found, argv);
        }
    }
    if (dead == (optind < argc))
        return tool_usage(verb, "needs files or PIDs, or --dead");
    if (dead)
        return remove_dead();
    for (; optind < argc; optind++)
        if (!remove_target(argv[optind], force, &err))
            status = tool_fail(&err);
    return status;
}
