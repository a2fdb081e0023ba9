#include "gzip.h"
#include "layout.h"
#include "pprof_comments.h"
#include "proto.h"

#include <stdlib.h>
#include <string.h>

/*
 * Field numbers of profile.proto (package perftools.profiles). Fields after 14 are left out: a reader in use refuses files that have them.
 */
enum profile_field {
    PROFILE_SAMPLE_TYPE = 1,
    PROFILE_SAMPLE = 2,
    PROFILE_MAPPING = 3,
    PROFILE_LOCATION = 4,
    PROFILE_FUNCTION = 5,
    PROFILE_STRING_TABLE = 6,
    PROFILE_TIME_NANOS = 9,
    PROFILE_PERIOD_TYPE = 11,
    PROFILE_PERIOD = 12,
    PROFILE_COMMENT = 13,
    PROFILE_DEFAULT_SAMPLE_TYPE = 14
};
enum value_type_field { VALUE_TYPE_TYPE = 1, VALUE_TYPE_UNIT = 2 };
enum sample_field { SAMPLE_LOCATION_ID = 1, SAMPLE_VALUE = 2, SAMPLE_LABEL = 3 };
enum label_field { LABEL_KEY = 1, LABEL_STR = 2 };
enum mapping_field {
    MAPPING_ID = 1,
    MAPPING_START = 2,
    MAPPING_LIMIT = 3,
    MAPPING_OFFSET = 4,
    MAPPING_FILENAME = 5,
    MAPPING_BUILD_ID = 6,
    MAPPING_HAS_FUNCTIONS = 7,
    MAPPING_HAS_FILENAMES = 8,
    MAPPING_HAS_LINE_NUMBERS = 9,
    MAPPING_HAS_INLINE_FRAMES = 10
};
enum location_field { LOCATION_ID = 1, LOCATION_MAPPING_ID = 2, LOCATION_ADDRESS = 3, LOCATION_LINE = 4 };
enum line_field { LINE_FUNCTION_ID = 1, LINE_LINE = 2 };
enum function_field {
    FUNCTION_ID = 1,
    FUNCTION_NAME = 2,
    FUNCTION_SYSTEM_NAME = 3,
    FUNCTION_FILENAME = 4,
    FUNCTION_START_LINE = 5
};

/* Stands for the place of a stack that was not recorded. */
#define NO_STACK(pprof) layout_no_stack((pprof)->input->profile)

struct pprof {
    const struct write_input *input;
    struct gzip gzip;
    struct proto message, inner, innermost; /* at hand */
    struct intern strings;
    bool failed;
    uint32_t *places; /* in the order of their locations */
    uint32_t place_count;
    uint32_t *location_of; /* by place: location id, 0: none */
    uint64_t stack[PROFILE_DEPTH_MAX + 1];
    uint64_t *function_id; /* by function of names: 0: not used */
    uint32_t *functions;   /* by id - 1 */
    uint32_t function_count;
    struct layout layout;
};

static uint64_t string(struct pprof *pprof, const char *text)
{
    uint32_t number = intern_add(&pprof->strings, text);
    pprof->failed |= number == INTERN_NONE;
    return number;
}

/* Ends the message at hand as a field of Profile. */
static void emit(struct pprof *pprof, unsigned field)
{
    struct proto head = {0};
    proto_message(&head, field, &pprof->message);
    pprof->failed |= head.failed;
    if (!head.failed)
        gzip_write(&pprof->gzip, head.at, head.length);
    proto_free(&head);
    proto_clear(&pprof->message);
}

static void emit_number(struct pprof *pprof, unsigned field, uint64_t value)
{
    proto_number(&pprof->message, field, value);
    gzip_write(&pprof->gzip, pprof->message.at, pprof->message.length);
    proto_clear(&pprof->message);
}

static void emit_value_type(struct pprof *pprof, unsigned field, const char *type, const char *unit)
{
    proto_number(&pprof->message, VALUE_TYPE_TYPE, string(pprof, type));
    proto_number(&pprof->message, VALUE_TYPE_UNIT, string(pprof, unit));
    emit(pprof, field);
}

/* ---- Which sites, places and functions ---- */

static bool in_view(const struct pprof *pprof, const struct profile_site *site)
{
    uint32_t kind = pprof->input->view == PROFILE_MMAP ? HT_KIND_MAP : HT_KIND_HEAP;
    const struct profile_totals *total = &site->total;
    return site->kind == kind && (total->allocs || total->alloc_bytes || total->live || total->live_bytes);
}

static void use_place(struct pprof *pprof, uint32_t place)
{
    if (pprof->location_of[place])
        return;
    pprof->places[pprof->place_count++] = place;
    pprof->location_of[place] = pprof->place_count;
}

