/*
 * Functions, lines and what was inlined, from DWARF, for many addresses at once. Every unit that has an address is walked once, and only into those
 * functions that have one. Units are found by their own ranges: clang and rustc write no .debug_aranges.
 */
#ifndef HEAPTAP_DWARF_FRAMES_H
#define HEAPTAP_DWARF_FRAMES_H

#include "elf_symbols.h"
#include "names.h"

struct dwarf_query {
    uint64_t address; /* elfutils' */
    uint32_t place;
    uint32_t unit;  /* private */
    uint32_t scope; /* private */
};

struct dwarf_progress {
    void (*tick)(void *arg, uint32_t done); /* may be NULL */
    void *arg;
    uint32_t done;
};

/*
 * Gives frames to those places whose function is known, and sorts the queries. `symbols` give the linker's name of a clone.
 * False: no memory. `found`: how many places got frames.
 */
bool dwarf_frames_add(Dwfl_Module *module, const struct elf_symbols *symbols, struct dwarf_query *queries,
                      uint32_t count, struct names *names, struct dwarf_progress *progress, uint32_t *found);

#endif
