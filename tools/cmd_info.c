#include "tool.h"

#include <report/coverage.h>
#include <report/process.h>
#include <report/profile.h>
#include <report/verify.h>

#include <elf.h>
#include <time.h>

const char help_info[] = "usage: heaptap info [-v] [--verify] FILE|PID\n"
                         "\n"
                         "Tells what is in a buffer: identity, configuration, how full its tables are, totals, "
                         "coverage, and everything that\n"
                         "was lost, by cause.\n"
                         "\n"
                         "  -v, --verbose  also causes that lost nothing\n"
                         "      --verify   check every rule that the format states; exit status 1 if one is broken\n"
                         "  -h, --help     this text\n";

#define ULL(value) ((unsigned long long)(value))

static const char *machine_name(uint16_t machine)
{
    switch (machine) {
    case EM_X86_64: return "x86-64";
    case EM_386: return "x86";
    case EM_AARCH64: return "aarch64";
    case EM_ARM: return "arm";
    case EM_MIPS: return "mips";
    case EM_RISCV: return "riscv";
    default: return "unknown machine";
    }
}

static const char *process_words(const struct profile *profile)
{
    if (profile->process == READER_RUNNING)
        return "running";
    if (profile->process == READER_UNKNOWN)
        return "unknown whether it runs (another PID namespace or machine)";
    return profile->header.state == HT_STATE_EXITING ? "exited" : "ended without exit(): killed, _exit or exec";
}

static void print_field(const char *key, const char *text)
{
    printf("%s: ", key);
    tool_print_text(stdout, text);
    putchar('\n');
}

static void print_identity(const struct reader *reader, const struct profile *profile)
{
    const struct ht_header *header = &profile->header;
    bool little = (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) != reader->swapped;
    char when[64] = "unknown";
    time_t seconds = (time_t)(header->start_realtime_ns / 1000000000);
    struct tm utc;
    if (header->start_realtime_ns && gmtime_r(&seconds, &utc))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", &utc);
    print_field("file", reader->path);
    printf("file-bytes: %llu of %llu\n", ULL(reader->data_bytes), ULL(reader->file_bytes));
    printf("format: %u.%u %u-bit %s-endian %s\n", header->version_major, header->version_minor, header->word_bytes * 8,
           little ? "little" : "big", machine_name(header->e_machine));
    print_field("shim", header->shim_version);
    printf("pid: %u\nparent-pid: %u\nuid: %u\n", header->pid, header->parent_pid, header->uid);
    printf("process: %s\n", process_words(profile));
    print_field("program", header->exe);
    print_field("command", header->command);
    printf("started: %s\n", when);
    if (header->flags & HT_FLAG_FORKED) {
        printf("forked: epoch %u, after %llu events of the parent\n", header->fork_epoch, ULL(header->fork_events));
        print_field("parent-file", header->parent_file);
    }
}

static void print_configuration(const struct ht_header *header)
{
    if (header->interval_bytes)
        printf("recording: sampled, every %u bytes in the mean\n", header->interval_bytes);
    else
        printf("recording: exact\n");
    printf("paused: %s\n", header->ctl_pause ? "yes" : "no");
    printf("budget: %llu bytes\ndepth: %u frames\nslots: %u\nring-blocks: %u\n", ULL(header->budget_bytes),
           header->depth_max, header->slot_count, header->ring_blocks);
    if (header->only[0])
        print_field("only", header->only);
    if (header->problem[0])
        print_field("note", header->problem);
    if (header->flags & HT_FLAG_PREALLOC)
        printf("note: all of the file was allocated at start (kernel before 5.14)\n");
    if (header->flags & HT_FLAG_FROZEN)
        printf("note: frozen: a seccomp filter is in force, nothing new is learnt\n");
    if (header->flags & HT_FLAG_LIMITED)
        printf("note: a limit on the process's addresses keeps heaptap's tables small\n");
    if (header->flags & HT_FLAG_NO_TABLES)
        printf("note: built without a reader of unwind tables: stacks have one frame\n");
}

static void print_tables(const struct ht_header *header)
{
    static const char *const names[] = {
        [HT_MODULES] = "modules", [HT_PLACES] = "places", [HT_NODES] = "nodes", [HT_SITES] = "sites",
        [HT_SLOTS] = "slots",     [HT_CHUNKS] = "chunks", [HT_CELLS] = "cells", [HT_LINES] = "lines",
        [HT_MAPS] = "maps",       [HT_RING] = "ring"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct ht_section *section = &header->section[i];
        uint64_t capacity = section->record_bytes ? section->capacity_bytes / section->record_bytes : 0;
        printf("table %s: %u of %llu%s\n", names[i], section->used, ULL(capacity), section->full ? ", full" : "");
    }
}