static void list_places(struct pprof *pprof)
{
    const struct profile *profile = pprof->input->profile;
    uint8_t *seen = calloc(profile->node_count, 1);
    pprof->failed |= !seen;
    for (uint32_t i = 0; seen && i < profile->site_count; i++) {
        const struct profile_site *site = &profile->sites[i];
        if (!in_view(pprof, site))
            continue;
        if (!site->node)
            use_place(pprof, NO_STACK(pprof));
        for (uint32_t node = site->node; node && !seen[node]; node = profile->nodes[node].parent) {
            seen[node] = 1;
            use_place(pprof, profile->nodes[node].place);
        }
    }
    free(seen);
}

/* The frames of a location. */
static struct names_place frames_of(const struct pprof *pprof, uint32_t place)
{
    return place == NO_STACK(pprof) ? (struct names_place){NAMES_NO_STACK, 1} : pprof->input->names->places[place];
}

static void list_functions(struct pprof *pprof)
{
    const struct names *names = pprof->input->names;
    pprof->function_id = calloc((size_t)names->function_count + 1, sizeof *pprof->function_id);
    pprof->functions = calloc((size_t)names->function_count + 1, sizeof *pprof->functions);
    pprof->failed |= !pprof->function_id || !pprof->functions;
    for (uint32_t i = 0; !pprof->failed && i < pprof->place_count; i++) {
        struct names_place frames = frames_of(pprof, pprof->places[i]);
        for (uint32_t frame = frames.first; frame < frames.first + frames.count; frame++) {
            uint32_t function = names->frames[frame].function;
            if (pprof->function_id[function])
                continue;
            pprof->functions[pprof->function_count++] = function;
            pprof->function_id[function] = pprof->function_count;
        }
    }
}

/* ---- Samples ---- */

/* Labels are texts, a PID too: some readers drop numbers, and then samples of two processes were the same. */
static void add_label(struct pprof *pprof, const char *key, const char *text)
{
    proto_clear(&pprof->inner);
    proto_number(&pprof->inner, LABEL_KEY, string(pprof, key));
    proto_number(&pprof->inner, LABEL_STR, string(pprof, text));
    proto_message(&pprof->message, SAMPLE_LABEL, &pprof->inner);
}

static void label_process(struct pprof *pprof, const struct profile_process *process)
{
    char pid[16];
    profile_process_pid(process, pid);
    add_label(pprof, "exe", process->name);
    add_label(pprof, "pid", pid);
}

static void emit_sample(struct pprof *pprof, uint32_t site, uint32_t depth, const uint64_t *values, const char *thread)
{
    const struct profile *profile = pprof->input->profile;
    proto_packed(&pprof->message, SAMPLE_LOCATION_ID, pprof->stack, depth);
    proto_packed(&pprof->message, SAMPLE_VALUE, values, PROFILE_VALUES);
    if (profile->process_count)
        label_process(pprof, &profile->processes[profile->sites[site].process]);
    if (thread)
        add_label(pprof, "thread", thread);
    emit(pprof, PROFILE_SAMPLE);
}

/* One sample for each thread name that allocated here. What lives is one thread's only where no other allocated. */
static void emit_by_thread(struct pprof *pprof, uint32_t site, uint32_t depth, const uint64_t *values)
{
    const struct threads *threads = pprof->input->threads;
    uint32_t first = threads->first[site], end = threads->first[site + 1];
    uint64_t rest[PROFILE_VALUES];
    memcpy(rest, values, sizeof rest);
    for (uint32_t i = first; i < end && end - first > 1; i++) {
        const struct threads_share *share = &threads->shares[i];
        uint64_t part[PROFILE_VALUES] = {MIN(share->allocs, rest[PROFILE_ALLOC_OBJECTS]),
                                         MIN(share->alloc_bytes, rest[PROFILE_ALLOC_SPACE])};
        rest[PROFILE_ALLOC_OBJECTS] -= part[PROFILE_ALLOC_OBJECTS];
        rest[PROFILE_ALLOC_SPACE] -= part[PROFILE_ALLOC_SPACE];
        emit_sample(pprof, site, depth, part, threads->names.text[share->name]);
    }
    const char *name = end - first == 1 ? threads->names.text[threads->shares[first].name] : "[several]";
    if (rest[0] || rest[1] || rest[2] || rest[3])
        emit_sample(pprof, site, depth, rest, end == first ? "[unknown]" : name);
}

