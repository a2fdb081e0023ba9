/*
 * Functions, source lines and inlined frames of places, from ELF files and their debug information, by elfutils. What cannot be named is left to the caller.
 * Reads the files that the buffer names: for a buffer that another user chose, drop to that user's rights first.
 */
#ifndef HEAPTAP_SYMBOLIZE_H
#define HEAPTAP_SYMBOLIZE_H

#include "names.h"

struct symbolize;

struct symbolize_options {
    const char *sysroot;                                        /* modules are looked for below it; NULL: / */
    const char *debug_dir;                                      /* debug files, looked at first; NULL: none */
    void (*progress)(void *arg, uint32_t done, uint32_t total); /* places; may be NULL */
    void *progress_arg;
};

/* NULL: no memory. The profile and the options' texts must stay. */
struct symbolize *symbolize_new(const struct profile *profile, const struct symbolize_options *options);
void symbolize_free(struct symbolize *symbolize);

/* A names_source; `arg` is the struct symbolize. Notes where the names of each module come from. */
bool symbolize_places(void *arg, struct names *names, const uint32_t *places, uint32_t count);

/* The best that a module had. */
enum symbolize_level {
    SYMBOLIZE_NOT_ASKED,
    SYMBOLIZE_NO_FILE,
    SYMBOLIZE_DIFFERS, /* its file is another build, and is not used */
    SYMBOLIZE_NOTHING, /* a file without names */
    SYMBOLIZE_EXPORTS, /* only what it exports */
    SYMBOLIZE_SYMBOLS, /* a symbol table */
    SYMBOLIZE_DEBUG,   /* debug information */
    SYMBOLIZE_LEVELS
};

struct symbolize_module {
    enum symbolize_level level;
    uint32_t places, named; /* distinct places that were asked for */
    char *file;             /* that names come from, or that differs; NULL: none */
};

/* What became of a module (row below profile.module_count). */
const struct symbolize_module *symbolize_result(const struct symbolize *symbolize, uint32_t row);
/* In words: "debug information", "exports only", ... */
const char *symbolize_level_text(enum symbolize_level level);

#endif
