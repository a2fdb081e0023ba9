/* How a budget is divided among the tables of the buffer file. */
#ifndef HEAPTAP_LAYOUT_H
#define HEAPTAP_LAYOUT_H

#include <common/base.h>

/* Sets the sections up, with their offsets in the file as addresses, and returns how large the file is. Context: one caller at a time. */
uint64_t layout_sections(uint64_t budget);

/* Records of each section in such a file. Context: as above. */
void layout_capacity(uint64_t budget, uint32_t capacity[]);

#endif
