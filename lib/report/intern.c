#include "intern.h"

#include <stdlib.h>
#include <string.h>

bool intern_init(struct intern *intern)
{
    memset(intern, 0, sizeof *intern);
    return intern_add(intern, "") == 0;
}

void intern_free(struct intern *intern)
{
    for (uint32_t i = 0; i < intern->count; i++)
        free(intern->text[i]);
    free(intern->text);
    free(intern->hash);
    memset(intern, 0, sizeof *intern);
}

static uint32_t hash_text(const char *text)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619u;
    return hash;
}

/* Where a text is or belongs. The table is never full. */
static uint32_t *find(const struct intern *intern, const char *text)
{
    uint32_t mask = intern->hash_capacity - 1, at = hash_text(text) & mask;
    while (intern->hash[at] && strcmp(intern->text[intern->hash[at] - 1], text) != 0)
        at = (at + 1) & mask;
    return &intern->hash[at];
}

static bool grow(struct intern *intern)
{
    if (intern->count < intern->capacity)
        return true;
    uint32_t capacity = intern->capacity ? intern->capacity * 2 : 512;
    char **text = reallocarray(intern->text, capacity, sizeof *text);
    if (text)
        intern->text = text;
    uint32_t *hash = calloc((size_t)capacity * 2, sizeof *hash);
    if (!text || !hash) {
        free(hash);
        return false;
    }
    free(intern->hash);
    intern->capacity = capacity;
    intern->hash = hash;
    intern->hash_capacity = capacity * 2;
    for (uint32_t i = 0; i < intern->count; i++)
        *find(intern, intern->text[i]) = i + 1;
    return true;
}

uint32_t intern_add(struct intern *intern, const char *text)
{
    if (!grow(intern))
        return INTERN_NONE;
    uint32_t *slot = find(intern, text);
    if (*slot)
        return *slot - 1;
    char *copy = strdup(text);
    if (!copy)
        return INTERN_NONE;
    intern->text[intern->count++] = copy;
    *slot = intern->count;
    return intern->count - 1;
}
