#include "pprof_comments.h"

#include "coverage.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

struct comments {
    bool (*add)(void *arg, const char *text);
    void *arg;
    bool failed;
};

static void comment(struct comments *comments, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void comment(struct comments *comments, const char *format, ...)
{
    char text[1024], safe[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    err_safe_text(safe, sizeof safe, text);
    comments->failed = comments->failed || !comments->add(comments->arg, safe);
}

static void add_process(struct comments *comments, const struct ht_header *header, enum reader_process process)
{
    static const char *const states[] = {"has ended", "runs", "runs or has ended"};
    char start[32] = "?";
    time_t seconds = (time_t)(header->start_realtime_ns / 1000000000u);
    struct tm calendar;
    if (gmtime_r(&seconds, &calendar))
        strftime(start, sizeof start, "%Y-%m-%dT%H:%M:%SZ", &calendar);
    comment(comments, "# process %u (%s), recorded since %s, program %s", header->pid, states[process], start,
            header->exe);
}

static void add_merged(struct comments *comments, const struct profile *profile)
{
    char pid[16];
    comment(comments, "the sum over %u programs in %u processes, told apart by the labels exe and pid",
            profile->program_count, profile->pid_count);
    for (uint32_t i = 0; i < profile->process_count; i++) {
        const struct profile_process *process = &profile->processes[i];
        profile_process_pid(process, pid);
        if (process->pid)
            add_process(comments, &process->header, profile->process);
        else
            comment(comments, "%u times %s is told apart by its name only: pid is \"%s\"", process->count,
                    process->name, pid);
        if (process->problem[0])
            comment(comments, "process %s, %s: %s", pid, process->name, process->problem);
    }
}

static void add_identity(struct comments *comments, const struct write_input *input)
{
    static const char *const views[PROFILE_VIEWS] = {"heap that lives", "heap ever allocated",
                                                     "heap that lived when the process ended", "mappings that live"};
    const struct profile *profile = input->profile;
    const struct ht_header *header = &profile->header;
    comment(comments, "heaptap %s, view %s: %s", HEAPTAP_VERSION, profile_view_name[input->view], views[input->view]);
    comment(comments, "# recorded by libheaptap.so %s, format %u.%u", header->shim_version, header->version_major,
            header->version_minor);
    if (profile->process_count)
        add_merged(comments, profile);
    else
        add_process(comments, header, profile->process);
}

static void add_configuration(struct comments *comments, const struct ht_header *header)
{
    if (header->interval_bytes)
        comment(comments, "sampled: one allocation in %u bytes on average; figures are estimates",
                header->interval_bytes);
    comment(comments, "# configuration: %s, at most %u frames, budget %llu bytes, %u slots, %u ring blocks",
            header->interval_bytes ? "sampled" : "exact", header->depth_max, (unsigned long long)header->budget_bytes,
            header->slot_count, header->ring_blocks);
    if (header->problem[0])
        comment(comments, "%s", header->problem);
    if (header->ctl_pause)
        comment(comments, "recording is paused");
}

/* These take nothing from the totals. */
static bool harmless(int cause)
{
    return cause == HT_LOST_OVERWRITTEN || cause == HT_LOST_RING_DROPPED || cause == HT_LOST_SHARED_SLOT;
}

static void add_losses(struct comments *comments, const struct write_input *input)
{
    const struct profile *profile = input->profile;
    char full[COVERAGE_MAX];
    if (!profile->process_count && coverage_full(profile, full)) /* else each process has said so */
        comment(comments, "%s", full);
    for (int cause = 0; cause < HT_LOSSES; cause++)
        if (profile->lost[cause])
            comment(comments, "%slost %s %llu: %s", harmless(cause) ? "# " : "", profile_loss_key[cause],
                    (unsigned long long)profile->lost[cause], profile_loss_text[cause]);
    uint64_t modules = profile->modules_lost;
    if (modules)
        comment(comments, "lost modules %llu: loaded modules without a row; their code has no names",
                (unsigned long long)modules);
    if (profile->damaged)
        comment(comments, "damaged %llu: references in the buffer that cannot be right",
                (unsigned long long)profile->damaged);
    if (profile->events_during)
        comment(comments, "# %llu events happened while the buffer was read; figures may be apart by as many",
                (unsigned long long)profile->events_during);
    if (profile->left_out)
        comment(comments, "# %llu records changed while they were read, and are left out",
                (unsigned long long)profile->left_out);
    if (profile->header.flags & HT_FLAG_MALLOC_ELSEWHERE)
        comment(comments, "malloc resolves to %s, not to heaptap: what it serves is not seen",
                profile->header.malloc_owner);
}

static void add_threads(struct comments *comments, const struct profile *profile)
{
    unsigned adopted = 0;
    for (uint32_t i = 0; i < profile->slot_count; i++)
        adopted += profile->slots[i].adoptions != 0;
    comment(comments,
            "# label thread: who allocated; what lives is \"[several]\" where threads of different names did");
    if (adopted)
        comment(comments,
                "# label thread: %u slots served several threads one after another; they have the last one's name",
                adopted);
}

bool pprof_comments(const struct write_input *input, bool (*add)(void *arg, const char *text), void *arg)
{
    struct comments comments = {add, arg, false};
    add_identity(&comments, input);
    add_configuration(&comments, &input->profile->header);
    add_losses(&comments, input);
    if (input->threads)
        add_threads(&comments, input->profile);
    for (uint32_t i = 1; i < input->names->notes.count; i++)
        comments.failed = comments.failed || !add(arg, input->names->notes.text[i]);
    return !comments.failed;
}
