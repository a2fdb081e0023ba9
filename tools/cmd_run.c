#include "run_merge.h"
#include "run_results.h"
#include "run_say.h"
#include "tool.h"

#include <report/launch.h>
#include <report/output.h>
#include <report/supervise.h>

#include <common/text.h>
#include <common/variables.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char help_run[] =
    "usage: heaptap run [-o OUT [--view VIEW] [--merge]] [--debug-dir DIR] [--] COMMAND [ARGUMENT...]\n"
    "\n"
    "Runs a command with libheaptap.so preloaded and waits for it. Signals that are sent to heaptap are passed on. At "
    "the end a\n"
    "summary goes to stderr. The exit status is the command's, 128 + N when signal N ended it; 1 when it could not be "
    "profiled.\n"
    "\n"
    "  -o, --output OUT     write the profile of the command there; the name tells the format (.pb.gz, .txt, .folded, "
    ".html,\n"
    "                       .json, .raw). Those of other processes are beside it: app.html, app.PROGRAM.PID.html. "
    "Without\n"
    "                       it the buffers are kept\n"
    "      --view VIEW      of OUT: inuse (default, here what is left at the end), alloc, exit or mmap; see heaptap "
    "dump\n"
    "      --merge          all processes in OUT: pprof with the labels exe and pid; .folded, .html and .json with a "
    "frame\n"
    "                       PROGRAM[PID] at the root of their stacks; above some 1,000 processes the next ones are\n"
    "                       told apart by program only, as PROGRAM[others]\n"
    "      --debug-dir DIR  look there first for debug files, as heaptap dump does\n"
    "  -h, --help           this text\n"
    "\n"
    "The HEAPTAP_ variables hold as ever, but for HEAPTAP_OUT. HEAPTAP_LIB names a libheaptap.so that is not beside "
    "this tool.\n";

struct options {
    const char *output, *debug_dir;
    bool merge;
    int view;   /* enum profile_view; -1: not given */
    int format; /* enum convert_format, if there is an output */
    char **command;
};

/* getopt's numbers of options without a letter */
enum { OPTION_MERGE = 256, OPTION_VIEW, OPTION_DEBUG_DIR };

static int take_option(const struct tool_verb *verb, struct options *options, const struct option *longs, int found,
                       char **argv)
{
    switch (found) {
    case 'o': options->output = optarg; break;
    case OPTION_MERGE: options->merge = true; break;
    case OPTION_VIEW:
        options->view = profile_view_by_name(optarg);
        return options->view >= 0 ? TOOL_DONE : tool_usage(verb, "no view %s", optarg);
    case OPTION_DEBUG_DIR: options->debug_dir = optarg; break;
    case 'h': return -1;
    default: return tool_bad_option(verb, longs, found, argv);
    }
    return TOOL_DONE;
}

/* What belongs together. */
static int check_options(const struct tool_verb *verb, struct options *options)
{
    if (!options->output)
        return options->merge       ? tool_usage(verb, "--merge needs -o OUT")
               : options->view >= 0 ? tool_usage(verb, "--view needs -o OUT")
                                    : TOOL_DONE;
    options->format = convert_format_by_path(options->output);
    if (options->format < 0)
        return tool_usage(verb, "the name %s does not tell the format: .pb.gz, .txt, .folded, .html, .json or .raw",
                          options->output);
    if (options->merge && !convert_has_processes((enum convert_format)options->format))
        return tool_usage(verb, "this format is for one process; --merge writes .pb.gz, .folded, .html or .json");
    return TOOL_DONE;
}

