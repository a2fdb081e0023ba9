/*
 * Live mappings: intervals of pages. A table of its own because an munmap may take a part of one, or several; it is searched from the newest back, which is
 * little beside the system call that it accompanies. Guarded by a lock that is held over our own few stores only, and tried a bounded number of times.
 *
 * The lock has its owner's name: a thread that finds its own there has left a hook in the middle (longjmp, cancellation), and so has one that is no more.
 */
#ifndef HEAPTAP_MAPS_H
#define HEAPTAP_MAPS_H

#include <common/base.h>

void maps_init(uint32_t rows);
/* Gives back what is kept of rows beyond so many, which are no more than the section's capacity. Context: as memory_cut; one caller at a time. */
void maps_cut(uint32_t rows, bool wait);

struct map {
    uintptr_t start, size;
    uint32_t site;
    uint32_t birth;
};

/* What one call takes out, to be put back if the real call fails (record.h). */
#define MAPS_TAKEN_MAX 4
struct maps_taken {
    struct map map[MAPS_TAKEN_MAX];
    unsigned count;
};

/* False: no row, or the table is busy. owner: not 0, the thread's own. Context: the thread's own hook. */
bool maps_insert(uint32_t owner, const struct map *map);

/*
 * Takes one mapping that overlaps [start, start + size) out; *map is what it was. False: there is none (more); *busy: the table could not be
 * searched.
 */
bool maps_take(uint32_t owner, uintptr_t start, uintptr_t size, struct map *map, bool *busy);

/* A hook of this thread was left: if it had the lock, others need not wait. Context: the thread's own hook. */
void maps_let_go(uint32_t owner);

#endif
