/*
 * A thread's private state, and the gate that every hook passes.
 *
 * One initial-exec TLS word points to it and is read once per hook. States of threads that have ended are adopted by new threads; nothing is torn
 * down when a thread ends, so a hook is as right in its last instruction as in its first. In a fork child the whole state reads as zero
 * (memory.h): `ready` is then 0, and the next hook starts over in a file of its own.
 */
#ifndef HEAPTAP_THREAD_H
#define HEAPTAP_THREAD_H

#include "maps.h"
#include "rule.h"
#include "sys.h"

struct slot;

/*
 * The guard of a hook, on its stack while it runs. A hook that was left by longjmp, an exception or cancellation leaves its guard set; the next hook
 * sees that from the stack: its own frame lies further out, or the cookie has been overwritten.
 */
struct guard {
    uintptr_t cookie;
};
#define GUARD_COOKIE(guard) ((uintptr_t)(guard) ^ (uintptr_t)0x5bd1e995u)

/* Pages of the current stack that are known to be readable. */
struct stack {
    uintptr_t low, high;
};

/* The last stack while a new one is being walked, and what is new (capture.c). */
struct reuse {
    uint32_t next; /* frames from here inwards cannot match any more: they lie below the walk; NONE: no frame is left */
    uint32_t kept; /* frames of the last stack that are the new one's too; 0: none */
    uint32_t fresh; /* frames that were walked */
    bool compared;  /* the words of frames 0 .. next are known to be as they were */
};

/* Where a capture stands (capture.c). Kept here and not on the program's stack, of which a hook may use 512 bytes. */
struct walk {
    struct regs at;
    struct regs next;
    struct stack
        *stack; /* known part of the stack that `at` is on: the thread's, or `other` after a jump to another stack */
    struct stack other;
    bool exact;         /* at.pc is an interrupted instruction */
    unsigned registers; /* how many are followed */
    /* What is to be done before the walk goes on (capture.h), and where it began. */
    enum walk_todo { WALK_LEARN = 1, WALK_GROW, WALK_ANEW, WALK_ALL } todo;
    unsigned why;
    struct reuse reuse;
    struct regs from;
    unsigned grown; /* how often tables have grown for this stack */
};

#define FRAME_EXACT 0x1u /* pc is an interrupted instruction */
#define FRAME_JUMP                                                                                                     \
    0x2u /* its caller is on a stack of its own, perhaps, or is in the link register, which is not compared */
#define FRAME_USES_FP 0x4u  /* its rule reads the frame register */
#define FRAME_SAVES_FP 0x8u /* its rule restores the frame register */
#define FRAME_FP_LIVE                                                                                                  \
    0x10u /* this rule, or one further out before the register is restored, reads the frame register */

/* A memory word that a rule read. */
struct word {
    uintptr_t at, value;
};
#define FRAME_WORDS                                                                                                    \
    3u /* what one rule reads at the most: where the CFA is loaded from, the return address, the saved frame register */

/* One frame of the thread's last stack: the state that its rule was applied to. */
struct frame {
    uintptr_t pc, sp, fp;
    uint32_t flags;
    uint32_t place;     /* 0: not listed (a frame of this library) */
    uint32_t node;      /* of the stack that ends here */
    uint32_t words_end; /* t->word[0 .. words_end): what the rules from here outwards read, outermost first */
};

/* A frame that was just walked. */
struct fresh {
    struct frame frame;
    uint32_t words;
    struct word word[FRAME_WORDS];
};

/* A block, as the live table knows it (live.h). */
struct live_block {
    uint64_t size;
    uint32_t site;
    uint16_t birth;
};

/* What a thread remembers of the process's tables, each found by a hash: rules by pc, nodes by (parent, place), and what a node's heap blocks are counted in. */
struct child {
    uint64_t key; /* parent << 32 | place; 0: none, since no place is 0 */
    uint32_t node;
};
struct memo {
    uint32_t node, site;
    struct ht_cell *cell; /* of the site in this thread's slot; NULL: nothing is remembered, or there is no room */
};
#define THREAD_RULES 512u
#define THREAD_CHILDREN 512u
#define THREAD_MEMOS 256u
#define THREAD_NESTED 4u

struct thread {
    uint32_t ready; /* 1: may record */
    uint32_t owner; /* thread id; 0: free */
    struct guard *guard;
    struct slot *slot;
    struct stack stack;

    /* clock.h */
    uint32_t clock_left, clock_interval;
    uint64_t now_ns;
    uint16_t birth;

    /* live.h: this thread's run of unused lines, and the line that it began last for small blocks, with its region */
    uint32_t line_next, line_end, line_begun;
    uintptr_t line_region;
    intptr_t heap_pending; /* bytes not yet in the process's sum */

    /* What the hook at work is about, and what was called inside it (hooks.h). */
    const void *subject;
    const void *nested[THREAD_NESTED]; /* blocks that were handed out inside; NULL: free place */
    uint32_t nested_count;             /* places in use */
    bool old_known;                    /* `old` was there */

    struct walk walk;
    struct live_block stale; /* that record.c is about */
    struct live_block old;   /* what a realloc took out */
    struct maps_taken taken;
    struct ht_event event; /* being written (ring.c) */
    struct rule rule[THREAD_RULES];
    struct child child[THREAD_CHILDREN];
    struct memo memo[THREAD_MEMOS];
    struct memo other; /* the last one that belongs in no other place */

    /* The last stack, outermost frame first (capture.c). Each array has depth_max elements, `word` FRAME_WORDS times as many. */
    uint32_t frame_count;
    uint32_t frame_barrier;    /* index of the outermost frame with FRAME_JUMP; UINT32_MAX: none */
    uint32_t frame_generation; /* of the rules that it was walked with */
    enum ht_cut frame_cut;     /* why it does not go further out; 0: it is complete */
    uint32_t depth_max;
    uintptr_t word_top; /* no address in `word` is higher */
    struct frame *frame;
    struct word *word;
    struct fresh *fresh; /* frames of the walk at work, innermost first; one more than depth_max */
};

extern __thread struct thread *thread_self __attribute__((tls_model("initial-exec"), visibility("hidden")));
extern uint32_t session_off; /* this process only forwards */

struct thread *thread_enter_slow(struct guard *guard);

/*
 * Entry of a hook. The thread's state, with the guard set; NULL: only forward (not recording, or inside another hook of this thread).
 * Context: any, also signal handlers and the first or last code of a thread. Steady state: loads and two stores.
 */
INLINE struct thread *thread_enter(struct guard *guard)
{
    struct thread *t = thread_self;
    if (UNLIKELY(!t || !t->ready || t->guard))
        return session_off ? NULL : thread_enter_slow(guard);
    guard->cookie = GUARD_COOKIE(guard);
    __atomic_signal_fence(__ATOMIC_SEQ_CST); /* a handler that sees the guard sees its cookie */
    t->guard = guard;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return t;
}

INLINE void thread_leave(struct thread *t, struct guard *guard)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    t->guard = NULL;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    guard->cookie = 0;
}

/* Empties `nested` and returns how many blocks in it are not `own`. Context: signal-safe; what a handler adds meanwhile stays for the next time. */
uint32_t thread_take_nested(struct thread *t, const void *own);

/* Makes sure that a few threads can start without a system call. */
void thread_reserve(unsigned spare);

#endif
