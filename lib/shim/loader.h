/*
 * The dynamic loader's list of objects, by libc's own function and no other. In symbol order others may come first: a program's, or a sanitizer's, which
 * is not yet set up when the first malloc of the process comes.
 */
#ifndef HEAPTAP_LOADER_H
#define HEAPTAP_LOADER_H

#include "elf_lookup.h"

/* libc's own definition of a name; NULL: none. Context: cold; reads what debuggers read, with no lock: not beside a first dlopen. */
void *loader_libc(const char *name);

/* dl_iterate_phdr: glibc holds the loader's lock meanwhile. 0: also where there is no list. Context: as the first code of a process, too. */
int loader_walk(int (*visit)(struct dl_phdr_info *, size_t, void *), void *argument);

#endif
