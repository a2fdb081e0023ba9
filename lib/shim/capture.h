/* The call stack of a hook's caller, by replaying rules. Design.md section 3. */
#ifndef HEAPTAP_CAPTURE_H
#define HEAPTAP_CAPTURE_H

#include "thread.h"

/*
 * Walks from t->walk.at, the state of the hook's caller, outwards and leaves the place ids in t->place, innermost first. Frames of this library are walked through and not listed.
 *
 * Shape:   returns their number, at most t->depth_max; *cut is 0 if the walk reached the outermost frame, else why it did not.
 * Context: the thread's own hook. Reads nothing but known-readable stack pages and rules. Takes no lock but the teacher's try-lock, on an unknown pc.
 */
unsigned capture(struct thread *t, enum ht_cut *cut);

#endif
