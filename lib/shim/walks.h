/*
 * Walks through the loader's list: the program's own (hooks_walk.c) and ours (modules.c), which do not go together. What a program does for each object, it does with
 * the loader's lock held. If that waits for a thread that is in malloc, it must not find us waiting there for the lock.
 *
 * A walker counts itself and looks whether somebody reads; a reader says that it reads and looks at the count: one of them sees the other. The walker
 * waits, since a reader is quick; the reader gives up. A walk that was left by an exception, longjmp or the end of its thread is found out by the
 * next reader.
 */
#ifndef HEAPTAP_WALKS_H
#define HEAPTAP_WALKS_H

#include "thread.h"

/*
 * A walk of the program's begins, in a hook with this frame. NULL: it lies inside another one of this thread, or in a hook, or the thread has no state.
 * Context: any thread, signal-safe.
 */
struct thread *walks_begin(uintptr_t frame);
void walks_end(struct thread *t, uintptr_t frame);

/* Of a thread that has ended, or was left: its walk is over. */
void walks_forget(struct thread *t);

/* Around a reading. False: another thread walks, and goes on; there is no end to tell then. Context: one thread at a time, signals blocked. */
bool walks_keep_out(void);
void walks_let_in(void);

/* Fork child: no other thread is here. */
void walks_anew(void);

#endif