static void emit_samples(struct pprof *pprof)
{
    const struct profile *profile = pprof->input->profile;
    for (uint32_t i = 0; i < profile->site_count; i++) {
        const struct profile_site *site = &profile->sites[i];
        uint32_t depth = 0;
        if (!in_view(pprof, site))
            continue;
        for (uint32_t node = site->node; node; node = profile->nodes[node].parent)
            pprof->stack[depth++] = pprof->location_of[profile->nodes[node].place];
        if (!depth)
            pprof->stack[depth++] = pprof->location_of[NO_STACK(pprof)];
        uint64_t values[PROFILE_VALUES];
        profile_values(site, values);
        if (pprof->input->threads)
            emit_by_thread(pprof, i, depth, values);
        else
            emit_sample(pprof, i, depth, values, NULL);
    }
}

/* ---- Mappings, locations, functions ---- */

/* What the frames of one mapping have. */
struct has {
    bool used, functions, files, lines, inlines;
};

static void look_at_frames(const struct pprof *pprof, struct has *has)
{
    const struct names *names = pprof->input->names;
    for (uint32_t i = 0; i < pprof->layout.mapping_count; i++)
        has[i] = (struct has){false, true, true, true, false};
    for (uint32_t i = 0; i < pprof->place_count; i++) {
        struct has *to = &has[pprof->layout.locations[i].mapping];
        struct names_place frames = frames_of(pprof, pprof->places[i]);
        to->used = true;
        to->inlines |= frames.count > 1;
        for (uint32_t frame = frames.first; frame < frames.first + frames.count; frame++) {
            to->functions &= !names_is_placeholder(names, frame);
            to->files &= names->functions[names->frames[frame].function].file != 0;
            to->lines &= names->frames[frame].line != 0;
        }
    }
}

static void emit_mapping(struct pprof *pprof, uint32_t index, const struct has *has)
{
    const struct layout_mapping *mapping = &pprof->layout.mappings[index];
    const struct profile *profile = pprof->input->profile;
    const struct ht_module *module = mapping->module < profile->module_count ? &profile->modules[mapping->module]
                                                                             : NULL;
    static const char deleted[] = " (deleted)";
    char path[sizeof module->path], safe[4 * sizeof path], build_id[2 * sizeof module->build_id + 1] = "";
    snprintf(path, sizeof path, "%s", mapping->synthetic ? "[heaptap]" : module ? module->path : profile->header.exe);
    size_t length = strlen(path);
    if (length >= sizeof deleted && strcmp(path + length - (sizeof deleted - 1), deleted) == 0)
        path[length - (sizeof deleted - 1)] = 0;
    err_safe_text(safe, sizeof safe, *path ? path : "[unknown]");
    for (uint32_t i = 0; module && i < module->build_id_bytes; i++)
        snprintf(build_id + 2 * (size_t)i, 3, "%02x", module->build_id[i]);
    /* pprof looks for names itself where none of the flags is set, and there is a file to look into. */
    bool known = mapping->synthetic || (has->used && has->functions);
    struct proto *message = &pprof->message;
    proto_number(message, MAPPING_ID, index + 1);
    proto_number(message, MAPPING_START, mapping->start);
    proto_number(message, MAPPING_LIMIT, mapping->limit);
    proto_number(message, MAPPING_OFFSET, mapping->file_offset);
    proto_number(message, MAPPING_FILENAME, string(pprof, safe));
    proto_number(message, MAPPING_BUILD_ID, string(pprof, build_id));
    proto_number(message, MAPPING_HAS_FUNCTIONS, known);
    proto_number(message, MAPPING_HAS_FILENAMES, known && has->files);
    proto_number(message, MAPPING_HAS_LINE_NUMBERS, known && has->lines);
    proto_number(message, MAPPING_HAS_INLINE_FRAMES, known && has->inlines);
    emit(pprof, PROFILE_MAPPING);
}

static void emit_mappings(struct pprof *pprof)
{
    struct has *has = calloc((size_t)pprof->layout.mapping_count + 1, sizeof *has);
    pprof->failed |= !has;
    if (!has)
        return;
    look_at_frames(pprof, has);
    for (uint32_t i = 0; i < pprof->layout.mapping_count; i++)
        emit_mapping(pprof, i, &has[i]);
    free(has);
}

static void emit_location(struct pprof *pprof, uint32_t index)
{
    const struct names *names = pprof->input->names;
    const struct layout_location *location = &pprof->layout.locations[index];
    struct names_place frames = frames_of(pprof, location->place);
    proto_number(&pprof->message, LOCATION_ID, index + 1);
    proto_number(&pprof->message, LOCATION_MAPPING_ID, location->mapping + 1);
    proto_number(&pprof->message, LOCATION_ADDRESS, location->address);
    for (uint32_t frame = frames.first; frame < frames.first + frames.count; frame++) {
        proto_clear(&pprof->inner);
        proto_number(&pprof->inner, LINE_FUNCTION_ID, pprof->function_id[names->frames[frame].function]);
        proto_number(&pprof->inner, LINE_LINE, names->frames[frame].line);
        proto_message(&pprof->message, LOCATION_LINE, &pprof->inner);
    }
    emit(pprof, PROFILE_LOCATION);
}

