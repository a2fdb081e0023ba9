#include "run_results.h"

#include "progress.h"
#include "tool.h"

#include <report/output.h>
#include <report/summary.h>

#include <common/text.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINES_MAX 5 /* of one kind, of as many processes as there may be */

static void __attribute__((format(printf, 1, 2))) say(const char *format, ...)
{
    char raw[8192], text[8192];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(raw, sizeof raw, format, arguments);
    va_end(arguments);
    err_safe_text(text, sizeof text, raw);
    fprintf(stderr, "heaptap: %s\n", text);
}

#define WORD_MAX 8192

/* A path as one word for a shell. Where say() shows bytes as \xNN, it is $'...', in which that means them. */
static const char *shell_word(char to[WORD_MAX], const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,:@%=";
    char shown[WORD_MAX];
    struct text word = {.at = to, .capacity = WORD_MAX};
    if (!path[strspn(path, plain)])
        return path;
    err_safe_text(shown, sizeof shown, path);
    bool as_it_is = strcmp(shown, path) == 0;
    text_append(&word, as_it_is ? "'" : "$'");
    for (; *path; path++)
        text_append(&word, *path == '\''                ? (as_it_is ? "'\\''" : "\\'")
                           : *path == '\\' && !as_it_is ? "\\\\"
                                                        : (char[]){*path, 0});
    text_append(&word, "'");
    return to;
}

static const char *program_of(const struct family_file *file)
{
    return text_basename(file->summary.header.exe);
}

static bool lives(const struct family_file *file)
{
    return file->usable && file->summary.process != READER_ENDED;
}

/* ---- Nothing there ---- */

/* As the shim does: by the file, and by what it was called by, which of a script's interpreter is its name in the script. */
static bool is_chosen(const struct run_results *results, const char *only, const char *program)
{
    return strchr(only, '/')
               ? text_match(only, program) || text_match(only, results->command)
               : text_match(only, text_basename(program)) || text_match(only, text_basename(results->program));
}

static void tell_nothing(const struct run_results *results)
{
    const char *only = getenv("HEAPTAP_ONLY"), *children = getenv("HEAPTAP_CHILDREN");
    char *program = realpath(results->program, NULL);
    if (only && *only && program && !is_chosen(results, only, program))
        say("nothing was recorded of %s: HEAPTAP_ONLY=%s does not choose %s", results->command, only, program);
    else if (children && strcmp(children, "-") == 0)
        say("nothing was recorded of %s: it runs below a process recorded with HEAPTAP_CHILDREN=0", results->command);
    else
        say("nothing was recorded of %s: no buffer appeared in %s; there was no room for one, or the program is not "
            "what "
            "it seems to be (HEAPTAP_LOG=1 tells)",
            results->command, results->family->directory);
    free(program);
}

/* ---- The summary ---- */

/* What was lost in the buffers of the others that have ended. One that cannot be read is told of where it is converted. */
static void sum_losses(const struct family *family, const struct family_file *own, struct profile *others)
{
    struct err err;
    memset(others, 0, sizeof *others);
    for (size_t i = 0; i < family->count; i++) {
        const struct family_file *file = &family->file[i];
        const struct ht_header *header = &file->summary.header;
        if (file == own || !file->usable || lives(file) ||
            !reader_add_losses_fd(others->lost, file->fd, file->path, &err))
            continue;
        if (!others->process_count++)
            others->header = *header;
        others->header.budget_bytes = MIN(others->header.budget_bytes, header->budget_bytes);
        others->header.flags &= header->flags;
        others->modules_lost += reader_value(&header->modules_lost);
    }
}

static bool summarize(const struct family_file *own, const struct profile *others, const char *debug_dir,
                      struct err *err)
{
    struct reader reader;
    struct profile profile;
    struct names names = {0};
    if (!family_read(own, &reader, err))
        return false;
    bool done = profile_load(&profile, &reader, err);
    reader_close(&reader);
    struct symbolize *symbolize = done ? symbolize_new(&profile, &(struct symbolize_options){.debug_dir = debug_dir})
                                       : NULL;
    done = done && names_init(&names, &profile, symbolize ? symbolize_places : NULL, symbolize, err) &&
           summary_write(stderr, &names, others, err);
    names_free(&names);
    symbolize_free(symbolize);
    profile_free(&profile);
    return done;
}

/* ---- With -o ---- */

/* OUT for the command's own process, OUT.EXE.PID for others, and a number where one process recorded twice. */
static void name_output(const struct run_results *results, const struct family_file *file, char *to, size_t capacity)
{
    char program[64];
    snprintf(program, sizeof program, "%s", program_of(file));
    for (char *at = program; *at; at++)
        if ((unsigned char)*at <= ' ' || *at == 127 || *at == '/')
            *at = '_';
    int length = snprintf(to, capacity, "%s.%s.%u", results->output, program, file->summary.header.pid);
    for (int n = 1; n < 1000 && length > 0 && (size_t)length + 8 < capacity && access(to, F_OK) == 0; n++)
        snprintf(to + length, capacity - (size_t)length, ".%d", n);
}

