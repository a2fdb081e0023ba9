#include "json.h"
#include "top.h"
#include "write.h"

#include <common/text.h>
#include <stdlib.h>
#include <string.h>

/* Readers know the format by this name, which is no address that anything is fetched from. */
#define SCHEMA                                                                                                         \
    "https:"                                                                                                           \
    "//www.speedscope.app/file-format-schema.json"

struct speedscope {
    FILE *out;
    struct names *names;
    const struct profile *profile;
    struct top_site *sites; /* of the view */
    uint32_t site_count;
    uint32_t *number; /* by function of names: number + 1; 0: in no stack */
    uint32_t numbers;
    uint32_t *stack; /* numbers, innermost first */
    size_t stack_capacity;
};

static bool list_sites(struct speedscope *speedscope, enum profile_view view, struct err *err)
{
    const struct profile *profile = speedscope->profile;
    uint32_t kind = view == PROFILE_MMAP ? HT_KIND_MAP : HT_KIND_HEAP;
    speedscope->sites = calloc((size_t)profile->site_count + 1, sizeof *speedscope->sites);
    for (uint32_t i = 0; speedscope->sites && i < profile->site_count; i++)
        if (profile->sites[i].kind == kind)
            speedscope->sites[speedscope->site_count++].site = &profile->sites[i];
    if (!speedscope->sites || !top_resolve(speedscope->names, speedscope->sites, speedscope->site_count, err))
        return false;
    speedscope->number = calloc((size_t)speedscope->names->function_count + 1, sizeof *speedscope->number);
    return speedscope->number;
}

static void put_frame(const struct speedscope *speedscope, uint32_t index)
{
    const struct names *names = speedscope->names;
    const struct names_function *function = &names->functions[index];
    fputs(speedscope->numbers > 1 ? ",\n{\"name\":" : "\n{\"name\":", speedscope->out);
    json_text(speedscope->out, names->texts.text[function->name]);
    if (function->file) {
        fputs(",\"file\":", speedscope->out);
        json_text(speedscope->out, names->texts.text[function->file]);
    }
    if (function->start_line)
        fprintf(speedscope->out, ",\"line\":%u", function->start_line);
    putc('}', speedscope->out);
}

/* Each function once, in the order of its first use: a function's lines would stand side by side as if they were others. */
static void put_frames(struct speedscope *speedscope)
{
    uint32_t frame;
    fputs("\"shared\":{\"frames\":[", speedscope->out);
    for (uint32_t i = 0; i < speedscope->site_count; i++) {
        struct top_walk walk = top_walk(speedscope->sites[i].site);
        while (top_next(&walk, speedscope->names, &frame)) {
            uint32_t function = speedscope->names->frames[frame].function;
            if (speedscope->number[function])
                continue;
            speedscope->number[function] = ++speedscope->numbers;
            put_frame(speedscope, function);
        }
    }
    fputs("]},\n", speedscope->out);
}

/* The stack of a site, outermost first. False: no memory. */
static bool put_stack(struct speedscope *speedscope, const struct profile_site *site)
{
    struct top_walk walk = top_walk(site);
    size_t depth = 0;
    uint32_t frame;
    while (top_next(&walk, speedscope->names, &frame)) {
        if (depth == speedscope->stack_capacity) {
            size_t capacity = depth ? 2 * depth : 256;
            uint32_t *stack = reallocarray(speedscope->stack, capacity, sizeof *stack);
            if (!stack)
                return false;
            speedscope->stack = stack;
            speedscope->stack_capacity = capacity;
        }
        speedscope->stack[depth++] = speedscope->number[speedscope->names->frames[frame].function] - 1;
    }
    for (const char *before = "["; depth--; before = ",")
        fprintf(speedscope->out, "%s%u", before, speedscope->stack[depth]);
    putc(']', speedscope->out);
    return true;
}

static bool put_profile(struct speedscope *speedscope, enum profile_value value)
{
    uint64_t values[PROFILE_VALUES], whole = 0;
    const char *before = "\n";
    fputs("{\"type\":\"sampled\",\"name\":", speedscope->out);
    json_text(speedscope->out, profile_value_name[value]);
    fprintf(speedscope->out, ",\"unit\":\"%s\",\"startValue\":0,\"samples\":[",
            profile_value_is_bytes(value) ? "bytes" : "none");
    for (uint32_t i = 0; i < speedscope->site_count; i++) {
        profile_values(speedscope->sites[i].site, values);
        if (!values[value])
            continue;
        fputs(before, speedscope->out);
        before = ",\n";
        if (!put_stack(speedscope, speedscope->sites[i].site))
            return false;
    }
    before = "";
    fputs("],\"weights\":[", speedscope->out);
    for (uint32_t i = 0; i < speedscope->site_count; i++) {
        profile_values(speedscope->sites[i].site, values);
        if (values[value])
            fprintf(speedscope->out, "%s%llu", before, (unsigned long long)values[value]);
        if (values[value])
            before = ",";
        whole += values[value];
    }
    fprintf(speedscope->out, "],\"endValue\":%llu}", (unsigned long long)whole);
    return true;
}

/* What the view asks for; of a heap that is empty, what was allocated. */
static enum profile_value shown_first(const struct speedscope *speedscope, enum profile_view view)
{
    uint64_t live = 0;
    for (uint32_t i = 0; i < speedscope->site_count; i++)
        live += speedscope->sites[i].site->total.live_bytes;
    return view == PROFILE_ALLOC || !live ? PROFILE_ALLOC_SPACE : PROFILE_INUSE_SPACE;
}

static bool put_all(struct speedscope *speedscope, enum profile_view view)
{
    FILE *out = speedscope->out;
    fputs("{\"$schema\":\"" SCHEMA "\",\n\"exporter\":\"heaptap " HEAPTAP_VERSION "\",\n\"name\":", out);
    json_foreign(out, text_basename(speedscope->profile->header.exe));
    fprintf(out, ",\n\"activeProfileIndex\":%u,\n", (unsigned)shown_first(speedscope, view));
    put_frames(speedscope);
    fputs("\"profiles\":[\n", out);
    for (int value = 0; value < PROFILE_VALUES; value++) {
        if (value)
            fputs(",\n", out);
        if (!put_profile(speedscope, (enum profile_value)value))
            return false;
    }
    fputs("]}\n", out);
    return true;
}

bool write_speedscope(FILE *out, const struct write_input *input, struct err *err)
{
    struct speedscope speedscope = {.out = out, .names = input->names, .profile = input->profile};
    bool done = list_sites(&speedscope, input->view, err) && put_all(&speedscope, input->view);
    free(speedscope.sites);
    free(speedscope.number);
    free(speedscope.stack);
    return done ? true : err_set(err, "no memory for a profile of %u sites", input->profile->site_count);
}
