#include "coverage.h"
#include "human.h"
#include "same_paths.h"
#include "write.h"

#include <common/text.h>
#include <string.h>
#include <time.h>

#define SITES_SHOWN 10
#define SECTIONS 3
#define PATH_LINES 4
#define PATH_INDENT 4

/* One list of sites. */
struct section {
    enum profile_view view;
    const char *title;
    struct top top;
    struct top_site site[SAME_PATHS_MAX];
};

struct report {
    struct sheet sheet;
    struct names *names;
    const struct profile *profile;
    struct section section[SECTIONS];
    uint32_t sections;
};

static const char *plural(uint64_t count, const char *one, const char *many)
{
    return count == 1 ? one : many;
}

/* ---- Sites ---- */

static void print_sites(const struct report *report, const struct section *section)
{
    const struct sheet *sheet = &report->sheet;
    const struct top *top = &section->top;
    const struct top_site *sites = section->site;
    char bytes[HUMAN_MAX], blocks[HUMAN_MAX], share[HUMAN_MAX], heading[160];
    uint32_t listed = 0;
    for (uint32_t i = 0; i < top->count; i++)
        listed += sites[i].sites;
    if (top->sites > listed)
        snprintf(heading, sizeof heading, "%s: the largest %u of %s sites", section->title, listed,
                 human_count(blocks, top->sites));
    else
        snprintf(heading, sizeof heading, "%s, by site", section->title);
    sheet_heading(sheet, heading);
    for (uint32_t i = 0; i < top->count; i++) {
        char several[32] = "";
        if (sites[i].sites > 1)
            snprintf(several, sizeof several, ", %u sites", sites[i].sites);
        fprintf(sheet->out, "%s%10s%s %8s  in %s %s%s\n", sheet_bold(sheet), human_bytes(bytes, sites[i].bytes),
                sheet_plain(sheet), human_share(share, sites[i].bytes, top->bytes),
                human_count(blocks, sites[i].blocks),
                section->view == PROFILE_MMAP ? plural(sites[i].blocks, "mapping", "mappings")
                                              : plural(sites[i].blocks, "block", "blocks"),
                several);
        fprintf(sheet->out, "%*s", PATH_INDENT, "");
        sheet_path(sheet, PATH_INDENT, PATH_LINES, report->names, sites[i].site);
    }
}

/* Finds the sites and their names, before anything is printed: it may take a while. */
static bool load_sections(struct report *report, enum profile_view view, struct err *err)
{
    struct top_site all[SECTIONS * SAME_PATHS_MAX];
    uint32_t listed = 0;
    const struct same_paths look = {&report->sheet, report->names, PATH_INDENT, PATH_LINES};
    bool done;
    if (view == PROFILE_INUSE || view == PROFILE_EXIT)
        report->section[report->sections++] = (struct section){
            .view = view, .title = report->profile->process == READER_ENDED ? "Left at the end" : "In use now"};
    if (view == PROFILE_MMAP || (view != PROFILE_ALLOC && coverage_mostly_mapped(report->profile)))
        report->section[report->sections++] = (struct section){.view = PROFILE_MMAP, .title = "Mapped"};
    if (view != PROFILE_MMAP)
        report->section[report->sections++] = (struct section){.view = PROFILE_ALLOC, .title = "Allocated in all"};
    for (uint32_t i = 0; i < report->sections; i++) {
        struct section *section = &report->section[i];
        section->top = top_sites(report->profile, section->view, section->site, SAME_PATHS_MAX);
        memcpy(&all[listed], section->site, section->top.count * sizeof *all);
        listed += section->top.count;
    }
    done = top_resolve(report->names, all, listed, err);
    for (uint32_t i = 0; done && i < report->sections; i++)
        done = same_paths_merge(&look, &report->section[i].top, report->section[i].site, SITES_SHOWN, err);
    return done;
}

/* ---- The rest ---- */