static void emit_function(struct pprof *pprof, uint32_t index)
{
    const struct names *names = pprof->input->names;
    const struct names_function *function = &names->functions[pprof->functions[index]];
    const char *name = names->texts.text[function->name];
    proto_number(&pprof->message, FUNCTION_ID, index + 1);
    proto_number(&pprof->message, FUNCTION_NAME, string(pprof, name));
    proto_number(&pprof->message, FUNCTION_SYSTEM_NAME,
                 string(pprof, function->system_name ? names->texts.text[function->system_name] : name));
    proto_number(&pprof->message, FUNCTION_FILENAME, string(pprof, names->texts.text[function->file]));
    proto_number(&pprof->message, FUNCTION_START_LINE, function->start_line);
    emit(pprof, PROFILE_FUNCTION);
}

/* ---- The whole ---- */

static bool add_comment(void *arg, const char *text)
{
    struct pprof *pprof = arg;
    proto_varint(&pprof->innermost, string(pprof, text));
    return !pprof->failed;
}

static void emit_rest(struct pprof *pprof)
{
    const struct write_input *input = pprof->input;
    uint64_t interval = input->profile->header.interval_bytes;
    const char *shown = profile_value_name[input->view == PROFILE_ALLOC ? PROFILE_ALLOC_SPACE : PROFILE_INUSE_SPACE];
    emit_number(pprof, PROFILE_TIME_NANOS, input->time_ns);
    emit_value_type(pprof, PROFILE_PERIOD_TYPE, "space", "bytes");
    emit_number(pprof, PROFILE_PERIOD, interval ? interval : 1);
    pprof->failed |= !pprof_comments(input, add_comment, pprof);
    proto_bytes(&pprof->message, pprof->innermost.at, pprof->innermost.length);
    emit(pprof, PROFILE_COMMENT);
    emit_number(pprof, PROFILE_DEFAULT_SAMPLE_TYPE, string(pprof, shown));
    for (uint32_t i = 0; i < pprof->strings.count; i++) {
        proto_bytes(&pprof->message, pprof->strings.text[i], strlen(pprof->strings.text[i]));
        emit(pprof, PROFILE_STRING_TABLE);
    }
}

static bool prepare(struct pprof *pprof)
{
    const struct profile *profile = pprof->input->profile;
    pprof->places = malloc(((size_t)profile->place_count + 1) * sizeof *pprof->places);
    pprof->location_of = calloc((size_t)profile->place_count + 1, sizeof *pprof->location_of);
    if (!pprof->places || !pprof->location_of || !intern_init(&pprof->strings))
        return false;
    list_places(pprof);
    if (pprof->failed || !names_resolve(pprof->input->names, pprof->places, pprof->place_count))
        return false;
    list_functions(pprof);
    return !pprof->failed && layout_make(&pprof->layout, profile, pprof->places, pprof->place_count);
}

static void write_all(struct pprof *pprof)
{
    for (int i = 0; i < PROFILE_VALUES; i++)
        emit_value_type(pprof, PROFILE_SAMPLE_TYPE, profile_value_name[i],
                        profile_value_is_bytes((enum profile_value)i) ? "bytes" : "count");
    emit_samples(pprof);
    emit_mappings(pprof);
    for (uint32_t i = 0; i < pprof->layout.location_count; i++)
        emit_location(pprof, i);
    for (uint32_t i = 0; i < pprof->function_count; i++)
        emit_function(pprof, i);
    emit_rest(pprof);
}

bool write_pprof(FILE *out, const struct write_input *input, struct err *err)
{
    struct pprof *pprof = calloc(1, sizeof *pprof);
    bool done = false;
    if (pprof) {
        pprof->input = input;
        if (prepare(pprof) && gzip_begin(&pprof->gzip, out)) {
            write_all(pprof);
            gzip_end(&pprof->gzip);
            done = !pprof->failed && !pprof->message.failed;
        }
        layout_free(&pprof->layout);
        intern_free(&pprof->strings);
        proto_free(&pprof->message);
        proto_free(&pprof->inner);
        proto_free(&pprof->innermost);
        free(pprof->places);
        free(pprof->location_of);
        free(pprof->function_id);
        free(pprof->functions);
    }
    free(pprof);
    return done ? true : err_set(err, "no memory for a profile of %u sites", input->profile->site_count);
}
