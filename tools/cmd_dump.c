#include "progress.h"
#include "tool.h"

#include <report/convert.h>
#include <report/output.h>

#include <string.h>
#include <unistd.h>

const char help_dump[] =
    "usage: heaptap dump [-f FORMAT] [-o OUT] [--view VIEW] [options] FILE|PID\n"
    "\n"
    "Converts a buffer, of a living or a dead process, to a profile.\n"
    "\n"
    "  -f, --format FORMAT  pprof: what go tool pprof and others read, gzipped (default, but on a terminal)\n"
    "                       text: figures, the largest sites and what was lost, for people (default on a terminal)\n"
    "                       folded: one line a stack, its outermost frame first, and bytes\n"
    "                       html: a page that opens in a browser, without a network\n"
    "                       speedscope: JSON, all types of samples in one file\n"
    "                       raw: every table as text\n"
    "  -o, --output OUT     write there; without -f, the name tells the format (.pb.gz, .txt, .folded, .html, .json, "
    ".raw)\n"
    "      --view VIEW      inuse: heap that lives (default)   alloc: heap ever allocated\n"
    "                       exit: heap that lived when the process ended   mmap: mappings that live\n"
    "      --by-thread      pprof: label samples with the name of the thread that allocated\n"
    "      --debug-dir DIR  look there first for debug files: by build-id, or NAME.debug, or NAME\n"
    "      --sysroot DIR    the programs and libraries of another machine are below DIR\n"
    "  -h, --help           this text\n";

struct options {
    int format; /* enum convert_format; -1: not given */
    int view;
    bool by_thread;
    const char *debug_dir, *sysroot;
    const char *output;
    const char *target;
};

/* getopt's numbers of options without a letter */
enum { OPTION_VIEW = 256, OPTION_BY_THREAD, OPTION_DEBUG_DIR, OPTION_SYSROOT };

static int take_option(const struct tool_verb *verb, struct options *options, const struct option *longs, int found,
                       char **argv)
{
    switch (found) {
    case 'f':
        options->format = convert_format_by_name(optarg);
        return options->format >= 0 ? TOOL_DONE : tool_usage(verb, "no format %s", optarg);
    case 'o': options->output = optarg; break;
    case OPTION_VIEW:
        options->view = profile_view_by_name(optarg);
        return options->view >= 0 ? TOOL_DONE : tool_usage(verb, "no view %s", optarg);
    case OPTION_BY_THREAD: options->by_thread = true; break;
    case OPTION_DEBUG_DIR: options->debug_dir = optarg; break;
    case OPTION_SYSROOT: options->sysroot = optarg; break;
    case 'h': return -1;
    default: return tool_bad_option(verb, longs, found, argv);
    }
    return TOOL_DONE;
}

/* What nobody said. */
static int choose_format(const struct tool_verb *verb, struct options *options)
{
    bool terminal = !options->output && isatty(STDOUT_FILENO);
    if (options->output && strcmp(options->output, "-") == 0)
        return tool_usage(verb, "-o - names no file; without -o the profile goes to standard output");
    if (options->format < 0 && options->output)
        options->format = convert_format_by_path(options->output);
    if (options->format < 0 && options->output)
        return tool_usage(verb, "the name %s does not tell the format; give -f", options->output);
    if (options->format < 0)
        options->format = terminal ? CONVERT_TEXT : CONVERT_PPROF;
    if (terminal && convert_is_binary((enum convert_format)options->format))
        return tool_usage(verb, "this format is not for a terminal; give -o OUT");
    if (options->by_thread && !convert_has_threads((enum convert_format)options->format))
        return tool_usage(verb, "this format cannot tell threads apart");
    return TOOL_DONE;
}

static int read_options(const struct tool_verb *verb, int argc, char **argv, struct options *options)
{
    static const struct option longs[] = {{"format", required_argument, NULL, 'f'},
                                          {"output", required_argument, NULL, 'o'},
                                          {"view", required_argument, NULL, OPTION_VIEW},
                                          {"by-thread", no_argument, NULL, OPTION_BY_THREAD},
                                          {"debug-dir", required_argument, NULL, OPTION_DEBUG_DIR},
                                          {"sysroot", required_argument, NULL, OPTION_SYSROOT},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    *options = (struct options){.format = -1, .view = PROFILE_INUSE};
    for (int found; (found = getopt_long(argc, argv, ":f:o:h", longs, NULL)) != -1;) {
        int status = take_option(verb, options, longs, found, argv);
        if (status != TOOL_DONE)
            return status;
    }
    if (optind + 1 != argc)
        return tool_usage(verb, "needs one file or PID");
    options->target = argv[optind];
    return choose_format(verb, options);
}

static bool dump(const struct options *options, FILE *out, struct err *err)
{
    struct reader reader;
    struct progress progress;
    struct convert_options convert = {.format = (enum convert_format)options->format,
                                      .view = (enum profile_view)options->view,
                                      .by_thread = options->by_thread,
                                      .symbolize = {.sysroot = options->sysroot, .debug_dir = options->debug_dir}};
    if (!tool_open(&reader, options->target, err))
        return false;
    if (options->view == PROFILE_EXIT && reader.process != READER_ENDED) {
        err_set(err, "%s: process %u %s, so there is no exit view; use --view inuse", reader.path, reader.header.pid,
                reader.process == READER_RUNNING
                    ? "has not ended"
                    : "may still run: it is of another PID namespace or machine, or its file does not say enough");
        reader_close(&reader);
        return false;
    }
    if (reader.events_after != reader.events_before)
        fprintf(stderr, "heaptap: %llu events happened while the buffer was read; figures may be apart by as many\n",
                (unsigned long long)(reader.events_after - reader.events_before));
    progress_begin(&progress, &convert);
    bool done = convert_write(out, &reader, &convert, err);
    progress_end(&progress);
    return done;
}

static int dump_to_file(const struct options *options)
{
    struct output output;
    struct err err;
    if (!output_open(&output, options->output, &err))
        return tool_fail(&err);
    bool done = dump(options, output.stream, &err);
    return output_close(&output, done, &err) && done ? TOOL_DONE : tool_fail(&err);
}

int cmd_dump(const struct tool_verb *verb, int argc, char **argv)
{
    struct options options;
    struct err err;
    int status = read_options(verb, argc, argv, &options);
    if (status != TOOL_DONE)
        return status < 0 ? tool_help(verb) : status;
    if (!tool_check_directory(options.debug_dir, "look into --debug-dir", &err) ||
        !tool_check_directory(options.sysroot, "look into --sysroot", &err))
        return tool_fail(&err);
    if (options.output)
        return dump_to_file(&options);
    return dump(&options, stdout, &err) ? tool_finish(stdout, "standard output") : tool_fail(&err);
}
