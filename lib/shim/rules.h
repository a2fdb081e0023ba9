/*
 * The table of rules: process-wide, private, lock-free to read. A rule that is missing is taught, once, under a try-lock, on a stack of its own.
 */
#ifndef HEAPTAP_RULES_H
#define HEAPTAP_RULES_H

#include "rule.h"
#include <stdatomic.h>

bool rules_init(void);

/*
 * Copies the rule for a pc to *out. False: it is not known yet.
 * exact: pc is an interrupted instruction, not a return address.
 * Context: any thread in its hook. Loads only.
 */
bool rules_look(uintptr_t pc, bool exact, struct rule *out);

/*
 * Has a rule taught that rules_look did not find, and copies it to *out. 0: done; else why there is none (HT_CUT_BUSY, HT_CUT_FULL).
 * Context: as above; cold. The caller should not be deep in its own stack.
 */
enum ht_cut rules_learn(uintptr_t pc, bool exact, struct rule *out);

/* All rules become unknown: something was unloaded. Context: holding the teacher's lock. */
void rules_forget(void);

/* Changes whenever rules are forgotten. */
extern uint32_t rules_generation;

/* True if a rule says that its pc lies in no module: it is wrong once a module is loaded there. Context: as rules_forget. */
bool rules_taught_outside(void);

/* The teacher's lock: never waited for, only tried a few times. */
bool rules_try_lock(void);
void rules_unlock(void);

/* Fork child. */
void rules_reset(void);

#endif
