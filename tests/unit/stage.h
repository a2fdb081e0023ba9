/*
 * What the modules of the shim stand on, in a unit program: a kernel that refuses calls on order (in the place of sys_call.c), tables of a buffer
 * file that may end before they should, and a crowd of threads.
 */
#ifndef HEAPTAP_TESTS_STAGE_H
#define HEAPTAP_TESTS_STAGE_H

#include "suite.h"

#include <shim/section.h>
#include <shim/thread.h>

/* For loops: Check writes down each assertion that holds, which takes longer than what is asserted. */
#define ck_assert_often(condition)                                                                                     \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            ck_abort_msg("%s", #condition);                                                                            \
    } while (0)

/* The nth call of system call `n` from now on fails (1: the next one); 0: every one. A call whose `filter`, an argument (third), is not 0 only counts if it is that. */
void stage_refuse(long n, unsigned nth, long error, long third_argument);
/* All calls are made again. */
void stage_allow(void);
/* Calls of `n` since the start, as far as they were made. */
unsigned stage_calls(long n);

/* Called before each call that is made: what another thread, or a signal handler, may do just then. NULL: nothing. */
extern void (*stage_before)(long n);

/* Where the kernel takes advice to begin: at multiples of this. */
extern uint32_t stage_page_bytes;
/* What it says that the limit of data is; 0: what it is. */
extern uint64_t stage_data_limit;

/* Header of the file that the tables would be of. */
extern struct ht_header stage_header;

/* Sets section[id] up on a file of its own, of which `backed` bytes exist: what lies behind raises SIGBUS, as on a full filesystem. */
void stage_table(enum ht_section_id id, uint32_t record_bytes, uint32_t step_bytes, uint32_t capacity, uint64_t backed);
/* The same with records and steps as in a real file, and all of it there. */
void stage_tables(uint32_t capacity);

/* Runs work(0) to work(count - 1) at once, each in a thread of its own, until all are gone. */
void stage_crowd(unsigned count, void (*work)(unsigned i));

/* State of a thread as attach would make it, for stacks of `depth` frames; 0: for none. */
struct thread *stage_thread(uint32_t depth);

/* xorshift: the same numbers every time. */
uint32_t stage_random(uint32_t *state);

#endif
