#include "tool.h"

#include <report/find.h>

#include <fcntl.h>
#include <getopt.h>
#include <sys/mman.h>
#include <unistd.h>

const char help_pause[] =
    "usage: heaptap pause FILE|PID...\n"
    "\n"
    "From the next events on, a living process counts its allocations as \"paused\" and does not record them; frees of "
    "what is\n"
    "recorded still are. One that it forks or executes begins as $HEAPTAP_START says.\n"
    "\n"
    "  -h, --help   this text\n";

const char help_resume[] =
    "usage: heaptap resume FILE|PID...\n"
    "\n"
    "Allocations are recorded again, from the next events on: after heaptap pause, or where HEAPTAP_START=off began.\n"
    "\n"
    "  -h, --help   this text\n";

/* The word in the header of a file that is open for writing; its process looks at it (ctl_pause in format.h). */
static bool set_pause(int fd, const char *path, uint32_t pause, struct err *err)
{
    struct reader_summary summary;
    if (!reader_peek_fd(&summary, fd, path, err))
        return false;
    if (summary.owner != geteuid())
        return err_set(err, "%s: belongs to user %u, not to you; not changed", path, (unsigned)summary.owner);
    if (summary.process != READER_RUNNING)
        return err_set(err, "%s: process %u %s; not changed", path, summary.header.pid,
                       summary.process == READER_ENDED ? "has ended" : "may have ended");
    struct ht_header *header = mmap(NULL, sizeof *header, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (header == MAP_FAILED)
        return err_system(err, "map", path);
    __atomic_store_n(&header->ctl_pause, pause, __ATOMIC_RELAXED);
    munmap(header, sizeof *header);
    return true;
}

static bool set_pause_of(const char *target, uint32_t pause, struct err *err)
{
    char path[512];
    uint32_t pid;
    uid_t owner;
    struct reader_summary summary;
    if (tool_is_pid(target, &pid)) {
        if (!find_pid(pid, path, sizeof path, &owner, err))
            return false;
        target = path;
    }
    if (!reader_peek(&summary, target, err)) /* what it is shows before there is a right to write to it */
        return false;
    int fd = open(target, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return err_system(err, "open", target);
    bool done = set_pause(fd, target, pause, err);
    close(fd);
    return done;
}

static int change(const struct tool_verb *verb, int argc, char **argv, uint32_t pause)
{
    static const struct option longs[] = {{"help", no_argument, NULL, 'h'}, {0}};
    struct err err;
    int status = TOOL_DONE;
    for (int found; (found = getopt_long(argc, argv, ":h", longs, NULL)) != -1;) {
        if (found == 'h')
            return tool_help(verb);
        return tool_bad_option(verb, longs, found, argv);
    }
    if (optind == argc)
        return tool_usage(verb, "needs files or PIDs");
    for (; optind < argc; optind++)
        if (!set_pause_of(argv[optind], pause, &err))
            status = tool_fail(&err);
    return status;
}

int cmd_pause(const struct tool_verb *verb, int argc, char **argv)
{
    return change(verb, argc, argv, 1);
}

int cmd_resume(const struct tool_verb *verb, int argc, char **argv)
{
    return change(verb, argc, argv, 0);
}
