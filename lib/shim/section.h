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
    uint32_t wanted;    /* records that somebody was refused because they were not allocated */
};

extern struct section section[HT_SECTIONS_MAX];

/*
 * Hands out n records in a row: index of the first. SECTION_FULL when the table or the filesystem is full (said in the file once), or when the table has to grow
 * first: section_grow then helps. A hook that is deep in its program's stack does not grow a table where it finds that out: it comes back to record.c, and
 * asks again.
 * Context: any thread, signal-safe; no system call.
 */
uint32_t section_claim(struct section *s, uint32_t n);

/*
 * Allocates what was wanted, of all sections, as far as there is room; another thread may have done it already. One who was refused asks once more, or as often as
 * there are tables that may have refused: GROW_TRIES.
 * Context: any thread, signal-safe; system calls.
 */
#define GROW_TRIES 3u
void section_grow(void);

/* Claims, and grows. Context: cold. */
uint32_t section_claim_growing(struct section *s, uint32_t n);

/* Makes sure that records below `end` may be stored to. Context: as section_grow. */
bool section_reach(struct section *s, uint32_t end);

#define SECTION_RECORD(type, id, index) ((type *)(void *)section[id].base + (index))

#endif
