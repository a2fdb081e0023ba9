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
    uint32_t
        capacity; /* records; falls to what is allocated when the filesystem is full, and when addresses are given back */
    uint32_t claimed;   /* records handed out */
    uint32_t allocated; /* records that may be stored to */
    uint32_t wanted;    /* records that somebody was refused because they were not allocated */
};

extern struct section section[HT_SECTIONS_MAX];

/* Says in the file that a record was refused. Once: it is a line that other threads read. */
INLINE void section_say_full(struct section *s)
{
    if (!word_get(&s->file->full))
        word_set(&s->file->full, 1);
}

/*
 * Hands out n records in a row: index of the first. SECTION_FULL when the table or the filesystem is full (said in the file once), or when the table has to grow
 * first: section_grow then helps. A hook that is deep in its program's stack does not grow a table where it finds that out: it comes back to record.c, and
 * asks again.
 * Context: any thread, signal-safe; no system call.
 */
uint32_t section_claim(struct section *s, uint32_t n);

/* True if n more records could be had: not now, perhaps, but once it has grown. */
INLINE bool section_may_grow(const struct section *s, uint32_t n)
{
    uint32_t capacity = word_get(&s->capacity), claimed = word_get(&s->claimed);
    return claimed <= capacity && n <= capacity - claimed;
}

/*
 * Allocates what was wanted, of all sections, as far as there is room. One who was refused asks again, up to GROW_TRIES times while section_may_grow: other
 * threads take of what has just grown.
 * Context: any thread, signal-safe; system calls.
 */
#define GROW_TRIES 32u
void section_grow(void);

/* Claims, and grows. Context: cold. */
uint32_t section_claim_growing(struct section *s, uint32_t n);

/* Makes sure that records below `end` may be stored to. Context: as section_grow. */
bool section_reach(struct section *s, uint32_t end);

/*
 * Lowers the capacity, but not below what is allocated: the table is full there. Returns what it was. Others may go on to allocate as far as that until
 * addresses_unheld(), and then must find a capacity that is not below what they did. Context: one caller at a time, any other threads.
 */
uint32_t section_lower(struct section *s, uint32_t capacity);

#define SECTION_RECORD(type, id, index) ((type *)(void *)section[id].base + (index))

#endif
