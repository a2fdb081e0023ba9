#include "html_data.h"

#include "coverage.h"
#include "json.h"
#include "process.h"

#include <stdlib.h>
#include <string.h>

#define ULL(value) ((unsigned long long)(value))
#define NO_NUMBER 0xffffffffu

/* What the page knows of a frame besides its name. */
enum kind { KIND_NAMED, KIND_UNNAMED, KIND_NO_CODE, KIND_PROCESS };

enum column { INUSE_BYTES, INUSE_OBJECTS, ALLOC_BYTES, ALLOC_OBJECTS, MMAP_BYTES, MMAP_OBJECTS, COLUMNS };

/* Numbers in the order of first use, for what is written only if it is used. */
struct numbering {
    uint32_t *number; /* by old number */
    uint32_t *old;    /* by number */
    uint32_t count;
};

struct tables {
    const struct names *names;
    const struct tree *tree;
    struct numbering frames, texts, modules;
    uint32_t *frame_module; /* by old frame: number + 1, or 0 */
    uint8_t *frame_kind;    /* by old frame */
    uint64_t *values;       /* [node * COLUMNS + column] */
};

static void put_member(FILE *out, const char *key, const char *text)
{
    fprintf(out, ",\"%s\":", key);
    json_foreign(out, text);
}

static const char *state_word(const struct profile *profile)
{
    if (profile->process == READER_RUNNING)
        return "running";
    if (profile->process == READER_UNKNOWN)
        return "unknown";
    return profile->header.state == HT_STATE_EXITING ? "exited" : "killed";
}

/* How many there are, and PID, name and problem of each that is told apart, where there are several. */
static void put_processes(FILE *out, const struct profile *profile)
{
    fprintf(out, ",\"process_count\":%u,\"processes\":[", profile->pid_count);
    for (uint32_t i = 0; i < profile->process_count; i++) {
        const struct profile_process *process = &profile->processes[i];
        char pid[16];
        profile_process_pid(process, pid);
        fprintf(out, "%s[\"%s\",", i ? "," : "", pid);
        json_text(out, process->name);
        putc(',', out);
        json_text(out, process->problem);
        putc(']', out);
    }
    putc(']', out);
}

static void put_program(FILE *out, const struct write_input *input)
{
    const struct profile *profile = input->profile;
    const struct ht_header *header = &profile->header;
    bool running = profile->process == READER_RUNNING;
    fprintf(out, "\"program\":{\"pid\":%u,\"state\":\"%s\",\"started\":%llu,\"until\":%llu,\"threads\":%u,\"rss\":%llu",
            header->pid, state_word(profile), ULL(header->start_realtime_ns / 1000000), ULL(input->time_ns / 1000000),
            header->threads_seen, running ? ULL(process_rss_anon(header->pid)) : 0);
    put_member(out, "exe", header->exe);
    put_member(out, "command", header->command);
    char problem[COVERAGE_MAX] = "";
    if (!profile->process_count) /* else it is that of each */
        coverage_problem(profile, problem);
    put_member(out, "problem", problem);
    putc('}', out);
}

static void put_totals(FILE *out, const struct profile *profile)
{
    fprintf(out, ",\"totals\":{\"peak\":%llu,\"lost\":%llu,\"unfollowed\":%llu", ULL(coverage_peak(profile)),
            ULL(coverage_lost(profile)), ULL(coverage_unfollowed(profile)));
    for (uint32_t kind = 1; kind < HT_KINDS; kind++) {
        const struct profile_totals *total = &profile->total[kind];
        fprintf(out, ",\"%s\":{\"allocs\":%llu,\"alloc_bytes\":%llu,\"live\":%llu,\"live_bytes\":%llu}",
                profile_kind_name(kind), ULL(total->allocs), ULL(total->alloc_bytes), ULL(total->live),
                ULL(total->live_bytes));
    }
    putc('}', out);
}