static void print_identity(const struct report *report)
{
    const struct sheet *sheet = &report->sheet;
    const struct ht_header *header = &report->profile->header;
    char text[1024], when[64] = "at an unknown time";
    time_t seconds = (time_t)(header->start_realtime_ns / 1000000000);
    struct tm utc;
    const char *state = report->profile->process == READER_RUNNING   ? "running"
                        : report->profile->process == READER_UNKNOWN ? "perhaps running"
                        : header->state == HT_STATE_EXITING          ? "exited"
                                                                     : "ended without exit()";
    if (header->start_realtime_ns && gmtime_r(&seconds, &utc))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", &utc);
    err_safe_text(text, sizeof text, header->command[0] ? header->command : header->exe);
    fputs(sheet_bold(sheet), sheet->out);
    sheet_cut(sheet, text, sheet->width);
    fprintf(sheet->out, "%s\n", sheet_plain(sheet));
    snprintf(text, sizeof text, "process %u, %s, begun %s", header->pid, state, when);
    sheet_wrapped(sheet, 0, text);
}

/* `behind` follows the size. Sizes are one column, which is wider where some have "at least" before them. */
static void print_size(const struct report *report, const char *what, bool least, uint64_t bytes, const char *behind)
{
    char size[HUMAN_MAX], whole[HUMAN_MAX + 16], before[32], text[128];
    snprintf(whole, sizeof whole, "%s%s", least ? "at least " : "", human_bytes(size, bytes));
    snprintf(before, sizeof before, "  %-16s ", what);
    snprintf(text, sizeof text, "%*s%s", coverage_unfollowed(report->profile) ? 19 : 10, whole, behind);
    sheet_hanging(&report->sheet, before, text);
}

static void print_figure(const struct report *report, const char *what, bool least, uint64_t bytes, uint64_t blocks,
                         const char *one, const char *many)
{
    char count[HUMAN_MAX], behind[80];
    snprintf(behind, sizeof behind, "  in %s %s", human_count(count, blocks), plural(blocks, one, many));
    print_size(report, what, least, bytes, behind);
}

static void print_figures(const struct report *report)
{
    const struct profile *profile = report->profile;
    const struct profile_totals *heap = &profile->total[HT_KIND_HEAP], *map = &profile->total[HT_KIND_MAP],
                                *reserve = &profile->total[HT_KIND_RESERVE];
    bool lost = coverage_lost(profile), unfollowed = coverage_unfollowed(profile);
    fputc('\n', report->sheet.out);
    print_size(report, "heap at its peak", unfollowed, coverage_peak(profile), "");
    print_figure(report, profile->process == READER_ENDED ? "left at the end" : "heap now", unfollowed,
                 heap->live_bytes, heap->live, "block", "blocks");
    print_figure(report, "allocated", lost, heap->alloc_bytes, heap->allocs, "block", "blocks");
    print_figure(report, "freed", unfollowed, heap->free_bytes, heap->frees, "block", "blocks");
    if (map->live)
        print_figure(report, "mapped", false, map->live_bytes, map->live, "mapping", "mappings");
    if (reserve->live)
        print_figure(report, "only reserved", false, reserve->live_bytes, reserve->live, "mapping", "mappings");
}

/* What of the allocations is in the figures above. */
static void say_recorded(const struct profile *profile, bool problem, char to[COVERAGE_MAX])
{
    uint64_t lost = coverage_lost(profile), full = profile->lost[HT_LOST_LIVE_FULL],
             bare = profile->lost[HT_LOST_SITE_FULL];
    char count[HUMAN_MAX];
    struct text text = {.at = to, .capacity = COVERAGE_MAX};
    if (lost) {
        snprintf(to, COVERAGE_MAX, "none sampled; %s %s not recorded", human_count(count, lost),
                 plural(lost, "allocation was", "allocations were"));
    } else if (!full && !bare) {
        snprintf(to, COVERAGE_MAX, "every allocation %swas recorded, none sampled", problem ? "that heaptap saw " : "");
    } else {
        text_append(&text, "every allocation was counted, none sampled");
        if (full) {
            text_append(&text, "; not followed: ");
            text_append(&text, human_count(count, full));
        }
        if (bare) {
            text_append(&text, "; without a stack: ");
            text_append(&text, human_count(count, bare));
        }
    }
}

