/*
 * One table of the buffer file: a sparse mapping that is handed out from the front and allocated in steps, so that no store in it can raise
 * SIGBUS. Growth needs no descriptor and no lock: MADV_POPULATE_WRITE may be done twice (design.md section 1).
 */
#ifndef HEAPTAP_SECTION_H
#define HEAPTAP_SECTION_H

#include <common/base.h>

#define SECTION_FULL 0xffffffffu

struct section {
    char *base;
    struct ht_section *file; /* for the reader; never read back */
    uint32_t record_bytes;
    uint32_t step_bytes;
    uint32_t capacity;  /* records; falls to what is allocated when the filesystem is full */
    uint32_t claimed;   /* records handed out */
    uint32_t allocated; /* records that may be stored to */
};

extern struct section section[HT_SECTIONS_MAX];

/*
 * Hands out n records in a row: index of the first; SECTION_FULL when the table or the filesystem is full (said in the file once).
 * Context: any thread, signal-safe; a system call once a step.
 */
uint32_t section_claim(struct section *s, uint32_t n);

/* Makes sure that records below `end` may be stored to. */
bool section_reach(struct section *s, uint32_t end);

#define SECTION_RECORD(type, id, index) ((type *)(void *)section[id].base + (index))

#endif
