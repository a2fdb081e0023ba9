#include "names.h"

#include <common/text.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool names_init(struct names *names, const struct profile *profile, names_lookup *lookup, void *lookup_arg,
                struct err *err)
{
    memset(names, 0, sizeof *names);
    names->profile = profile;
    names->lookup = lookup;
    names->lookup_arg = lookup_arg;
    names->text = calloc((size_t)profile->place_count + 1, sizeof *names->text);
    return names->text ? true : err_set(err, "no memory for %u names", profile->place_count);
}

void names_free(struct names *names)
{
    for (uint32_t i = 0; i < names->interned_capacity; i++)
        free(names->interned[i]);
    free(names->interned);
    free(names->text);
    memset(names, 0, sizeof *names);
}

static uint32_t hash_text(const char *text)
{
    uint32_t hash = 2166136261u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619u;
    return hash;
}

/* Where a text is or belongs. The table is never full. */
static char **find_text(char **table, uint32_t capacity, const char *text)
{
    uint32_t at = hash_text(text) & (capacity - 1);
    while (table[at] && strcmp(table[at], text) != 0)
        at = (at + 1) & (capacity - 1);
    return &table[at];
}

static bool grow(struct names *names)
{
    if (names->interned_count * 4 < names->interned_capacity * 3)
        return true;
    uint32_t capacity = names->interned_capacity ? names->interned_capacity * 2 : 1024;
    char **table = calloc(capacity, sizeof *table);
    if (!table)
        return false;
    for (uint32_t i = 0; i < names->interned_capacity; i++)
        if (names->interned[i])
            *find_text(table, capacity, names->interned[i]) = names->interned[i];
    free(names->interned);
    names->interned = table;
    names->interned_capacity = capacity;
    return true;
}

bool names_resolve(struct names *names, uint32_t id)
{
    char text[NAMES_TEXT_MAX];
    if (id >= names->profile->place_count || names->text[id] || !names->lookup)
        return true;
    const struct profile_place *place = &names->profile->places[id];
    if (place->module >= names->profile->module_count ||
        !names->lookup(names->lookup_arg, names->profile, place, text, sizeof text))
        return true;
    if (!grow(names))
        return false;
    char **entry = find_text(names->interned, names->interned_capacity, text);
    if (!*entry) {
        *entry = strdup(text);
        names->interned_count += *entry != NULL;
    }
    names->text[id] = *entry;
    return *entry;
}

void names_text(const struct names *names, uint32_t id, char *to, size_t capacity)
{
    if (id >= names->profile->place_count) {
        snprintf(to, capacity, "%s", id == NAMES_NO_STACK ? "[no stack]" : "[damaged]");
        return;
    }
    const struct profile_place *place = &names->profile->places[id];
    if (names->text[id])
        err_safe_text(to, capacity, names->text[id]);
    else if (place->module == PROFILE_CUT)
        snprintf(to, capacity, "[cut: %s]", profile_cut_name(place->offset));
    else if (place->module == PROFILE_NO_MODULE)
        snprintf(to, capacity, "[generated]+0x%llx", (unsigned long long)place->offset);
    else if (place->module >= names->profile->module_count)
        snprintf(to, capacity, "[damaged]");
    else {
        size_t length = err_safe_text(to, capacity, text_basename(names->profile->modules[place->module].path));
        snprintf(to + length, capacity - length, "+0x%llx", (unsigned long long)place->offset);
    }
}
