/*
 * The teacher: reads the unwind tables of a module and says how the frame at one address is unwound.
 * Two of them can be linked: teach_unwind.c asks libunwind's remote interface; teach_none.c knows nothing.
 *
 * Source: research/engine.md 1.6; design.md section 3. All registers are symbolic and every stack word that a step reads is recorded and answered with a
 * unique tag, so nothing but unwind tables is ever dereferenced, and the rule is read off what the step did with tags.
 *
 * Known limits: libunwind 1.6.2 does not know DW_CFA_val_offset and steps over it wrongly. No library of Debian 12 that was looked at has one.
 * On AArch64 a signal frame is told by its code (teach_signal), not by its table.
 */
#ifndef HEAPTAP_TEACH_H
#define HEAPTAP_TEACH_H

#include "rule.h"

/* A module as the teacher needs it. Addresses are those of this process. */
struct teach_module {
    uintptr_t start, end; /* all its segments: the only memory that may be read */
    uintptr_t bias;
    uintptr_t table; /* start of .eh_frame_hdr (PT_GNU_EH_FRAME) or .ARM.exidx; 0: none */
    size_t table_bytes;
};

/* Once, before the first question. False: no rule can be taught. Context: as teach(). */
bool teach_init(void);

/*
 * Fills `rule` (kind, cfa_*, ra*, saved*, flags; not pc, generation and place) for the frame whose pc is `pc`.
 *
 * Shape:   exact: pc is the address of an interrupted instruction; otherwise a return address, looked up as pc - 1.
 * Errors:  none: what cannot be said is RULE_NO_TABLE or RULE_REFUSED. A table that says "RA undefined" is RULE_OUTERMOST.
 * Context: one caller at a time, signals blocked, on a stack of at least 32 KiB; allocates nothing but from its own fixed memory,
 *          takes no lock, makes no system call.
 */
void teach(const struct teach_module *module, uintptr_t pc, bool exact, struct rule *rule);

/*
 * True if `pc` is where the kernel lets signal handlers return to, on processors where no table says so: then `rule` is that of the frame that
 * the kernel made. The code there need not be in a module.
 * Context: as teach(), but makes a system call.
 */
bool teach_signal(uintptr_t pc, struct rule *rule);

#endif
