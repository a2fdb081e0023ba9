/* One frame outwards by a rule of any form, as rule.h words it. Frames whose rules have a short form are walked by capture.c itself. */
#ifndef HEAPTAP_STEP_H
#define HEAPTAP_STEP_H

#include "thread.h"

#define WORD sizeof(uintptr_t)

INLINE uintptr_t words(intptr_t count)
{
    return (uintptr_t)(count * (intptr_t)WORD);
}

#define STEPPED UINT32_MAX

/*
 * From and to t->walk.at, by t->walk.rule; what was read is noted. STEPPED, or why there is no further frame: also when a word that the rule needs cannot be
 * read, or the stack would not shrink. HT_CUTS: the rule needs registers that this walk does not follow.
 * Context: the thread's own hook; cold. Reads nothing but known-readable stack pages.
 */
unsigned step_by_rule(struct thread *t);

/* A word that decided how the walk goes on, of the frame that is walked, t->walk.reuse.fresh. */
void step_note(struct thread *t, uintptr_t at, uintptr_t value, bool saved_fp);

#endif
