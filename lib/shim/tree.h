/* The call tree in the file: places, nodes and sites, each found again by a private index. Ids are handed out so that parent < child. */
#ifndef HEAPTAP_TREE_H
#define HEAPTAP_TREE_H

#include "section.h"

bool tree_init(void);

/* Id of a place; 0: full. `module` is row + 1, HT_NO_MODULE or HT_CUT. Context: cold. */
uint32_t tree_place(uint32_t module, uint32_t flags, uint64_t offset);
/* Id of the place "[cut: why]"; 0: full. */
uint32_t tree_cut_place(enum ht_cut why);

/*
 * Id of the stack whose places are given innermost first. cut: 0, or why the outer end is missing.
 * *full: the table had no room: the stack hangs below [cut: full] with as many outer frames as there was room for.
 * Context: any thread, lock-free; system calls only when tables grow.
 */
uint32_t tree_stack(const uint32_t *place, unsigned count, enum ht_cut cut, bool *full);

/* Id of a site; 0: full. */
uint32_t tree_site(uint32_t node, enum ht_kind kind);

#endif