/* Writes one file: of a buffer, or of what was merged. */
static bool convert(const struct run_results *results, const struct family_file *file, const struct merge *merge,
                    const char *path, struct err *err)
{
    struct output output;
    struct reader reader;
    struct progress progress;
    struct convert_options options = {
        .format = results->format, .view = results->view, .symbolize.debug_dir = results->debug_dir};
    bool done;
    if (!output_open(&output, path, err))
        return false;
    progress_begin(&progress, &options);
    if (merge) {
        done = convert_merged(output.stream, merge, &options, err);
    } else {
        options.notice = NULL; /* the summary told */
        done = family_read(file, &reader, err) && convert_write(output.stream, &reader, &options, err);
    }
    progress_end(&progress);
    return output_close(&output, done, err) && done;
}

static void tell_next(const struct run_results *results)
{
    char word[WORD_MAX];
    const char *output = shell_word(word, results->output);
    switch (results->format) {
    case CONVERT_PPROF:
        say("profile: %s   next: go tool pprof -http=localhost:8080 %s%s", results->output,
            results->merge ? "-tagroot=exe,pid " : "", output);
        break;
    case CONVERT_FOLDED: say("profile: %s   next: any flame graph that reads folded stacks", results->output); break;
    case CONVERT_SPEEDSCOPE: say("profile: %s   next: open it in speedscope", results->output); break;
    case CONVERT_HTML: say("profile: %s   next: open it in a browser", results->output); break;
    default: say("profile: %s   next: less %s", results->output, output); break;
    }
}

static bool write_profiles(const struct run_results *results, const struct family_file *own)
{
    const struct family *family = results->family;
    struct err err;
    bool done = true, written = false; /* all that was recorded; OUT itself */
    size_t shown = 0, others = 0;
    for (size_t i = 0; i < family->count; i++) {
        const struct family_file *file = &family->file[i];
        char path[4096];
        if (!file->usable || lives(file))
            continue;
        if (file == own)
            snprintf(path, sizeof path, "%s", results->output);
        else
            name_output(results, file, path, sizeof path);
        if (!convert(results, file, NULL, path, &err)) {
            tool_fail(&err);
            say("the buffer is kept: %s", file->path);
            done = false;
            continue;
        }
        unlink(file->path);
        written |= file == own;
        if (file == own)
            continue;
        others++;
        if (shown++ < LINES_MAX)
            say("process %u, %s: %s", file->summary.header.pid, program_of(file), path);
    }
    if (others > LINES_MAX)
        say("and %zu more processes: %s.PROGRAM.PID", others - LINES_MAX, results->output);
    if (own && done)
        tell_next(results);
    return done && written;
}

/* ---- With --merge ---- */

static bool add_to_merge(struct merge *merge, const struct family_file *file, bool own, bool *added)
{
    struct reader reader;
    struct err err;
    char why[PROFILE_PROBLEM_MAX];
    *added = false;
    if (!family_read(file, &reader, &err) || !convert_merge_add(merge, &reader, own, added, why, &err)) {
        tool_fail(&err);
        say("the buffer is kept: %s", file->path);
        return false;
    }
    if (!*added)
        say("process %u, %s, is left out: %s", file->summary.header.pid, program_of(file), why);
    return true;
}

/* The command's own process comes first: the profile is about it. */
static bool merge_all(const struct run_results *results, const struct family_file *own, struct merge *merge,
                      bool *merged)
{
    const struct family *family = results->family;
    bool done = true, added;
    size_t own_index = own ? (size_t)(own - family->file) : 0;
    for (size_t i = 0; i < family->count; i++) {
        size_t index = !own ? i : i == 0 ? own_index : i <= own_index ? i - 1 : i;
        const struct family_file *file = &family->file[index];
        if (!file->usable || lives(file))
            continue;
        merged[index] = add_to_merge(merge, file, file == own, &added);
        done = merged[index] && done;
    }
    return done;
}

static bool write_merge(const struct run_results *results, const struct merge *merge)
{
    uint32_t recordings = merge->profile.process_count, pids = merge->profile.pid_count;
    struct err err;
    if (!convert(results, NULL, merge, results->output, &err)) {
        tool_fail(&err);
        say("the buffers are kept: heaptap ls");
        return false;
    }
    if (recordings > pids)
        say("one profile of %u programs in %u %s", recordings, pids, pids == 1 ? "process" : "processes");
    else
        say("one profile of %u %s", pids, pids == 1 ? "process" : "processes");
    tell_next(results);
    return true;
}

