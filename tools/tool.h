/*
 * heaptap, the tool: one verb, one file. A verb gets its own arguments (argv[0] is its name) and returns an exit status.
 */
#ifndef HEAPTAP_TOOL_H
#define HEAPTAP_TOOL_H

#include <report/reader.h>

#include <getopt.h>
#include <stdio.h>

enum tool_status { TOOL_DONE = 0, TOOL_FAILED = 1, TOOL_USAGE = 2 };

struct tool_verb {
    const char *name;
    const char *summary; /* one line of `heaptap --help` */
    const char *help;    /* all of `heaptap VERB --help` */
    int (*run)(const struct tool_verb *verb, int argc, char **argv);
};

int cmd_dump(const struct tool_verb *verb, int argc, char **argv);
int cmd_events(const struct tool_verb *verb, int argc, char **argv);
int cmd_info(const struct tool_verb *verb, int argc, char **argv);
int cmd_ls(const struct tool_verb *verb, int argc, char **argv);
int cmd_pause(const struct tool_verb *verb, int argc, char **argv);
int cmd_resume(const struct tool_verb *verb, int argc, char **argv);
int cmd_rm(const struct tool_verb *verb, int argc, char **argv);
int cmd_run(const struct tool_verb *verb, int argc, char **argv);

extern const char help_dump[], help_events[], help_info[], help_ls[], help_pause[], help_resume[], help_rm[],
    help_run[];

/* "heaptap: " and the line on stderr. Returns TOOL_FAILED. */
int tool_fail(const struct err *err);
/* "heaptap VERB: ..., see heaptap VERB --help" on stderr. Returns TOOL_USAGE. */
int tool_usage(const struct tool_verb *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));
/*
 * For what getopt_long refused (it is told to be silent): names the option. Returns TOOL_USAGE. In `longs` a letter stands only for an option that has this
 * letter, too.
 */
int tool_bad_option(const struct tool_verb *verb, const struct option *longs, int found, char **argv);
/* Prints the help and returns TOOL_DONE. */
int tool_help(const struct tool_verb *verb);

/* That an option names a directory. NULL: it was not given. `what` as of err_system. */
bool tool_check_directory(const char *path, const char *what, struct err *err);

/* That HEAPTAP_DIR can be looked into, if it is set. Returns TOOL_DONE or TOOL_FAILED, having told why not. */
int tool_check_places(void);

/* Text from a file or the system, as it may be shown. */
void tool_print_text(FILE *out, const char *text);

/* Flushes and looks for errors of a stream. Returns TOOL_DONE or TOOL_FAILED, having told why. Not for reading. */
int tool_finish(FILE *out, const char *path);

/* Whether a target is a PID: a number, and no such file is there. */
bool tool_is_pid(const char *target, uint32_t *pid);
/*
 * Opens a buffer by path or by PID. A buffer that another user's process made, found by PID, is read
 * with that user's rights: from then on the tool can open nothing that this user could not. So open outputs first.
 */
bool tool_open(struct reader *reader, const char *target, struct err *err);

#endif
