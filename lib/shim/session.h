/*
 * The life of the recording: none -> starting -> on, or off for ever (not chosen, or no file could be made).
 *
 *     none --first event--> starting --+--> on   its fork child: none again, until its first event (a file of its own)
 *                                      +--> off  (only forwards), and so do its children
 *
 * A child that is forked while another thread is starting is none, too: it starts as if its parent had not begun to.
 */
#ifndef HEAPTAP_SESSION_H
#define HEAPTAP_SESSION_H

#include "config.h"
#include "memory.h"
#include "thread.h"

extern struct config config;

/* Header of the file; valid while recording. */
extern struct ht_header *session_header;

/* Of the file, or in a fork child of its parent's. */
extern uint64_t session_budget;

/*
 * Makes sure that this process records. False: it does not, now (another thread is starting it; counted) or at all.
 * Context: cold; any thread; blocks signals and runs on the cold stack.
 */
bool session_start(void);

/* This process records. False in a fork child until its first hook, while session_start() would start over. Context: any thread, signal-safe. */
bool session_is_of_this_process(void);

/*
 * True in a process that shares the memory of the one that records, or is going to (vfork, CLONE_VM). Of a fork child that has not yet recorded, whose fork we were
 * not told of, it is not known, and whoever comes first is taken for it. Context: cold, signal-safe; a system call.
 */
bool session_is_borrowed(void);
/* In a fork child: the memory is its own. Context: signal-safe; a system call. */
void session_note_fork(void);

/*
 * In a fork child that keeps the parent's memory (memory.h), for hooks that it has inherited unfinished: what they still store goes nowhere. `t`: its thread's
 * state; its next hook that is not inside one of them starts over, and no other thread does.
 * Context: signal-safe; makes system calls.
 */
void session_keep_apart(struct thread *t);

/*
 * Before this process gets a limit of addresses: what the shim has mapped becomes a small part of that, as far as it is not in use. Tables that were larger are full
 * from then on. Not from a process that only borrows them, nor under a seccomp filter.
 * Context: any thread, signal-safe, bounded; makes system calls.
 */
void session_make_room(uint64_t limit);
/* False: there is nothing to give back, or no system call is to be made. Context: any thread, signal-safe. */
bool session_may_make_room(void);

/* True in a fork child that has not yet recorded anything of its own. */
bool session_is_forked(void);

/*
 * Before a seccomp filter goes in: sets aside what threads and tables will need, then makes no system call any more. And behind it: if the kernel refused it, and
 * no other one is in force or going in, calls are made again.
 */
void session_freeze(void);
void session_filtered(bool in_force);
/* One is known of, also where nothing is recorded. */
bool session_has_filter(void);

/* Adds to the process's heap and keeps its peak. Called with a thread's pending bytes when they are many. */
void session_heap_flush(struct thread *t);

#define SESSION_PENDING_MAX (16 << 10)

/* After what may be many bytes, and every so many events. */
INLINE void session_heap_settle(struct thread *t)
{
    if (t->heap_pending > SESSION_PENDING_MAX || t->heap_pending < -SESSION_PENDING_MAX)
        session_heap_flush(t);
}

INLINE bool session_paused(void)
{
    return word_get(&session_header->ctl_pause) != 0;
}

#endif
