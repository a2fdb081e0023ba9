#include "tool.h"

#include <report/find.h>
#include <report/sheet.h>

#include <common/text.h>
#include <time.h>
#include <unistd.h>

const char help_ls[] = "usage: heaptap ls\n"
                       "\n"
                       "Lists the buffers of your processes, and for root those of all users, living and dead, in "
                       "$HEAPTAP_DIR, /dev/shm and\n"
                       "/tmp, the newest last: PID, state (running, exited, killed, unknown), bytes that the file "
                       "takes, seconds since it\n"
                       "began, program, path, user, command.\n"
                       "\n"
                       "  -h, --help  this text\n";

#define COMMAND_COLUMNS 60

static const char *state_word(const struct reader_summary *summary)
{
    if (summary->process == READER_RUNNING)
        return "running";
    if (summary->process == READER_UNKNOWN)
        return "unknown";
    return summary->header.state == HT_STATE_EXITING ? "exited" : "killed";
}

static void print_file(const struct find_file *file)
{
    const struct ht_header *header = &file->summary.header;
    char command[4 * sizeof header->command];
    uint64_t now = (uint64_t)time(NULL), began = header->start_realtime_ns / 1000000000;
    printf("%7u  %-8s %10llu %8llu  ", header->pid, state_word(&file->summary),
           (unsigned long long)file->summary.data_bytes, (unsigned long long)(now > began ? now - began : 0));
    tool_print_text(stdout, text_basename(header->exe));
    printf("  ");
    tool_print_text(stdout, file->path);
    printf("  %u  ", (unsigned)file->summary.owner);
    err_safe_text(command, sizeof command, header->command);
    sheet_cut(&(struct sheet){.out = stdout}, command, COMMAND_COLUMNS);
    putchar('\n');
}

int cmd_ls(const struct tool_verb *verb, int argc, char **argv)
{
    static const struct option longs[] = {{"help", no_argument, NULL, 'h'}, {0}};
    struct find_list list;
    struct err err;
    for (int found; (found = getopt_long(argc, argv, ":h", longs, NULL)) != -1;)
        return found == 'h' ? tool_help(verb) : tool_bad_option(verb, longs, found, argv);
    if (optind != argc)
        return tool_usage(verb, "takes no file");
    int status = tool_check_places();
    if (!find_all(&list, geteuid() ? geteuid() : FIND_ALL_USERS, &err))
        return tool_fail(&err);
    if (list.count)
        printf("%7s  %-8s %10s %8s  %s  %s  %s  %s\n", "PID", "STATE", "BYTES", "SECONDS", "PROGRAM", "FILE", "USER",
               "COMMAND");
    else
        fputs("heaptap: no buffers of yours in $HEAPTAP_DIR, /dev/shm or /tmp; heaptap run COMMAND makes some\n",
              stderr);
    for (size_t i = 0; i < list.count; i++)
        print_file(&list.file[i]);
    find_free(&list);
    return tool_finish(stdout, "standard output") == TOOL_DONE ? status : TOOL_FAILED;
}
