#include "run_results.h"

#include "run_losses.h"
#include "run_merge.h"
#include "run_profile.h"
#include "run_say.h"
#include "tool.h"

#include <report/output.h>
#include <report/summary.h>

#include <common/text.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Nothing there ---- */

/* As the shim does: by the file, and by what it was called by, which of a script's interpreter is its name in the script. */
static bool is_chosen(const struct run_results *results, const char *only, const char *program)
{
    return strchr(only, '/')
               ? text_match(only, program) || text_match(only, results->command)
               : text_match(only, text_basename(program)) || text_match(only, text_basename(results->program));
}

/* In less than this there may be no room for a buffer, however small its budget. */
#define FILE_LIMIT_LEAST (1u << 20)

static bool is_file_limit_small(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < FILE_LIMIT_LEAST;
}

static void tell_nothing(const struct run_results *results)
{
    const char *only = getenv("HEAPTAP_ONLY"), *children = getenv("HEAPTAP_CHILDREN");
    char *program = realpath(results->program, NULL);
    if (only && *only && program && !is_chosen(results, only, program))
        run_say("nothing was recorded of %s: HEAPTAP_ONLY=%s does not choose %s", results->command, only, program);
    else if (children && strcmp(children, "-") == 0)
        run_say("nothing was recorded of %s: it runs below a process recorded with HEAPTAP_CHILDREN=0",
                results->command);
    else if (is_file_limit_small())
        run_say("nothing was recorded of %s: the limit of file sizes leaves no room for a buffer: raise it (ulimit -f)",
                results->command);
    else
        run_say(
            "nothing was recorded of %s: no buffer appeared in %s; there was no room for one, or the program is not "
            "what "
            "it seems to be (HEAPTAP_LOG=1 tells)",
            results->command, results->family->directory);
    free(program);
}

/* ---- The summary ---- */

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

/* Length of OUT without the end that tells the format. */
static int stem_of(const struct run_results *results)
{
    return (int)(strlen(results->output) - strlen(convert_suffix(results->format)));
}

/* app.html for the command's own process, app.EXE.PID.html for others, and a number behind the PID where one process recorded twice. */
static void name_output(const struct run_results *results, const struct family_file *file, char *to, size_t capacity)
{
    char program[64];
    snprintf(program, sizeof program, "%s", run_program_of(file));
    for (char *at = program; *at; at++)
        if ((unsigned char)*at <= ' ' || *at == 127 || *at == '/')
            *at = '_';
    const char *suffix = convert_suffix(results->format);
    int length = snprintf(to, capacity, "%.*s.%s.%u", stem_of(results), results->output, program,
                          file->summary.header.pid);
    if (length < 0 || (size_t)length + 16 >= capacity)
        return;
    snprintf(to + length, capacity - (size_t)length, "%s", suffix);
    for (int n = 1; n < 1000 && access(to, F_OK) == 0; n++)
        snprintf(to + length, capacity - (size_t)length, ".%d%s", n, suffix);
}

static bool write_profiles(const struct run_results *results, const struct family_file *own)
{
    const struct family *family = results->family;
    struct err err;
    bool written = false; /* OUT itself */
    size_t shown = 0, others = 0, failures = 0;
    for (size_t i = 0; i < family->count; i++) {
        const struct family_file *file = &family->file[i];
        char path[4096];
        if (!file->usable || run_lives(file))
            continue;
        if (file == own)
            snprintf(path, sizeof path, "%s", results->output);
        else
            name_output(results, file, path, sizeof path);
        if (!run_profile_write(results, file, NULL, path, &err)) {
            if (failures++ < RUN_LINES_MAX) {
                tool_fail(&err);
                run_say("the buffer is kept: %s", file->path);
            }
            continue;
        }
        unlink(file->path);
        written |= file == own;
        if (file == own)
            continue;
        others++;
        if (shown++ < RUN_LINES_MAX)
            run_say("process %u, %s: %s", file->summary.header.pid, run_program_of(file), path);
    }
    if (others > RUN_LINES_MAX)
        run_say("and %zu more processes: %.*s.PROGRAM.PID%s", others - RUN_LINES_MAX, stem_of(results), results->output,
                convert_suffix(results->format));
    if (failures > RUN_LINES_MAX)
        run_say("and %zu more profiles could not be written; their buffers are kept: heaptap ls",
                failures - RUN_LINES_MAX);
    if (written)
        run_profile_tell_next(results, results->output);
    return !failures && written;
}

/* ---- Without ---- */

