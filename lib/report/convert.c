#include "convert.h"

#include "coverage.h"
#include "debug_file.h"
#include "events.h"
#include "write.h"

#include <string.h>
#include <time.h>

static bool folded(FILE *out, const struct write_input *input, struct err *err)
{
    return write_folded(out, input->names, input->view, err);
}

static bool text(FILE *out, const struct write_input *input, struct err *err)
{
    return write_text(out, input->names, input->view, err);
}

static bool raw(FILE *out, const struct write_input *input, struct err *err)
{
    (void)err;
    write_raw(out, input->profile, input->reader);
    return true;
}

static const struct format {
    const char *name;
    const char *suffix;
    bool names;  /* needs names */
    bool reader; /* needs the reader */
    bool threads, processes, binary;
    bool (*write)(FILE *out, const struct write_input *input, struct err *err);
} formats[CONVERT_FORMATS] = {
    [CONVERT_PPROF] = {"pprof", ".pb.gz", .names = true, .threads = true, .processes = true, .binary = true,
                       .write = write_pprof},
    [CONVERT_FOLDED] = {"folded", ".folded", .names = true, .processes = true, .write = folded},
    [CONVERT_TEXT] = {"text", ".txt", .names = true, .write = text},
    [CONVERT_HTML] = {"html", ".html", .names = true, .processes = true, .binary = true, .write = write_html},
    [CONVERT_SPEEDSCOPE] = {"speedscope", ".json", .names = true, .processes = true, .binary = true,
                            .write = write_speedscope},
    [CONVERT_RAW] = {"raw", ".raw", .reader = true, .write = raw},
};

int convert_format_by_name(const char *name)
{
    for (int i = 0; i < CONVERT_FORMATS; i++)
        if (strcmp(name, formats[i].name) == 0)
            return i;
    return -1;
}

int convert_format_by_path(const char *path)
{
    size_t length = strlen(path);
    for (int i = 0; i < CONVERT_FORMATS; i++) {
        size_t suffix = strlen(formats[i].suffix);
        if (length > suffix && strcmp(path + length - suffix, formats[i].suffix) == 0)
            return i;
    }
    return -1;
}

const char *convert_suffix(enum convert_format format)
{
    return formats[format].suffix;
}

bool convert_is_binary(enum convert_format format)
{
    return formats[format].binary;
}

bool convert_has_threads(enum convert_format format)
{
    return formats[format].threads;
}

bool convert_has_processes(enum convert_format format)
{
    return formats[format].processes;
}

/* Says which files were of no use although they are there, and if the program itself cannot be read. */
static void tell_useless(const struct symbolize *symbolize, const struct convert_options *options,
                         const struct profile *profile)
{
    struct err line;
    char path[sizeof profile->modules->path];
    for (uint32_t row = 0; options->notice && row < profile->module_count; row++) {
        const struct symbolize_module *module = symbolize_result(symbolize, row);
        debug_file_path(&profile->modules[row], path, sizeof path);
        if (module->level == SYMBOLIZE_NO_FILE && strcmp(path, profile->header.exe) == 0)
            err_set(&line, "no names from %s: it cannot be read; --sysroot or --debug-dir may lead to it", path);
        else if (module->level == SYMBOLIZE_DIFFERS)
            err_set(
                &line,
                "no names from %s: it is not the build that ran (build-id differs); --sysroot or --debug-dir may lead "
                "to the right one",
                module->file);
        else
            continue;
        options->notice(options->notice_arg, line.text);
    }
}

static bool write_named(FILE *out, struct write_input *input, const struct convert_options *options, struct err *err)
{
    struct names names = {0};
    struct symbolize *symbolize = symbolize_new(input->profile, &options->symbolize);
    input->names = &names;
    bool done = names_init(&names, input->profile, symbolize ? symbolize_places : NULL, symbolize, err) &&
                formats[options->format].write(out, input, err);
    if (symbolize)
        tell_useless(symbolize, options, input->profile);
    input->names = NULL;
    names_free(&names);
    symbolize_free(symbolize);
    return done;
}

/* When the buffer was as it is read: now, or when the last thing that it knows of happened. */
static uint64_t time_of(const struct reader *reader)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (reader->process != READER_ENDED)
        return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    return reader->header.start_realtime_ns + events_last_time(reader);
}

bool convert_write(FILE *out, struct reader *reader, const struct convert_options *options, struct err *err)
{
    const struct format *format = &formats[options->format];
    struct profile profile;
    struct threads threads = {0};
    char problem[COVERAGE_MAX];
    struct write_input input = {
        .profile = &profile, .view = options->view, .time_ns = time_of(reader), .reader = reader};
    bool done = profile_load(&profile, reader, err);
    if (done && options->by_thread) {
        done = threads_load(&threads, &profile, reader, err);
        input.threads = &threads;
    }
    if (done && options->notice && options->format != CONVERT_TEXT && coverage_problem(&profile, problem))
        options->notice(options->notice_arg, problem);
    if (done && options->notice && options->format != CONVERT_TEXT && coverage_variable(&profile.header, problem))
        options->notice(options->notice_arg, problem);
    if (done && format->reader)
        done = format->write(out, &input, err);
    reader_close(reader); /* a profile stands alone */
    input.reader = NULL;
    if (done && format->names)
        done = write_named(out, &input, options, err);
    threads_free(&threads);
    profile_free(&profile);
    return done;
}

bool convert_merge_begin(struct merge *merge, enum convert_format format, struct err *err)
{
    return merge_init(merge, format != CONVERT_PPROF, err); /* pprof has labels */
}

bool convert_merge_add(struct merge *merge, struct reader *reader, bool main, bool *added,
                       char why[PROFILE_PROBLEM_MAX], struct err *err)
{
    struct profile profile;
    uint64_t time_ns = time_of(reader);
    bool done = profile_load(&profile, reader, err);
    reader_close(reader);
    *added = done && (main || profile.site_count);
    if (!done || !coverage_problem(&profile, why))
        why[0] = 0;
    if (*added)
        done = *added = merge_add(merge, &profile, main, time_ns, err);
    profile_free(&profile);
    return done;
}

bool convert_merged(FILE *out, const struct merge *merge, const struct convert_options *options, struct err *err)
{
    struct write_input input = {.profile = &merge->profile, .view = options->view, .time_ns = merge->time_ns};
    return write_named(out, &input, options, err);
}