static bool write_merged(const struct run_results *results, const struct family_file *own)
{
    const struct family *family = results->family;
    struct merge merge = {0};
    struct err err;
    bool *merged = calloc(family->count + 1, sizeof *merged); /* by file */
    if (!merged || !convert_merge_begin(&merge, results->format, &err)) {
        merge_free(&merge);
        free(merged);
        say("no memory to merge; the buffers are kept: heaptap ls");
        return false;
    }
    bool done = merge_all(results, own, &merge, merged);
    if (done && !merge.profile.process_count)
        say("no profile: no process has any data");
    if (merge.profile.process_count && write_merge(results, &merge))
        for (size_t i = 0; i < family->count; i++) {
            if (merged[i])
                unlink(family->file[i].path);
        }
    else
        done = false;
    merge_free(&merge);
    free(merged);
    return done;
}

/* ---- Without ---- */

static bool keep_buffers(const struct run_results *results, const struct family_file *own)
{
    struct family *family = results->family;
    struct err err;
    char word[WORD_MAX];
    bool done = true, copied;
    size_t others = 0; /* than the command's own process */
    for (size_t i = 0; i < family->count; i++) {
        struct family_file *file = &family->file[i];
        if (!file->usable)
            continue;
        if (!family_restore(file, &copied, &err)) {
            tool_fail(&err);
            done = false;
        } else if (copied) {
            say("%s was removed meanwhile; this is a copy", file->path);
        }
        others += file != own;
    }
    if (others)
        say("%zu other %s recorded, too: heaptap ls", others, others == 1 ? "process was" : "processes were");
    if (own)
        say("the buffer is kept   next: heaptap dump %s", shell_word(word, own->path));
    return done && (own || others);
}

/* ---- Both ---- */

static void tell_living(const struct family *family)
{
    size_t living = 0;
    for (size_t i = 0; i < family->count; i++) {
        bool counted = !lives(&family->file[i]);
        for (size_t before = 0; before < i && !counted; before++) /* what it was before an exec */
            counted = lives(&family->file[before]) &&
                      family->file[before].summary.header.pid == family->file[i].summary.header.pid;
        living += !counted;
    }
    if (living)
        say("%zu %s still; heaptap ls names the buffers, which stay", living,
            living == 1 ? "process runs" : "processes run");
    if (family->silent)
        say("%zu %s recorded nothing so far; heaptap ls names the buffers when there are any", family->silent,
            family->silent == 1 ? "process runs still and has" : "processes run still and have");
}

/* The shim makes no more files of one run. */
static void tell_limit(const struct family *family)
{
    const char *asked = getenv("HEAPTAP_FILES");
    uint64_t limit = 0;
    if (asked)
        text_read_decimal(asked, &limit);
    if (family->count >= FAMILY_FILES_MAX)
        say("no more than %d buffers are made, one for each program of a process; HEAPTAP_ONLY chooses programs",
            FAMILY_FILES_MAX);
    else if (family->count >= (limit ? limit : FAMILY_FILES_DEFAULT))
        say("no more than %zu buffers were made, one for each program of a process; HEAPTAP_FILES=%d allows more, "
            "HEAPTAP_ONLY chooses programs",
            family->count, FAMILY_FILES_MAX);
}

static void tell_unusable(const struct family *family)
{
    size_t told = 0, left = 0;
    for (size_t i = 0; i < family->count; i++) {
        if (family->file[i].usable)
            continue;
        if (told++ < LINES_MAX)
            say("%s", family->file[i].problem.text);
        else
            left++;
    }
    if (left)
        say("and %zu more such buffers", left);
}

bool run_results(const struct run_results *results)
{
    struct profile others;
    struct err err;
    family_settle(results->family);
    const struct family_file *own = family_of(results->family, results->pid);
    bool done = true;
    if (WIFSIGNALED(results->status) && WTERMSIG(results->status) == SIGINT && isatty(STDERR_FILENO))
        fputc('\n', stderr); /* behind the terminal's ^C */
    if (WIFSIGNALED(results->status))
        say("%s was ended by signal %d (%s)", results->command, WTERMSIG(results->status),
            strsignal(WTERMSIG(results->status)));
    sum_losses(results->family, own, &others);
    if (!own) {
        tell_nothing(results);
        summary_others(stderr, &others);
    } else if (!summarize(own, &others, results->debug_dir, &err)) {
        done = tool_fail(&err) == TOOL_DONE;
    }
    if (results->merge)
        done = write_merged(results, own) && done;
    else if (results->output)
        done = write_profiles(results, own) && done;
    else
        done = keep_buffers(results, own) && done;
    tell_unusable(results->family);
    tell_living(results->family);
    tell_limit(results->family);
    return done;
}