static int read_options(const struct tool_verb *verb, int argc, char **argv, struct options *options)
{
    static const struct option longs[] = {{"output", required_argument, NULL, 'o'},
                                          {"merge", no_argument, NULL, OPTION_MERGE},
                                          {"view", required_argument, NULL, OPTION_VIEW},
                                          {"debug-dir", required_argument, NULL, OPTION_DEBUG_DIR},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    *options = (struct options){.format = -1, .view = -1};
    for (int found; (found = getopt_long(argc, argv, "+:o:h", longs, NULL)) != -1;) {
        int status = take_option(verb, options, longs, found, argv);
        if (status != TOOL_DONE)
            return status;
    }
    if (optind == argc)
        return tool_usage(verb, "needs a command");
    options->command = argv + optind;
    return check_options(verb, options);
}

/* That a profile can be written there shows before the command runs, not after hours. */
static bool try_output(const char *path, struct err *err)
{
    struct output output;
    return !path || (output_open(&output, path, err) && output_close(&output, false, err));
}

/* Another copy of the library, or this one: two would record each other's events. */
static bool is_ours(const char *entry, size_t length, const char *library)
{
    static const char name[] = "libheaptap.so";
    size_t tail = sizeof name - 1;
    if (length >= tail && memcmp(entry + length - tail, name, tail) == 0 &&
        (length == tail || entry[length - tail - 1] == '/'))
        return true;
    return strlen(library) == length && memcmp(entry, library, length) == 0;
}

/* In front, once: what stands behind is found next, another malloc for instance. NULL: no memory. */
static char *make_preload(const char *library, const char *before)
{
    size_t capacity = strlen(library) + strlen(before) + 2, length = 0;
    char *preload = malloc(capacity);
    struct text text = {.at = preload, .capacity = capacity};
    if (!preload)
        return NULL;
    text_append(&text, library);
    for (const char *at = before; *(at += strspn(at, " :")); at += length) {
        length = strcspn(at, " :");
        if (is_ours(at, length, library))
            continue;
        text_char(&text, ':');
        text_append_n(&text, at, length);
    }
    return preload;
}

static bool set_environment(const struct family *family, const char *library, struct err *err)
{
    char pattern[1024];
    const char *before = getenv("LD_PRELOAD");
    family_pattern(family, pattern, sizeof pattern);
    if (strlen(pattern) > 255)
        return err_set(err, "%s: the name is too long for buffers", family->directory);
    char *preload = make_preload(library, before ? before : "");
    bool done = preload && setenv("LD_PRELOAD", preload, 1) == 0 && setenv("HEAPTAP_OUT", pattern, 1) == 0;
    free(preload);
    return done ? true : err_set(err, "no memory for the environment");
}

/* The library goes on with what it understands, silently: whoever meant something else can still stop the command. */
static void tell_variables(void)
{
    struct config config;
    variables_begin(&config);
    for (char **at = environ; *at; at++)
        variables_take(&config, *at);
    if (*config.problem)
        run_say("%s", config.problem);
}

static void look_at_family(void *arg)
{
    struct run_results *results = arg;
    family_look(results->family);
    if (results->merge)
        run_merge_look(results);
}

static int run(const struct options *options, struct family *family, const char *library, const char *program)
{
    struct err err;
    struct run_results results = {.family = family,
                                  .output = options->output,
                                  .merge = options->merge,
                                  .view = options->view >= 0 ? (enum profile_view)options->view : PROFILE_INUSE,
                                  .debug_dir = options->debug_dir,
                                  .format = (enum convert_format)options->format,
                                  .command = options->command[0],
                                  .program = program};
    const struct supervise supervise = {.argv = options->command,
                                        .watch_fd = family->watch_fd,
                                        .watch = look_at_family,
                                        .watch_arg = &results,
                                        .stay = results.merge};
    if (!set_environment(family, library, &err) || (results.merge && !run_merge_begin(&results, &err)) ||
        !supervise_run(&supervise, &results.pid, &results.status, &err))
        return tool_fail(&err);
    int status = supervise_exit_status(results.status);
    return run_results(&results) || status ? status : TOOL_FAILED;
}

int cmd_run(const struct tool_verb *verb, int argc, char **argv)
{
    struct options options;
    struct family family;
    struct err err;
    char library[LAUNCH_PATH_MAX], path[LAUNCH_PATH_MAX], program[LAUNCH_PATH_MAX];
    int status = read_options(verb, argc, argv, &options);
    if (status != TOOL_DONE || !options.command)
        return status < 0 ? tool_help(verb) : status;
    if (getenv("HEAPTAP_OUT"))
        return tool_usage(verb,
                          "HEAPTAP_OUT is set, and run itself names the buffers: unset it, and use -o or HEAPTAP_DIR");
    if (!launch_library(library, &err) || !launch_find(options.command[0], path, &err) ||
        !launch_check(path, library, program, &err) ||
        !tool_check_directory(options.debug_dir, "look into --debug-dir", &err) || !try_output(options.output, &err) ||
        !family_open(&family, &err))
        return tool_fail(&err);
    tell_variables();
    status = run(&options, &family, library, program);
    family_close(&family);
    return status;
}
