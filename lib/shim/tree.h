/* The call tree in the file: places, nodes and sites, each found again by a private index. Ids are handed out so that parent < child. */
#ifndef HEAPTAP_TREE_H
#define HEAPTAP_TREE_H

#include "section.h"

bool tree_init(void);

/* Makes room that was missing, as section_grow. */
void tree_grow(void);
/* Makes the indices large enough for all that is allocated. Context: cold. */
void tree_reserve(void);
/* True if it is time to. */
bool tree_wants(void);

/* Id of a place; 0: full. `module` is row + 1, HT_NO_MODULE or HT_CUT. Context: cold; grows by itself. */
uint32_t tree_place(uint32_t module, uint32_t flags, uint64_t offset);
/*
 * Id of the stack that is `parent` and one frame more at `place`; parent 0: the root. 0: full, at least until
 * tree_grow. Context: any thread, lock-free.
 */
uint32_t tree_child(uint32_t parent, uint32_t place);
/* The child of the root below which stacks hang that were cut. Never 0. */
uint32_t tree_cut_node(enum ht_cut why);

/* Id of a site; 0 as above. */
uint32_t tree_site(uint32_t node, enum ht_kind kind);

#endif
