/*
 * What places are called. Text comes from a lookup (symbolize.h) or, where that knows nothing, is MODULE+0xOFFSET: the last component of the module's
 * path and the address in the ELF file. Nothing is resolved before it is asked for.
 */
#ifndef HEAPTAP_NAMES_H
#define HEAPTAP_NAMES_H

#include "profile.h"

#define NAMES_TEXT_MAX 2048 /* longer names are cut */

/* Writes the function's name at a place of a module (row) into `to`, terminated. False: unknown. */
typedef bool names_lookup(void *arg, const struct profile *profile, const struct profile_place *place, char *to,
                          size_t capacity);

struct names {
    const struct profile *profile;
    names_lookup *lookup; /* NULL: none */
    void *lookup_arg;
    char **text;     /* by place id; NULL: not resolved */
    char **interned; /* open hash of the texts, so that equal names cost once */
    uint32_t interned_capacity, interned_count;
};

bool names_init(struct names *names, const struct profile *profile, names_lookup *lookup, void *lookup_arg,
                struct err *err);
void names_free(struct names *names);

/* Asks the lookup about a place, once. False: no memory. */
bool names_resolve(struct names *names, uint32_t place);

/*
 * The name of a place as it may be shown (err_safe_text), at most capacity - 1 bytes. Places that are no code are called "[cut: REASON]", "[damaged]" and, for
 * code outside any module, "[generated]+0xADDRESS". NAMES_NO_STACK is "[no stack]".
 */
#define NAMES_NO_STACK 0xffffffffu
void names_text(const struct names *names, uint32_t place, char *to, size_t capacity);

#endif
