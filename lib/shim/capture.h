/*
 * The call stack of a hook's caller, by replaying rules, and only as far as it differs from the thread's last one. Design.md section 3.3;
 * research/engine.md 1.7 for why this is exact:
 *
 * The next state outwards is a function of pc, stack pointer, the registers that the remaining rules read, and the memory words that they read. A walk
 * that meets a frame of the last stack with the same pc and stack pointer, and the same frame register if a rule from there on outwards reads it
 * before restoring it, therefore goes on as the last one did, provided that all those words are still the same. They are compared,
 * each once, outermost first; the first that differs tells which frames are still good.
 */
#ifndef HEAPTAP_CAPTURE_H
#define HEAPTAP_CAPTURE_H

#include "thread.h"

#define CAPTURE_LATER UINT32_MAX

uint32_t capture(struct thread *t, enum ht_cut *cut);
void capture_prepare(struct thread *t);
uint32_t capture_go_on(struct thread *t, enum ht_cut *cut);
uint32_t capture_all(struct thread *t, enum ht_cut *cut);

/*
 * Id of the call tree's node for the stack that begins with t->walk.at, the state of the hook's caller. Frames of this library are walked through and not
 * listed.
 *
 * Shape:   *cut: 0 if the stack is whole, else why its outer end is missing. Node 0: not even one frame.
 * Context: the thread's own hook. Reads nothing but known-readable stack pages and rules. Takes no lock but the teacher's try-lock, on an unknown pc.
 */
INLINE uint32_t capture_stack(struct thread *t, enum ht_cut *cut)
{
    /* A capture that has to teach a rule, grow a table or begin anew comes back here first: less of the program's stack is in use. */
    uint32_t node = capture(t, cut);
    while (UNLIKELY(node == CAPTURE_LATER)) {
        capture_prepare(t);
        node = t->walk.todo == WALK_ALL ? capture_all(t, cut) : capture_go_on(t, cut);
    }
    return node;
}

#endif
