/*
 * What is loaded where. The list is read again when the dynamic loader was seen to free through our hooks, which it does whenever it unloads, and mostly when
 * it loads (engine.md 1.9): dlopen is not interposed. That it allocates says little: it does for each new thread. Then the list is read when a walk meets an
 * address that lies in no module, and not before: reading it takes the loader's lock, which no malloc takes otherwise.
 */
#ifndef HEAPTAP_MODULES_H
#define HEAPTAP_MODULES_H

#include "teach.h"

struct module {
    struct teach_module teach;
    uintptr_t entry; /* where the kernel began to run the loader; 0: this is not the loader */
    uint32_t row;    /* in the file; HT_NO_MODULE: the table was full */
    uint32_t flags;
};

/* Whether the list in force is that of the loader. Not 0: rules and last stacks may be those of a module that is no more. */
extern uint32_t modules_dirty;
enum { MODULES_CURRENT, MODULES_READING, MODULES_CHANGED };

/* Notes that the loader may have changed the list. */
INLINE void modules_touch(void)
{
    if (word_get(&modules_dirty) != MODULES_CHANGED)
        word_set(&modules_dirty, MODULES_CHANGED);
}

/* That it has allocated: the list may have become longer. */
void modules_may_grow(void);
/* True: what lies in no module may lie in one that is not yet known. */
bool modules_may_have_grown(void);

/*
 * Reads the list if it may have changed. Rows of the file follow; when something was unloaded, all rules are forgotten. False: what this thread has
 * loaded or unloaded may not be known yet, because another one is at the list and takes long.
 * Context: cold; not from code that musl's loader called, whose lock was not recursive before 1.2.2; signals blocked inside. Calls
 * dl_iterate_phdr with no lock of ours that anyone waits for.
 */
bool modules_refresh(void);

/* Module at an address; NULL: none. Context: with the teacher's lock held (rules.c). */
const struct module *modules_find(uintptr_t address);

/*
 * Fork child: keeps the parent's rows while its file is still mapped, and writes them into the child's. The loader is not asked: another thread of the parent may
 * have held its lock when it forked. A child that is forked in between has them kept already.
 */
void modules_keep(void);
void modules_restore(void);

/*
 * Around a fork: no thread reads the list then. A child in which one had just been at it could never load anything, since the loader's lock would stay with that
 * thread. False: somebody reads, and takes long. Context: any thread, signal-safe; the second one also in the child.
 */
bool modules_hold(void);
void modules_let_go(void);

#endif