/* Where names could come from, if functions without one allocated a tenth of what the last list is about. */
static void print_unnamed(const struct report *report)
{
    const struct section *section = &report->section[report->sections - 1];
    const struct profile *profile = report->profile;
    char text[COVERAGE_MAX], share[HUMAN_MAX];
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < section->top.count; i++) {
        uint32_t node = section->site[i].site->node, place = node ? profile->nodes[node].place : 0;
        if (node && profile->places[place].module < profile->module_count &&
            names_is_placeholder(report->names, report->names->places[place].first))
            bytes += section->site[i].bytes;
    }
    if (bytes <= section->top.bytes / 10)
        return;
    snprintf(text, sizeof text,
             "at least %s of the %s bytes are in functions without a name (MODULE+0xOFFSET): debug files give names, "
             "--debug-dir DIR",
             human_share(share, bytes, section->top.bytes), section->view == PROFILE_MMAP ? "mapped" : "allocated");
    sheet_wrapped(&report->sheet, 2, text);
}

static void print_coverage(const struct report *report)
{
    const struct sheet *sheet = &report->sheet;
    const struct profile *profile = report->profile;
    char text[COVERAGE_MAX], cut_text[HUMAN_MAX], all_text[HUMAN_MAX], share[HUMAN_MAX];
    uint64_t cut = coverage_cut(profile), all = 0;
    for (uint32_t kind = 1; kind < HT_KINDS; kind++)
        all += profile->total[kind].allocs;
    sheet_heading(sheet, "Coverage");
    bool problem = coverage_problem(profile, text);
    if (problem)
        sheet_wrapped(sheet, 2, text);
    char variable[COVERAGE_MAX];
    if (coverage_variable(&profile->header, variable))
        sheet_wrapped(sheet, 2, variable);
    if (profile->header.ctl_pause && profile->process != READER_ENDED) {
        snprintf(text, sizeof text, "recording is paused: heaptap resume %u", profile->header.pid);
        sheet_wrapped(sheet, 2, text);
    }
    if (profile->header.interval_bytes)
        snprintf(text, sizeof text, "sampled: one in some %u bytes; figures are estimates",
                 profile->header.interval_bytes);
    else if (all)
        say_recorded(profile, problem, text);
    else
        return; /* then the first line has said it all */
    sheet_wrapped(sheet, 2, text);
    snprintf(text, sizeof text, "stacks that are cut short: %s of %s (%s)", human_count(cut_text, cut),
             human_count(all_text, all), human_share(share, cut, all));
    sheet_wrapped(sheet, 2, text);
    print_unnamed(report);
    if (profile->events_during) {
        snprintf(text, sizeof text, "read while the process went on: figures may be apart by %s events",
                 human_count(all_text, profile->events_during));
        sheet_wrapped(sheet, 2, text);
    }
}

static void print_losses(const struct report *report)
{
    const struct sheet *sheet = &report->sheet;
    const struct profile *profile = report->profile;
    char text[320], count[HUMAN_MAX];
    uint64_t modules = profile->modules_lost;
    bool any = false;
    sheet_heading(sheet, "Losses");
    for (int cause = 0; cause < HT_LOSSES; cause++) {
        if (!profile->lost[cause])
            continue;
        any = true;
        snprintf(text, sizeof text, "%s %s", human_count(count, profile->lost[cause]), profile_loss_text[cause]);
        sheet_wrapped(sheet, 2, text);
    }
    if (modules) {
        snprintf(text, sizeof text, "%s loaded modules that found no row", human_count(count, modules));
        sheet_wrapped(sheet, 2, text);
    }
    if (profile->damaged) {
        snprintf(text, sizeof text, "%s references that lead nowhere: the file is damaged",
                 human_count(count, profile->damaged));
        sheet_wrapped(sheet, 2, text);
    }
    if (!any && !modules && !profile->damaged)
        sheet_wrapped(sheet, 2, "none");
}

bool write_text(FILE *out, struct names *names, enum profile_view view, struct err *err)
{
    struct report report = {.names = names, .profile = names->profile};
    sheet_open(&report.sheet, out);
    if (!load_sections(&report, view, err))
        return false;
    print_identity(&report);
    print_figures(&report);
    for (uint32_t i = 0; i < report.sections; i++)
        if (report.section[i].top.count)
            print_sites(&report, &report.section[i]);
    print_coverage(&report);
    print_losses(&report);
    return true;
}