static void print_totals(const struct profile *profile)
{
    for (uint32_t kind = 1; kind < HT_KINDS; kind++) {
        const struct profile_totals *total = &profile->total[kind];
        printf("%s in-use: %llu bytes in %llu blocks\n", profile_kind_name(kind), ULL(total->live_bytes),
               ULL(total->live));
        printf("%s allocated: %llu bytes in %llu blocks\n", profile_kind_name(kind), ULL(total->alloc_bytes),
               ULL(total->allocs));
        printf("%s freed: %llu bytes in %llu blocks\n", profile_kind_name(kind), ULL(total->free_bytes),
               ULL(total->frees));
    }
    printf("heap peak: %llu bytes\n", ULL(coverage_peak(profile)));
    printf("events: %llu\nthreads: %u\n", ULL(profile->events), profile->header.threads_seen);
}

static void print_coverage(const struct profile *profile)
{
    uint64_t cut = coverage_cut(profile), allocs = 0;
    char problem[COVERAGE_MAX];
    for (uint32_t kind = 1; kind < HT_KINDS; kind++)
        allocs += profile->total[kind].allocs;
    printf("stacks-cut: %llu of %llu (%.2f %%)\n", ULL(cut), ULL(allocs),
           allocs ? 100.0 * (double)cut / (double)allocs : 0.0);
    uint64_t rss = profile->process == READER_RUNNING ? process_rss_anon(profile->header.pid) : 0;
    if (rss)
        printf("coverage: %llu bytes of heap and %llu of mappings tracked, the process has %llu bytes of anonymous "
               "memory\n",
               ULL(profile->total[HT_KIND_HEAP].live_bytes), ULL(profile->total[HT_KIND_MAP].live_bytes), ULL(rss));
    if (profile->header.malloc_owner[0] && !(profile->header.flags & HT_FLAG_MALLOC_ELSEWHERE))
        print_field("allocator", profile->header.malloc_owner);
    if (coverage_problem(profile, problem))
        printf("coverage: %s\n", problem);
}

static void print_losses(const struct profile *profile, bool all)
{
    bool any = false;
    for (int cause = 0; cause < HT_LOSSES; cause++) {
        if (!profile->lost[cause] && !all)
            continue;
        printf("loss %s: %llu  %s\n", profile_loss_key[cause], ULL(profile->lost[cause]), profile_loss_text[cause]);
        any |= profile->lost[cause] != 0;
    }
    uint64_t modules = profile->modules_lost;
    if (modules || all)
        printf("loss modules: %llu  loaded modules that found no row\n", ULL(modules));
    if (!any && !modules)
        printf("losses: none\n");
    if (profile->events_during || profile->left_out)
        printf("reading: %llu events happened meanwhile, %llu records changed and were left out\n",
               ULL(profile->events_during), ULL(profile->left_out));
    if (profile->damaged)
        printf("damaged: %llu references that lead nowhere\n", ULL(profile->damaged));
}

static void tell_violation(void *arg, const char *line)
{
    (void)arg;
    printf("verify %s\n", line);
}

static int verify(const struct reader *reader)
{
    struct verify result;
    struct err err;
    if (!verify_run(reader, &result, tell_violation, NULL, &err))
        return tool_fail(&err);
    if (!result.total)
        printf("verify: ok\n");
    else
        printf("verify: %llu violations\n", ULL(result.total));
    return result.total ? TOOL_FAILED : TOOL_DONE;
}

static int print_all(const struct reader *reader, bool verbose, bool with_verify)
{
    struct profile profile;
    struct err err;
    if (!profile_load(&profile, reader, &err)) {
        profile_free(&profile);
        return tool_fail(&err);
    }
    print_identity(reader, &profile);
    print_configuration(&profile.header);
    print_tables(&profile.header);
    print_totals(&profile);
    print_coverage(&profile);
    print_losses(&profile, verbose);
    profile_free(&profile);
    int status = with_verify ? verify(reader) : TOOL_DONE;
    int written = tool_finish(stdout, "standard output");
    return written != TOOL_DONE ? written : status;
}

enum { OPTION_VERIFY = 256 }; /* getopt's number of an option without a letter */

int cmd_info(const struct tool_verb *verb, int argc, char **argv)
{
    static const struct option longs[] = {{"verbose", no_argument, NULL, 'v'},
                                          {"verify", no_argument, NULL, OPTION_VERIFY},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    bool verbose = false, with_verify = false;
    struct reader reader;
    struct err err;
    for (int found; (found = getopt_long(argc, argv, ":vh", longs, NULL)) != -1;) {
        switch (found) {
        case 'v': verbose = true; break;
        case OPTION_VERIFY: with_verify = true; break;
        case 'h': return tool_help(verb);
        default: return tool_bad_option(verb, longs, found, argv);
        }
    }
    if (optind + 1 != argc)
        return tool_usage(verb, "needs one file or PID");
    if (!tool_open(&reader, argv[optind], &err))
        return tool_fail(&err);
    int status = print_all(&reader, verbose, with_verify);
    reader_close(&reader);
    return status;
}
