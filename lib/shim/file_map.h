/*
 * Where the buffer file is mapped: whole at first; in pieces, once the unused ends of its sections were given back. What lies between the pieces is the program's.
 */
#ifndef HEAPTAP_FILE_MAP_H
#define HEAPTAP_FILE_MAP_H

#include "memory.h"
#include "section.h"

/*
 * Maps so much of a file in place of the one that was mapped before, if any: over it where that is in one piece, as it is in a fork child mostly. NULL: what was
 * there stays. Context: one caller at a time, nobody in a hook that records.
 */
char *file_map_open(int fd, uint64_t bytes);

/* True: there is a file, or a copy. */
bool file_map_is_open(void);

/* The first piece that ends above `at`. False: there is none. Context: any thread, signal-safe. */
bool file_map_next(uintptr_t at, struct memory_range *range);

/*
 * Lowers the capacity of each section to what is given here, or to what is allocated, and gives back what lies beyond. False: nothing is changed, somebody is
 * about to allocate there. Context: one caller at a time, any other threads; makes system calls.
 */
bool file_map_cut(const uint32_t capacity[], bool wait);

/* Gives back all of a file that nobody records in any more. Context: as file_map_open; the sections are not looked at. */
void file_map_leave(void);

/* Puts memory of the process's own in place of the file: empty; or with the same contents, unless that was done before. Context: as file_map_open. */
void file_map_drop(void);
void file_map_copy(void);

#endif
