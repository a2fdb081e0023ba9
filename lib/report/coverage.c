#include "coverage.h"
#include "human.h"
#include "process.h"

#include <stdio.h>
#include <string.h>

/* Memory of a process that malloc need not explain: stacks, thread-local storage, data of libraries, free blocks that the allocator keeps. */
#define UNEXPLAINED_MIN (32u << 20)

uint64_t coverage_lost(const struct profile *profile)
{
    return profile->lost[HT_LOST_REENTRANT_ALLOC] + profile->lost[HT_LOST_PAUSED] + profile->lost[HT_LOST_CELL_FULL] +
           profile->lost[HT_LOST_NO_THREAD];
}

uint64_t coverage_unfollowed(const struct profile *profile)
{
    return coverage_lost(profile) + profile->lost[HT_LOST_LIVE_FULL];
}

uint64_t coverage_cut(const struct profile *profile)
{
    uint64_t cut = 0;
    for (int cause = HT_LOST_CUT_DEPTH; cause <= HT_LOST_CUT_FULL; cause++)
        cut += profile->lost[cause];
    return cut;
}

#define BUDGET_LEAST (512u << 10) /* that can be asked for: less is what there was room for */

/* What helps where there was no room. */
#define ADVICE_MAX 200
static const char *advice(const struct ht_header *header, char to[ADVICE_MAX])
{
    char budget[HUMAN_MAX];
    if (header->flags & HT_FLAG_LIMITED)
        return "the process has a limit on its addresses (ulimit -v, -d), of which heaptap takes a small part; set it "
               "higher";
    human_bytes(budget, header->budget_bytes);
    if (header->budget_bytes < BUDGET_LEAST)
        snprintf(to, ADVICE_MAX,
                 "there was room for a budget of %s only; free some where the file lies, raise ulimit -f, or name "
                 "another directory in HEAPTAP_DIR",
                 budget);
    else
        snprintf(to, ADVICE_MAX, "set HEAPTAP_BUDGET higher (now %s)", budget);
    return to;
}

/* Without any allocation of the heap. Mappings may be in the record. */
static const char *nothing(const struct profile *profile)
{
    bool maps = profile->total[HT_KIND_MAP].allocs || profile->total[HT_KIND_RESERVE].allocs;
    return maps ? "no heap was recorded: " : "nothing was recorded: ";
}

/* Why no allocation is in the record. */
static void why_nothing(const struct profile *profile, char to[COVERAGE_MAX])
{
    const struct ht_header *header = &profile->header;
    char count[HUMAN_MAX], help[ADVICE_MAX];
    int at = snprintf(to, COVERAGE_MAX, "%s", nothing(profile));
    char *rest = to + at;
    size_t room = COVERAGE_MAX - (size_t)at;
    uint64_t lost = profile->lost[HT_LOST_NO_THREAD] + profile->lost[HT_LOST_CELL_FULL];
    if (profile->lost[HT_LOST_PAUSED])
        snprintf(rest, room, "recording was paused during all %s allocations (HEAPTAP_START=off)",
                 human_count(count, profile->lost[HT_LOST_PAUSED]));
    else if (header->ctl_pause)
        snprintf(rest, room, "recording is paused (HEAPTAP_START=off)");
    else if (lost)
        snprintf(rest, room, "no room for %s events: %s", human_count(count, lost), advice(header, help));
    else if (profile->lost[HT_LOST_UNKNOWN_FREE])
        snprintf(rest, room, "the program frees what it did not allocate through malloc: its allocator is its own");
    else
        snprintf(rest, room,
                 "the program never called a malloc that can be preloaded: it brings its own, or allocated nothing");
}

bool coverage_full(const struct profile *profile, char to[COVERAGE_MAX])
{
    static const enum ht_loss causes[] = {HT_LOST_LIVE_FULL, HT_LOST_SITE_FULL, HT_LOST_CELL_FULL, HT_LOST_CUT_FULL};
    uint64_t lost = profile->modules_lost;
    char help[ADVICE_MAX];
    for (size_t i = 0; i < ARRAY_LEN(causes); i++)
        lost += profile->lost[causes[i]];
    if (!lost || profile->header.flags & HT_FLAG_FROZEN) /* frozen, tables do not grow, however large they may be */
        return false;
    snprintf(to, COVERAGE_MAX, "tables were full, and not all is in the record: %s", advice(&profile->header, help));
    return true;
}

bool coverage_problem(const struct profile *profile, char to[COVERAGE_MAX])
{
    char owner[512], tracked[HUMAN_MAX], resident[HUMAN_MAX];
    uint64_t heap = profile->total[HT_KIND_HEAP].allocs;
    if (profile->header.flags & HT_FLAG_MALLOC_ELSEWHERE) {
        err_safe_text(owner, sizeof owner, profile->header.malloc_owner);
        snprintf(to, COVERAGE_MAX,
                 "%smalloc resolves to %s, not to heaptap: what the program allocates there is not seen",
                 heap ? "" : nothing(profile), owner);
        return true;
    }
    if (!heap) {
        why_nothing(profile, to);
        return true;
    }
    if (coverage_full(profile, to))
        return true;
    uint64_t anonymous = profile->process == READER_RUNNING ? process_rss_anon(profile->header.pid) : 0;
    uint64_t live = profile->total[HT_KIND_HEAP].live_bytes + profile->total[HT_KIND_MAP].live_bytes;
    if (anonymous > UNEXPLAINED_MIN && anonymous / 2 > live) {
        snprintf(to, COVERAGE_MAX,
                 "much is not in the record: %s of heap and mappings, but the process has %s of anonymous memory",
                 human_bytes(tracked, live), human_bytes(resident, anonymous));
        return true;
    }
    return false;
}

bool coverage_variable(const struct ht_header *header, char to[COVERAGE_MAX])
{
    err_safe_text(to, COVERAGE_MAX, header->problem);
    return *to;
}

void coverage_absent(uint32_t pid, char to[COVERAGE_MAX])
{
    bool maps, environment;
    to[0] = 0;
    if (process_mentions(pid, "maps", "libheaptap.so", &maps)) {
        const char *why = "no file could be made; start it with HEAPTAP_LOG=1 to see why";
        if (process_mentions(pid, "environ", "HEAPTAP_ONLY=", &environment))
            why = "HEAPTAP_ONLY does not choose it, or no file could be made (HEAPTAP_LOG=1 tells)";
        else if (process_mentions(pid, "environ", "HEAPTAP_CHILDREN=", &environment))
            why = "HEAPTAP_CHILDREN leaves it out, or no file could be made (HEAPTAP_LOG=1 tells)";
        snprintf(to, COVERAGE_MAX, "libheaptap.so is loaded there but does not record: %s", why);
    } else if (maps && process_mentions(pid, "environ", "libheaptap.so", &environment)) {
        snprintf(to, COVERAGE_MAX,
                 "LD_PRELOAD names libheaptap.so but it is not loaded: the program is static, setuid or has file "
                 "capabilities, or is of another architecture");
    } else if (maps && environment) {
        snprintf(to, COVERAGE_MAX, "it was not started with libheaptap.so: heaptap run CMD does that");
    }
}
