/*
 * The shim's own memory: private, zero, never returned. Never the program's allocator.
 *
 * What fork does with it: the child finds zeros (MADV_WIPEONFORK), so that fork copies no page table for it and a child's tables begin empty. Where
 * the kernel cannot do that, memory_wipe() in the child has the same effect. A fork in the middle of a hook is another matter: memory_keep().
 */
#ifndef HEAPTAP_MEMORY_H
#define HEAPTAP_MEMORY_H

#include <common/base.h>

/*
 * A mapping of its own, zero-filled, page-aligned. NULL: none to be had, or it would be more than memory_left(). Context: any thread; makes system
 * calls.
 */
void *memory_map(size_t bytes);
/* Gives back what memory_map returned and nobody else has seen. */
void memory_unmap(void *at, size_t bytes);
/* Empties whole pages inside a mapping that memory_map returned, and gives back their memory if the kernel takes it. */
void memory_empty(void *at, size_t bytes);
/*
 * Gives back the addresses of a mapping's end, of which nobody has used anything: `bytes` of it stay, and a little more. False: all of it stays, there are others at
 * it; or it is part of what was set aside. `wait`: see addresses.h. Context: any thread, signal-safe; makes system calls.
 */
bool memory_cut(void *at, size_t bytes, bool wait);
/* The same of a table, whose number of rows becomes `to`, if that is less. A fork child is never told of more rows than there are. */
void memory_cut_rows(void *table, uint32_t *rows, uint32_t to, size_t row_bytes, bool wait);
/*
 * Makes sure that the table that a pointer points to has so many rows: the one that is there, or an empty one in its place, since a fork child begins with what its
 * parent's tables became. `pointer`: its address. False: no memory, and no table. Context: nobody else looks at it.
 */
bool memory_make_rows(void *pointer, uint32_t *rows, uint32_t count, size_t row_bytes);
/* A piece of a larger mapping, zero-filled, 64-byte aligned, at most 64 KiB. Context: any thread; seldom makes a system call. */
void *memory_piece(size_t bytes);
/* Makes sure that a few pieces can be had without a system call. */
void memory_spare(void);

/* True if the kernel wipes at fork. Asked once, when the first mapping is made. */
bool memory_wiped_by_kernel(void);
/* Fork child: empties everything that memory_map returned, unless the kernel did, and starts pieces anew. */
void memory_wipe(void);

/*
 * A page that is zero in every fork child, also in one that keeps the rest; not before Linux 4.14. The same one each time. NULL: no memory.
 * Context: any thread, signal-safe; makes system calls the first time.
 */
void *memory_mark(void);

/*
 * From here to memory_keep_end(), fork children find the memory as it is. False: they do not, the kernel is not to be asked or others are at it for too long.
 * May be nested, in any threads. In a child, whose parent's other threads are not there, memory_keep_alone() comes first, and the end is memory_wipe().
 * Context: any thread, signal-safe; makes system calls.
 */
bool memory_keep(void);
void memory_keep_end(void);
void memory_keep_alone(void);
/* Somebody is in between. */
bool memory_kept(void);

/* Bytes mapped so far. */
size_t memory_bytes(void);
/*
 * How many more there may be: all of them together are at most one part in MEMORY_PART of what the process may have of addresses (RLIMIT_AS) and of
 * private memory (RLIMIT_DATA), as these limits are now. SIZE_MAX: there is no limit. Context: any thread, signal-safe; makes system calls.
 */
#define MEMORY_PART 16u
size_t memory_left(void);

/*
 * From here on mappings are made of addresses set aside now, in this process: for when the kernel is about to lock and populate every new mapping, of which
 * these are none. When they are used up there are no more. Context: any thread, signal-safe; makes system calls.
 */
void memory_set_aside(void);
/* Gives back what of that is unused, but for `bytes`. Context: one caller at a time, any other threads; makes system calls. */
void memory_cut_aside(size_t bytes, bool wait);

/* The first range of addresses above `at` that is the shim's own, by where it begins. False: there is none. Context: any thread, signal-safe. */
struct memory_range {
    uintptr_t start, end;
};
bool memory_next(uintptr_t at, struct memory_range *range);

#endif
