/*
 * Function names from ELF files, by elfutils. A file is used only if its build-id is the module's (or neither has one). What cannot be named is left to
 * the caller. Reads the files that the buffer names: for a buffer that another user chose, drop to that user's rights first.
 */
#ifndef HEAPTAP_SYMBOLIZE_H
#define HEAPTAP_SYMBOLIZE_H

#include "names.h"

struct symbolize;

/* NULL: no memory. The profile must stay. */
struct symbolize *symbolize_new(const struct profile *profile);
void symbolize_free(struct symbolize *symbolize);

/* A names_lookup: the function around a place, from .symtab or .dynsym, as the linker spells it. `arg` is the struct symbolize. */
bool symbolize_lookup(void *arg, const struct profile *profile, const struct profile_place *place, char *to,
                      size_t capacity);

/* Why a module gives no names; NULL: it does, or was never asked. */
const char *symbolize_problem(const struct symbolize *symbolize, uint32_t module);

#endif
