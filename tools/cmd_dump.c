#include "tool.h"

#include <report/symbolize.h>
#include <report/write.h>

#include <errno.h>
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

static const char *const formats[] = {"folded", "raw"};
enum format { FORMAT_FOLDED, FORMAT_RAW, FORMATS };

struct options {
    int format; /* enum format; -1: not given */
    int view;
    const char *output;
    const char *target;
};

static int find_word(const char *const *words, int count, const char *word)
{
    for (int i = 0; i < count; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    return -1;
}

static int format_of_name(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? find_word(formats, FORMATS, dot + 1) : -1;
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
            options->format = find_word(formats, FORMATS, optarg);
            if (options->format < 0)
                return tool_usage(verb, "no format %s", optarg);
            break;
        case 'o': options->output = optarg; break;
        case 'v':
            options->view = find_word(profile_view_name, PROFILE_VIEWS, optarg);
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
        options->format = format_of_name(options->output);
    if (options->format < 0 && options->output)
        return tool_usage(verb, "the name %s does not tell the format; give -f", options->output);
    if (options->format < 0)
        options->format = FORMAT_FOLDED;
    return TOOL_DONE;
}

static bool write_profile(FILE *out, const struct options *options, struct reader *reader, struct err *err)
{
    struct profile profile;
    struct names names = {0};
    bool done = profile_load(&profile, reader, err);
    if (done && options->format == FORMAT_RAW)
        write_raw(out, &profile, reader);
    reader_close(reader); /* a profile stands alone */
    if (done && options->format == FORMAT_FOLDED) {
        struct symbolize *symbolize = symbolize_new(&profile, &(struct symbolize_options){0});
        done = names_init(&names, &profile, symbolize ? symbolize_places : NULL, symbolize, err) &&
               write_folded(out, &names, (enum profile_view)options->view, err);
        names_free(&names);
        symbolize_free(symbolize);
    }
    profile_free(&profile);
    return done;
}

static int dump(const struct options *options, FILE *out, const char *out_name)
{
    struct reader reader;
    struct err err;
    if (!tool_open(&reader, options->target, &err))
        return tool_fail(&err);
    if (options->view == PROFILE_EXIT && reader.process != READER_ENDED) {
        err_set(&err, "%s: process %u has not ended, so there is no exit view; use --view inuse", reader.path,
                reader.header.pid);
        reader_close(&reader);
        return tool_fail(&err);
    }
    if (reader.events_after != reader.events_before)
        fprintf(stderr, "heaptap: %llu events happened while the buffer was read; figures may be apart by as many\n",
                (unsigned long long)(reader.events_after - reader.events_before));
    if (!write_profile(out, options, &reader, &err))
        return tool_fail(&err);
    return tool_finish(out, out_name);
}

int cmd_dump(const struct tool_verb *verb, int argc, char **argv)
{
    struct options options;
    struct err err;
    int status = read_options(verb, argc, argv, &options);
    if (status != TOOL_DONE)
        return status < 0 ? tool_help(verb) : status;
    FILE *out = options.output ? fopen(options.output, "we") : stdout;
    if (!out) {
        err_system(&err, "write", options.output);
        return tool_fail(&err);
    }
    status = dump(&options, out, options.output ? options.output : "standard output");
    if (options.output && fclose(out) != 0 && status == TOOL_DONE) {
        err_system(&err, "write", options.output);
        status = tool_fail(&err);
    }
    return status;
}
