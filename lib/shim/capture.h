/*
 * The call stack of a hook's caller, by replaying rules, and only as far as it differs from the thread's last one. Design.md section 3.3;
 * research/engine.md 1.7 for why this is exact:
 *
 * The next state outwards is a function of pc, stack pointer, the registers that the remaining rules read, and the memory words that they read. A walk
 * that meets a frame of the last stack with the same pc and stack pointer, and the same frame register if a rule from there on outwards reads it
 * before restoring it, therefore goes on as the last one did, provided that all those words are still the same. They are compared,
 * each once, outermost first; the first that differs tells which frames are still good.
 *
 * Nearly all of these words are return addresses, one a frame, and what a frame is known by besides its stack pointer. What else was read is few, and kept apart.
 * The new frames, mostly two to four, are put behind those that stay; a hash of the places from the outermost to the innermost then leads to what the thread
 * remembers of that stack (struct leaf), which is checked against the call tree's nodes, place by place.
 *
 * A stack whose inner end the thread has met on the same frames does not come here: its words are compared, too, and it is not walked at all (memo.h).
 */
#ifndef HEAPTAP_CAPTURE_H
#define HEAPTAP_CAPTURE_H

#include "thread.h"

/*
 * The stack that begins with t->walk.at, the state of the hook's caller: what its heap blocks are counted in, if it is whole and this thread has met it lately.
 * Valid until the thread's next capture. NULL: capture_node says more. Frames of this library are walked through and not listed.
 * Context: the thread's own hook. Reads nothing but known-readable stack pages and rules; no system call unless the stack is another one than before.
 */
const struct leaf *capture(struct thread *t);

void capture_prepare(struct thread *t);
void capture_nodes(struct thread *t);
void capture_go_on(struct thread *t);
void capture_all(struct thread *t);

/*
 * Goes on where capture returned NULL. Id of the call tree's node for the stack. *cut: 0 if it is whole, else why its outer end is missing. Node 0: not even
 * one frame. t->path is the stack's then, or 0 if it is not to be remembered.
 * Context: as above; takes no lock but the teacher's try-lock, on an unknown pc.
 */
INLINE uint32_t capture_node(struct thread *t, enum ht_cut *cut)
{
    /* Rules are taught, nodes made, tables grown and walks begun anew from here: less of the program's stack is in use than where that was found necessary. */
    while (t->walk.todo != WALK_DONE) {
        capture_prepare(t);
        if (t->walk.todo == WALK_NODES)
            capture_nodes(t);
        else if (t->walk.todo == WALK_ALL)
            capture_all(t);
        else
            capture_go_on(t);
    }
    t->walk.grown = 0;
    *cut = t->walk.cut;
    return t->walk.node;
}

#endif
