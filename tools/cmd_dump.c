#include "tool.h"

#include <report/convert.h>
#include <report/output.h>

#include <getopt.h>
#include <string.h>

const char help_dump[] =
    "usage: heaptap dump [-f FORMAT] [-o OUT] [--view VIEW] FILE|PID\n"
    "\n"
    "Converts a buffer, of a living or a dead process, to a profile.\n"
    "\n"
    "  -f, --format FORMAT  folded: one line a stack, its outermost frame first, and bytes (default)\n"
    "                       raw: every table as text\n"
    "  -o, --output OUT     write there; without -f, the name tells the format (.folded, .raw)\n"
    "      --view VIEW      inuse: heap that lives (default)   alloc: heap ever allocated\n"
    "                       exit: heap that lived when the process ended   mmap: mappings that live\n"
    "  -h, --help           this text\n";

struct options {
    int format; /* enum convert_format; -1: not given */
    int view;
    const char *output;
    const char *target;
};

static int find_view(const char *word)
{
    for (int i = 0; i < PROFILE_VIEWS; i++)
        if (strcmp(profile_view_name[i], word) == 0)
            return i;
    return -1;
}

static int read_options(const struct tool_verb *verb, int argc, char **argv, struct options *options)
{
    static const struct option longs[] = {{"format", required_argument, NULL, 'f'},
                                          {"output", required_argument, NULL, 'o'},
                                          {"view", required_argument, NULL, 'v'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    *options = (struct options){.format = -1, .view = PROFILE_INUSE};
    for (int found; (found = getopt_long(argc, argv, ":f:o:h", longs, NULL)) != -1;) {
        switch (found) {
        case 'f':
            options->format = convert_format_by_name(optarg);
            if (options->format < 0)
                return tool_usage(verb, "no format %s", optarg);
            break;
        case 'o': options->output = optarg; break;
        case 'v':
            options->view = find_view(optarg);
            if (options->view < 0)
                return tool_usage(verb, "no view %s", optarg);
            break;
        case 'h': return -1;
        default: return tool_bad_option(verb, found, argv);
        }
    }
    if (optind + 1 != argc)
        return tool_usage(verb, "needs one file or PID");
    options->target = argv[optind];
    if (options->format < 0 && options->output)
        options->format = convert_format_by_path(options->output);
    if (options->format < 0 && options->output)
        return tool_usage(verb, "the name %s does not tell the format; give -f", options->output);
    if (options->format < 0)
        options->format = CONVERT_FOLDED;
    return TOOL_DONE;
}

static bool dump(const struct options *options, FILE *out, struct err *err)
{
    struct reader reader;
    const struct convert_options convert = {.format = (enum convert_format)options->format,
                                            .view = (enum profile_view)options->view};
    if (!tool_open(&reader, options->target, err))
        return false;
    if (options->view == PROFILE_EXIT && reader.process != READER_ENDED) {
        err_set(err, "%s: process %u has not ended, so there is no exit view; use --view inuse", reader.path,
                reader.header.pid);
        reader_close(&reader);
        return false;
    }
    if (reader.events_after != reader.events_before)
        fprintf(stderr, "heaptap: %llu events happened while the buffer was read; figures may be apart by as many\n",
                (unsigned long long)(reader.events_after - reader.events_before));
    return convert_write(out, &reader, &convert, err);
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
    if (options.output)
        return dump_to_file(&options);
    return dump(&options, stdout, &err) ? tool_finish(stdout, "standard output") : tool_fail(&err);
}
