/*
 * The ELF file of a module, and what says more about it: separate debug files by build-id and debuglink, .gnu_debugdata. By elfutils. A file is used only if
 * its build-id is the module's, or if neither has one.
 *
 * Looked at, in this order: the module's path below the sysroot; the same as the living process sees it; and where none of these is the right one, a debug
 * file by build-id. Debug files: DEBUG_DIR/.build-id/ab/cdef.debug, DEBUG_DIR/NAME.debug and DEBUG_DIR/NAME, then what elfutils looks for beside the file
 * and below /usr/lib/debug. The network is never asked.
 */
#ifndef HEAPTAP_DEBUG_FILE_H
#define HEAPTAP_DEBUG_FILE_H

#include "profile.h"

#include <elfutils/libdwfl.h>

struct debug_file_places {
    const char *sysroot;   /* NULL: / */
    const char *debug_dir; /* NULL: none */
    uint32_t pid;          /* of the living process; 0: none */
};

struct debug_file {
    Dwfl *dwfl; /* one session a module: addresses of different modules overlap */
    Dwfl_Module *module;
    GElf_Addr bias; /* of elfutils' view against addresses in the ELF file */
    bool differs;   /* there is a file at the module's path, and it is another build */
    const struct debug_file_places *places;
    const struct ht_module *wanted;
    char path[4096]; /* of what was opened; or what differs */
};

/* False: no file. debug_file_close may be called in either case. The arguments must stay while it is open. */
bool debug_file_open(struct debug_file *file, const struct ht_module *wanted, const struct debug_file_places *places);
void debug_file_close(struct debug_file *file);

/* The path without what Linux appends when the file was removed or replaced. */
void debug_file_path(const struct ht_module *module, char *to, size_t capacity);

#endif
