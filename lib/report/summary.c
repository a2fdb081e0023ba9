#include "summary.h"

#include "coverage.h"
#include "human.h"
#include "same_paths.h"

#include <common/text.h>
#include <string.h>

#define SITES_SHOWN 3
#define PATH_LINES 3
#define PATH_INDENT 21 /* behind size and share, unless they are wider */
#define PREFIX "heaptap: "

static void print_figures(const struct sheet *sheet, const struct profile *profile)
{
    const struct profile_totals *heap = &profile->total[HT_KIND_HEAP], *map = &profile->total[HT_KIND_MAP];
    char program[256], peak[HUMAN_MAX], left[HUMAN_MAX], blocks[HUMAN_MAX], all[HUMAN_MAX], all_blocks[HUMAN_MAX],
        mapped[HUMAN_MAX], mappings[HUMAN_MAX], text[1024];
    const char *used = coverage_unfollowed(profile) ? "at least " : "", *made = coverage_lost(profile) ? used : "";
    err_safe_text(program, sizeof program, text_basename(profile->header.exe));
    int length = snprintf(text, sizeof text, "%s: heap at its peak %s%s; %s %s%s in %s %s; allocated %s%s in %s %s",
                          program, used, human_bytes(peak, coverage_peak(profile)),
                          profile->process == READER_ENDED ? "left at the end" : "now", used,
                          human_bytes(left, heap->live_bytes), human_count(blocks, heap->live),
                          heap->live == 1 ? "block" : "blocks", made, human_bytes(all, heap->alloc_bytes),
                          human_count(all_blocks, heap->allocs), heap->allocs == 1 ? "block" : "blocks");
    if (map->live)
        snprintf(text + length, sizeof text - (size_t)length, "; mapped %s in %s %s",
                 human_bytes(mapped, map->live_bytes), human_count(mappings, map->live),
                 map->live == 1 ? "mapping" : "mappings");
    sheet_hanging(sheet, PREFIX, text);
}

static void print_sites(const struct sheet *sheet, struct names *names, const struct top *top,
                        const struct top_site *sites, const char *of_what)
{
    char bytes[HUMAN_MAX], share[HUMAN_MAX];
    fprintf(sheet->out, PREFIX "largest sites of what %s:\n", of_what);
    for (uint32_t i = 0; i < top->count; i++) {
        int indent = fprintf(sheet->out, "%10s %8s  ", human_bytes(bytes, sites[i].bytes),
                             human_share(share, sites[i].bytes, top->bytes));
        sheet_path(sheet, (unsigned)MAX(indent, 0), PATH_LINES, names, sites[i].site);
    }
}

static void add_loss(struct text *text, const char **before, uint64_t count, const char *what)
{
    char number[HUMAN_MAX];
    if (!count)
        return;
    text_append(text, *before);
    text_append(text, human_count(number, count));
    text_char(text, ' ');
    text_append(text, what);
    *before = "; ";
}

/* What changes figures or stacks; what the ring has forgotten does not, nor what was never this process's. False: nothing did. */
static bool add_losses(struct text *text, const struct profile *profile)
{
    const char *first = "lost: ", *before = first;
    for (int cause = 0; cause < HT_LOSSES; cause++) {
        bool cut = cause >= HT_LOST_CUT_DEPTH && cause <= HT_LOST_CUT_FULL;
        if (!cut && cause != HT_LOST_OVERWRITTEN && cause != HT_LOST_RING_DROPPED && cause != HT_LOST_SHARED_SLOT &&
            cause != HT_LOST_INHERITED_FREE)
            add_loss(text, &before, profile->lost[cause], profile_loss_text[cause]);
    }
    add_loss(text, &before, coverage_cut(profile), coverage_cut(profile) == 1 ? "stack cut short" : "stacks cut short");
    add_loss(text, &before, profile->modules_lost,
             profile->modules_lost == 1 ? "module without a row" : "modules without a row");
    add_loss(text, &before, profile->damaged,
             profile->damaged == 1 ? "reference that leads nowhere" : "references that lead nowhere");
    return before != first;
}

static bool has_losses(const struct profile *profile)
{
    char nothing[1];
    return add_losses(&TEXT(nothing), profile);
}

static void print_losses(const struct sheet *sheet, const struct profile *profile, bool of_several)
{
    char line[2048], program[256];
    struct text text = TEXT(line);
    line[0] = 0;
    if (of_several) {
        err_safe_text(program, sizeof program, text_basename(profile->header.exe));
        text_append(&text, "of ");
        text_append(&text, program);
        text_append(&text, ": ");
    }
    if (!add_losses(&text, profile))
        text_append(&text, "nothing was lost");
    sheet_hanging(sheet, PREFIX, line);
}

void summary_others(FILE *out, const struct profile *others)
{
    struct sheet sheet;
    char line[2048], full[COVERAGE_MAX];
    struct text text = TEXT(line);
    text_append(&text, "of ");
    text_decimal(&text, others->process_count);
    text_append(&text, others->process_count == 1 ? " other: " : " others: ");
    if (!add_losses(&text, others))
        return;
    if (coverage_full(others, full)) {
        text_append(&text, "; ");
        text_append(&text, full);
    }
    sheet_open(&sheet, out);
    sheet_hanging(&sheet, PREFIX, line);
}

bool summary_write(FILE *out, struct names *names, const struct profile *others, struct err *err)
{
    struct sheet sheet;
    const struct same_paths look = {&sheet, names, PATH_INDENT, PATH_LINES};
    struct top_site sites[2 * SAME_PATHS_MAX], *mapped;
    const struct profile *profile = names->profile;
    char problem[COVERAGE_MAX];
    bool left = profile->total[HT_KIND_HEAP].live_bytes != 0;
    struct top top = top_sites(profile, left ? PROFILE_INUSE : PROFILE_ALLOC, sites, SAME_PATHS_MAX), maps = {0};
    mapped = sites + top.count;
    if (coverage_mostly_mapped(profile))
        maps = top_sites(profile, PROFILE_MMAP, mapped, SAME_PATHS_MAX);
    sheet_open(&sheet, out);
    if (!top_resolve(names, sites, top.count + maps.count, err) ||
        !same_paths_merge(&look, &top, sites, SITES_SHOWN, err) ||
        !same_paths_merge(&look, &maps, mapped, SITES_SHOWN, err))
        return false;
    if (coverage_problem(profile, problem))
        sheet_hanging(&sheet, PREFIX, problem);
    if (profile->total[HT_KIND_HEAP].allocs)
        print_figures(&sheet, profile);
    if (top.count)
        print_sites(&sheet, names, &top, sites, left ? "is left" : "was allocated");
    if (maps.count)
        print_sites(&sheet, names, &maps, mapped, "is mapped");
    print_losses(&sheet, profile, has_losses(others));
    summary_others(out, others);
    return true;
}