static bool keep_buffers(const struct run_results *results, const struct family_file *own)
{
    struct family *family = results->family;
    struct err err;
    char word[RUN_WORD_MAX];
    bool done = true, copied;
    size_t others = 0; /* than the command's own process, or what that was before an exec */
    for (size_t i = 0; i < family->count; i++) {
        struct family_file *file = &family->file[i];
        if (!file->usable)
            continue;
        if (!family_restore(file, &copied, &err)) {
            tool_fail(&err);
            done = false;
        } else if (copied) {
            run_say("%s was removed meanwhile; this is a copy", file->path);
        }
        others += file != own;
    }
    if (others)
        run_say("%zu other %s kept, too: heaptap ls", others, others == 1 ? "buffer is" : "buffers are");
    if (own)
        run_say("the buffer is kept   next: heaptap dump %s", run_shell_word(word, own->path));
    return done && (own || others);
}

/* ---- Both ---- */

/* Processes of which that is known; `pid`: one of them. */
static size_t count_processes(const struct family *family, enum reader_process state, uint32_t *pid)
{
    size_t count = 0;
    for (size_t i = 0; i < family->count; i++) {
        const struct family_file *file = &family->file[i];
        bool counted = !file->usable || file->summary.process != state;
        for (size_t before = 0; before < i && !counted; before++) /* what it was before an exec */
            counted = family->file[before].usable && family->file[before].summary.process == state &&
                      family->file[before].summary.header.pid == file->summary.header.pid;
        count += !counted;
        *pid = counted ? *pid : file->summary.header.pid;
    }
    return count;
}

static void tell_living(const struct family *family)
{
    uint32_t pid = 0;
    size_t unknown = count_processes(family, READER_UNKNOWN, &pid);
    size_t running = count_processes(family, READER_RUNNING, &pid);
    if (running == 1)
        run_say("1 process runs still, %s: heaptap dump %u; its buffer stays",
                run_program_of(family_of(family, (pid_t)pid)), pid);
    else if (running)
        run_say("%zu processes run still; heaptap ls names the buffers, which stay", running);
    if (unknown)
        run_say("%zu %s in another PID namespace may run still; heaptap ls names the buffers, which stay", unknown,
                unknown == 1 ? "process" : "processes");
    if (family->silent)
        run_say("%zu %s recorded nothing so far; heaptap ls names the buffers when there are any", family->silent,
                family->silent == 1 ? "process runs still and has" : "processes run still and have");
}

/* The shim makes no more files of one run at a time. */
static void tell_limit(const struct run_results *results)
{
    const char *asked = getenv("HEAPTAP_FILES"), *way = results->merge ? "" : ", --merge takes any number";
    size_t most = results->family->most;
    uint64_t limit = 0;
    if (asked)
        text_read_decimal(asked, &limit);
    if (most >= FAMILY_FILES_MAX)
        run_say("no more than %d buffers are made, one for each program of a process; HEAPTAP_ONLY chooses programs%s",
                FAMILY_FILES_MAX, way);
    else if (most >= (limit ? limit : FAMILY_FILES_DEFAULT))
        run_say("no more than %zu buffers were made, one for each program of a process; HEAPTAP_FILES=%d allows more, "
                "HEAPTAP_ONLY chooses programs%s",
                most, FAMILY_FILES_MAX, way);
}

static void tell_unusable(const struct family *family)
{
    size_t told = 0, left = 0;
    for (size_t i = 0; i < family->count; i++) {
        if (family->file[i].usable)
            continue;
        if (told++ < RUN_LINES_MAX)
            run_say("%s", family->file[i].problem.text);
        else
            left++;
    }
    if (left)
        run_say("and %zu more such buffers", left);
}

bool run_results(struct run_results *results)
{
    struct err err;
    family_settle(results->family);
    const struct family_file *own = family_of(results->family, results->pid);
    bool done = true;
    if (WIFSIGNALED(results->status) && WTERMSIG(results->status) == SIGINT && isatty(STDERR_FILENO))
        fputc('\n', stderr); /* behind the terminal's ^C */
    if (WIFSIGNALED(results->status))
        run_say("%s was ended by signal %d (%s)", results->command, WTERMSIG(results->status),
                strsignal(WTERMSIG(results->status)));
    for (size_t i = 0; i < results->family->count; i++) {
        const struct family_file *file = &results->family->file[i];
        if (file != own && file->usable && !run_lives(file))
            run_losses_add(&results->others, file);
    }
    if (!own) {
        tell_nothing(results);
        summary_others(stderr, &results->others);
    } else if (!summarize(own, &results->others, results->debug_dir, &err)) {
        done = tool_fail(&err) == TOOL_DONE;
    }
    if (results->merge)
        done = run_merge_end(results, own) && done;
    else if (results->output)
        done = write_profiles(results, own) && done;
    else
        done = keep_buffers(results, own) && done;
    tell_unusable(results->family);
    tell_living(results->family);
    tell_limit(results);
    if (results->family->crowded)
        run_say("not all buffers could be kept open, they stay: heaptap ls; ulimit -n allows more%s",
                results->merge ? "" : ", --merge takes any number");
    done = done && !results->family->crowded;
    return done;
}