static void put_recording(FILE *out, const struct profile *profile)
{
    const struct ht_header *header = &profile->header;
    fprintf(
        out,
        ",\"recording\":{\"interval\":%u,\"paused\":%d,\"frozen\":%d,\"no_tables\":%d,\"events_during\":%llu,\"left_"
        "out\":%llu,\"damaged\":%llu,\"modules_lost\":%llu}",
        header->interval_bytes, header->ctl_pause != 0, (header->flags & HT_FLAG_FROZEN) != 0,
        (header->flags & HT_FLAG_NO_TABLES) != 0, ULL(profile->events_during), ULL(profile->left_out),
        ULL(profile->damaged), ULL(profile->modules_lost));
    fputs(",\"losses\":[", out);
    const char *comma = "";
    for (int cause = 0; cause < HT_LOSSES; cause++) {
        if (!profile->lost[cause])
            continue;
        fprintf(out, "%s[\"%s\",%llu,\"%s\"]", comma, profile_loss_key[cause], ULL(profile->lost[cause]),
                profile_loss_text[cause]);
        comma = ",";
    }
    putc(']', out);
}

static bool begin_numbering(struct numbering *numbering, size_t count)
{
    numbering->number = malloc((count + 1) * sizeof *numbering->number);
    numbering->old = malloc((count + 1) * sizeof *numbering->old);
    if (!numbering->number || !numbering->old)
        return false;
    memset(numbering->number, 0xff, (count + 1) * sizeof *numbering->number);
    return true;
}

static void end_numbering(struct numbering *numbering)
{
    free(numbering->number);
    free(numbering->old);
}

static uint32_t number_of(struct numbering *numbering, uint32_t old)
{
    if (numbering->number[old] == NO_NUMBER) {
        numbering->old[numbering->count] = old;
        numbering->number[old] = numbering->count++;
    }
    return numbering->number[old];
}

/* A frame belongs to one place, so that its module and kind are the place's. */
static void describe_frame(struct tables *tables, const struct tree_node *node)
{
    const struct names *names = tables->names;
    const struct names_frame *frame = &names->frames[node->frame];
    const struct names_function *function = &names->functions[frame->function];
    uint32_t module = node->place == TREE_NO_PLACE ? PROFILE_DAMAGED : names->profile->places[node->place].module;
    number_of(&tables->texts, function->name);
    number_of(&tables->texts, function->file);
    if (module < names->profile->module_count)
        tables->frame_module[node->frame] = number_of(&tables->modules, module) + 1;
    if (module == PROFILE_PROCESS)
        tables->frame_kind[node->frame] = KIND_PROCESS;
    else if (module == PROFILE_CUT || module == PROFILE_DAMAGED || module == PROFILE_NO_STACK)
        tables->frame_kind[node->frame] = KIND_NO_CODE;
    else
        tables->frame_kind[node->frame] = names_is_placeholder(names, node->frame) ? KIND_UNNAMED : KIND_NAMED;
}

static void sum_values(struct tables *tables)
{
    const struct profile *profile = tables->names->profile;
    for (uint32_t i = 0; i < profile->site_count; i++) {
        const struct profile_site *site = &profile->sites[i];
        uint64_t *values = tables->values + (size_t)tables->tree->site_node[i] * COLUMNS;
        if (site->kind == HT_KIND_HEAP) {
            values[INUSE_BYTES] += site->total.live_bytes;
            values[INUSE_OBJECTS] += site->total.live;
            values[ALLOC_BYTES] += site->total.alloc_bytes;
            values[ALLOC_OBJECTS] += site->total.allocs;
        } else if (site->kind == HT_KIND_MAP) {
            values[MMAP_BYTES] += site->total.live_bytes;
            values[MMAP_OBJECTS] += site->total.live;
        }
    }
}

static bool make_tables(struct tables *tables)
{
    const struct names *names = tables->names;
    const struct tree *tree = tables->tree;
    if (!begin_numbering(&tables->frames, names->frame_count) || !begin_numbering(&tables->texts, names->texts.count) ||
        !begin_numbering(&tables->modules, names->profile->module_count))
        return false;
    tables->frame_module = calloc((size_t)names->frame_count + 1, sizeof *tables->frame_module);
    tables->frame_kind = calloc((size_t)names->frame_count + 1, 1);
    tables->values = calloc((size_t)tree->count * COLUMNS, sizeof *tables->values);
    if (!tables->frame_module || !tables->frame_kind || !tables->values)
        return false;
    number_of(&tables->texts, 0); /* the empty text is number 0 here, too: an unknown file */
    for (uint32_t i = 1; i < tree->count; i++) {
        uint32_t before = tables->frames.count;
        if (number_of(&tables->frames, tree->nodes[i].frame) == before)
            describe_frame(tables, &tree->nodes[i]);
    }
    sum_values(tables);
    return true;
}

