#include "names.h"

#include <common/text.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Functions, each once ---- */

static uint32_t *find_function(const struct names *names, const struct names_function *function)
{
    uint32_t mask = names->function_capacity * 2 - 1;
    uint64_t mixed = function->name * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ function->system_name) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ function->file) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ function->start_line) * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t at = (uint32_t)(mixed >> 32) & mask;
    while (names->function_hash[at] &&
           memcmp(&names->functions[names->function_hash[at] - 1], function, sizeof *function) != 0)
        at = (at + 1) & mask;
    return &names->function_hash[at];
}

static bool grow_functions(struct names *names)
{
    if (names->function_count < names->function_capacity)
        return true;
    uint32_t capacity = names->function_capacity ? names->function_capacity * 2 : 512;
    struct names_function *functions = reallocarray(names->functions, capacity, sizeof *functions);
    if (functions)
        names->functions = functions;
    uint32_t *hash = calloc((size_t)capacity * 2, sizeof *hash);
    if (!functions || !hash) {
        free(hash);
        return false;
    }
    free(names->function_hash);
    names->function_hash = hash;
    names->function_capacity = capacity;
    for (uint32_t i = 0; i < names->function_count; i++)
        *find_function(names, &names->functions[i]) = i + 1;
    return true;
}

static bool intern_safe(struct names *names, const char *text, uint32_t *number)
{
    char safe[NAMES_TEXT_MAX];
    err_safe_text(safe, sizeof safe, text ? text : "");
    *number = intern_add(&names->texts, safe);
    return *number != INTERN_NONE;
}

static bool add_frame(struct names *names, const struct names_text *text)
{
    struct names_function function = {.start_line = text->start_line};
    if (!intern_safe(names, text->name, &function.name) ||
        !intern_safe(names, text->system_name, &function.system_name) ||
        !intern_safe(names, text->file, &function.file) || !grow_functions(names))
        return false;
    uint32_t *slot = find_function(names, &function);
    if (!*slot) {
        names->functions[names->function_count++] = function;
        *slot = names->function_count;
    }
    if (names->frame_count == names->frame_capacity) {
        uint32_t capacity = names->frame_capacity ? names->frame_capacity * 2 : 1024;
        struct names_frame *frames = reallocarray(names->frames, capacity, sizeof *frames);
        if (!frames)
            return false;
        names->frames = frames;
        names->frame_capacity = capacity;
    }
    names->frames[names->frame_count++] = (struct names_frame){*slot - 1, text->line};
    return true;
}

bool names_add(struct names *names, uint32_t place, const struct names_text *text)
{
    if (place >= names->profile->place_count || !text->name || !*text->name)
        return true;
    struct names_text whole = *text;
    if (!whole.system_name || !*whole.system_name)
        whole.system_name = whole.name;
    struct names_place *to = &names->places[place];
    if (!to->count)
        to->first = names->frame_count;
    else if (to->first + to->count != names->frame_count)
        return true; /* against the rule: keep what is there */
    if (!add_frame(names, &whole))
        return false;
    to->count++;
    return true;
}

bool names_note(struct names *names, const char *format, ...)
{
    char text[2048], safe[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    err_safe_text(safe, sizeof safe, text);
    return intern_add(&names->notes, safe) != INTERN_NONE;
}

/* ---- Places ---- */

bool names_init(struct names *names, const struct profile *profile, names_source *source, void *source_arg,
                struct err *err)
{
    memset(names, 0, sizeof *names);
    names->profile = profile;
    names->source = source;
    names->source_arg = source_arg;
    names->places = calloc((size_t)profile->place_count + 1, sizeof *names->places);
    bool done = intern_init(&names->texts) && intern_init(&names->notes) && names->places &&
                add_frame(names, &(struct names_text){.name = "[no stack]"});
    return done ? true : err_set(err, "no memory for %u names", profile->place_count);
}

void names_free(struct names *names)
{
    intern_free(&names->texts);
    intern_free(&names->notes);
    free(names->functions);
    free(names->function_hash);
    free(names->frames);
    free(names->places);
    memset(names, 0, sizeof *names);
}

static void name_process(const struct profile_process *process, char *to, size_t capacity)
{
    char pid[16];
    profile_process_pid(process, pid);
    snprintf(to, capacity, "%s[%s]", process->name, pid);
}

static void placeholder(const struct profile *profile, const struct profile_place *place, char *to, size_t capacity)
{
    if (place->module == PROFILE_CUT)
        snprintf(to, capacity, "[cut: %s]", profile_cut_name(place->offset));
    else if (place->module == PROFILE_NO_MODULE)
        snprintf(to, capacity, "[generated]+0x%llx", (unsigned long long)place->offset);
    else if (place->module == PROFILE_PROCESS && place->offset < profile->process_count)
        name_process(&profile->processes[place->offset], to, capacity);
    else if (place->module == PROFILE_NO_STACK)
        snprintf(to, capacity, "[no stack]");
    else if (place->module >= profile->module_count)
        snprintf(to, capacity, "[damaged]");
    else
        snprintf(to, capacity, "%s+0x%llx", text_basename(profile->modules[place->module].path),
                 (unsigned long long)place->offset);
}

static bool add_placeholder(struct names *names, uint32_t id)
{
    char text[sizeof names->profile->modules->path + 32];
    placeholder(names->profile, &names->profile->places[id], text, sizeof text);
    names->places[id] = (struct names_place){names->frame_count, 1};
    return add_frame(names, &(struct names_text){.name = text});
}

/* Asks the source about those places that have no frames and are code of a module. */
static bool ask_source(struct names *names, const uint32_t *places, uint32_t count)
{
    const struct profile *profile = names->profile;
    uint32_t asked = 0;
    uint32_t *list = malloc(((size_t)count + 1) * sizeof *list);
    if (!list)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (places[i] < profile->place_count && !names->places[places[i]].count &&
            profile->places[places[i]].module < profile->module_count && profile->places[places[i]].offset)
            list[asked++] = places[i];
    bool done = !asked || names->source(names->source_arg, names, list, asked);
    free(list);
    return done;
}

bool names_resolve(struct names *names, const uint32_t *places, uint32_t count)
{
    if (names->source && !ask_source(names, places, count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (places[i] < names->profile->place_count && !names->places[places[i]].count &&
            !add_placeholder(names, places[i]))
            return false;
    return true;
}
