#include "run_merge.h"

#include "run_losses.h"
#include "run_profile.h"
#include "run_say.h"
#include "tool.h"

#include <common/text.h>
#include <stdlib.h>
#include <unistd.h>

#define LOOK_AT 32 /* buffers, before those of processes that have ended are added during the run */

/* That the shim makes at most at one time. */
static size_t files_allowed(void)
{
    const char *asked = getenv("HEAPTAP_FILES");
    uint64_t limit = 0;
    if (asked)
        text_read_decimal(asked, &limit);
    return limit ? limit : FAMILY_FILES_DEFAULT;
}

bool run_merge_begin(struct run_results *results, struct err *err)
{
    char most[16];
    snprintf(most, sizeof most, "%d", FAMILY_FILES_MAX);
    if (setenv("HEAPTAP_FILES", most, 0) != 0)
        return err_set(err, "no memory for the environment");
    results->merging.look_at = MAX(MIN(LOOK_AT, files_allowed() / 2), 1);
    return convert_merge_begin(&results->merging.merge, results->format, err);
}

static void note_left_out(struct run_merge *merging, const struct family_file *file, const char *why)
{
    if (merging->left_out++ < RUN_LINES_MAX)
        err_set(&merging->told[merging->left_out - 1], "process %u, %s, is left out: %s", file->summary.header.pid,
                run_program_of(file), why);
}

/* False: it is kept, told. */
static bool add(struct run_results *results, struct family_file *file, bool own)
{
    struct reader reader;
    struct err err;
    char why[PROFILE_PROBLEM_MAX];
    bool added = false;
    if (!family_read(file, &reader, &err) ||
        !convert_merge_add(&results->merging.merge, &reader, own, &added, why, &err)) {
        tool_fail(&err);
        run_say("the buffer is kept: %s", file->path);
        file->refused = true;
        return false;
    }
    if (!added)
        note_left_out(&results->merging, file, why);
    return true;
}

static bool is_complete(const struct family_file *file)
{
    return file->usable && !file->refused && !run_lives(file);
}

void run_merge_look(struct run_results *results)
{
    struct family *family = results->family;
    struct run_merge *merging = &results->merging;
    if (family->count < merging->look_at)
        return;
    family_read_headers(family);
    for (size_t i = 0; i < family->count;) {
        struct family_file *file = &family->file[i];
        if (!is_complete(file) || file->summary.header.pid == (uint32_t)results->pid || !add(results, file, false)) {
            i++;
            continue;
        }
        run_losses_add(&results->others, file);
        unlink(file->path);
        family_forget(family, file);
        merging->removed++;
    }
    /* Where many go on living, the next look is not at once; but there is always room for those that begin meanwhile. */
    size_t room = files_allowed() - MIN(files_allowed(), family->count);
    merging->look_at = MIN(family->count + MAX(MIN(MAX(LOOK_AT, family->count / 4), room / 4), 1),
                           MAX(files_allowed(), 1)); /* where there is none, those that are there may end */
}

/* The command's own process comes first, where it can: the profile is about it. */
static bool add_all(struct run_results *results, const struct family_file *own, bool *merged)
{
    const struct family *family = results->family;
    bool done = true;
    size_t own_index = own ? (size_t)(own - family->file) : 0;
    for (size_t i = 0; i < family->count; i++) {
        size_t index = !own ? i : i == 0 ? own_index : i <= own_index ? i - 1 : i;
        struct family_file *file = &family->file[index];
        merged[index] = is_complete(file) && add(results, file, file == own);
        done = done && !file->refused;
    }
    return done;
}

static void tell_count(const struct merge *merge)
{
    const struct profile *profile = &merge->profile;
    uint32_t programs = profile->program_count, pids = profile->pid_count, apart = 0;
    char among[64] = "";
    for (uint32_t i = 0; i < profile->process_count; i++)
        apart += profile->processes[i].pid != 0;
    if (programs > pids)
        snprintf(among, sizeof among, "%u programs in ", programs);
    run_say("one profile of %s%u %s", among, pids, pids == 1 ? "process" : "processes");
    if (apart < programs)
        run_say("%u of these are told apart by PID; the %u that followed by program only, as \"others\"", apart,
                programs - apart);
}

/* In a new directory that nobody else may read: it may lie where everybody has his. */
static bool write_beside_buffers(const struct run_results *results, char *path, size_t bytes, struct err *err)
{
    int length = snprintf(path, bytes, "%s/merged%s.XXXXXX", results->family->directory, results->family->mark);
    if (!mkdtemp(path))
        return err_system(err, "make", path);
    snprintf(path + length, bytes - (size_t)length, "/%s", text_basename(results->output));
    if (run_profile_write(results, NULL, &results->merging.merge, path, err))
        return true;
    path[length] = 0;
    rmdir(path);
    return false;
}

/* What was removed meanwhile is nowhere else: if OUT has no room any more, it goes where the buffers were. */
static bool write_elsewhere(const struct run_results *results)
{
    char path[4096];
    struct err err;
    if (write_beside_buffers(results, path, sizeof path, &err)) {
        run_profile_tell_next(results, path);
        return true;
    }
    tool_fail(&err);
    run_say("what %zu processes had recorded is lost", results->merging.removed);
    return false;
}

static bool write_out(const struct run_results *results)
{
    struct err err;
    if (run_profile_write(results, NULL, &results->merging.merge, results->output, &err)) {
        tell_count(&results->merging.merge);
        run_profile_tell_next(results, results->output);
        return true;
    }
    tool_fail(&err);
    if (!results->merging.removed || !write_elsewhere(results))
        run_say("the buffers are kept: heaptap ls");
    return false;
}

static void tell_left_out(const struct run_merge *merging)
{
    for (size_t i = 0; i < MIN(merging->left_out, RUN_LINES_MAX); i++)
        run_say("%s", merging->told[i].text);
    if (merging->left_out > RUN_LINES_MAX)
        run_say("and %zu more processes that recorded nothing are left out", merging->left_out - RUN_LINES_MAX);
}

bool run_merge_end(struct run_results *results, const struct family_file *own)
{
    struct run_merge *merging = &results->merging;
    const struct family *family = results->family;
    bool *merged = calloc(family->count + 1, sizeof *merged); /* by file */
    bool done = merged && add_all(results, own, merged);
    uint32_t count = merging->merge.profile.process_count;
    if (!merged)
        run_say("no memory to merge; the buffers are kept: heaptap ls");
    tell_left_out(merging);
    if (done && !count)
        run_say("no profile: no process has any data");
    bool written = merged && count && write_out(results);
    for (size_t i = 0; i < family->count && written; i++)
        if (merged[i])
            unlink(family->file[i].path);
    merge_free(&merging->merge);
    free(merged);
    return done && written;
}