static void free_tables(struct tables *tables)
{
    end_numbering(&tables->frames);
    end_numbering(&tables->texts);
    end_numbering(&tables->modules);
    free(tables->frame_module);
    free(tables->frame_kind);
    free(tables->values);
}

static void put_texts(FILE *out, const struct tables *tables)
{
    fputs(",\"texts\":[", out);
    for (uint32_t i = 0; i < tables->texts.count; i++) {
        fputs(i ? ",\n" : "\n", out);
        json_text(out, tables->names->texts.text[tables->texts.old[i]]);
    }
    fputs("],\"modules\":[", out);
    for (uint32_t i = 0; i < tables->modules.count; i++) {
        const struct ht_module *module = &tables->names->profile->modules[tables->modules.old[i]];
        fputs(i ? ",\n[" : "\n[", out);
        json_foreign(out, module->path);
        fprintf(out, ",%d]", (module->flags & HT_MODULE_MAIN) != 0);
    }
    putc(']', out);
}

/* Five numbers a frame: text of the name, module + 1, text of the file, line, kind. */
static void put_frames(FILE *out, const struct tables *tables)
{
    const struct names *names = tables->names;
    fputs(",\"frames\":[", out);
    for (uint32_t i = 0; i < tables->frames.count; i++) {
        uint32_t old = tables->frames.old[i];
        const struct names_function *function = &names->functions[names->frames[old].function];
        fprintf(out, "%s\n%u,%u,%u,%u,%u", i ? "," : "", tables->texts.number[function->name],
                tables->frame_module[old], tables->texts.number[function->file], names->frames[old].line,
                tables->frame_kind[old]);
    }
    putc(']', out);
}

/* Two numbers a node but the root: how far before it its parent is, and its frame. */
static void put_nodes(FILE *out, const struct tables *tables)
{
    const struct tree *tree = tables->tree;
    fputs(",\"nodes\":[", out);
    for (uint32_t i = 1; i < tree->count; i++)
        fprintf(out, "%s%u,%u",
                i == 1   ? ""
                : i % 16 ? ","
                         : ",\n",
                i - tree->nodes[i].parent, tables->frames.number[tree->nodes[i].frame]);
    putc(']', out);
}

/* Seven numbers a node that a stack ends at: how far behind the one before it, then its columns. */
static void put_values(FILE *out, const struct tables *tables)
{
    uint32_t last = 0;
    fputs(",\"values\":[", out);
    for (uint32_t i = 1; i < tables->tree->count; i++) {
        const uint64_t *values = tables->values + (size_t)i * COLUMNS;
        bool any = false;
        for (int column = 0; column < COLUMNS; column++)
            any |= values[column] != 0;
        if (!any)
            continue;
        fprintf(out, "%s%u", last ? ",\n" : "\n", i - last);
        for (int column = 0; column < COLUMNS; column++)
            fprintf(out, ",%llu", ULL(values[column]));
        last = i;
    }
    putc(']', out);
}

bool html_data(FILE *out, const struct write_input *input, const struct tree *tree)
{
    struct tables tables = {.names = input->names, .tree = tree};
    bool done = make_tables(&tables);
    if (done) {
        fprintf(out, "{\"heaptap\":\"%s\",\"view\":\"%s\",", HEAPTAP_VERSION, profile_view_name[input->view]);
        put_program(out, input);
        put_processes(out, input->profile);
        put_totals(out, input->profile);
        put_recording(out, input->profile);
        put_texts(out, &tables);
        put_frames(out, &tables);
        put_nodes(out, &tables);
        put_values(out, &tables);
        fputs("}\n", out);
    }
    free_tables(&tables);
    return done;
}
