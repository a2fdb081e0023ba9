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
#define GUARD_COOKIE ((uintptr_t)0x6f3a91d7u)

/* Pages of the current stack that are known to be readable. */
struct stack {
    uintptr_t low, high;
};

/* A memory word that rules read. */
struct word {
    uintptr_t at, value;
};

/* One frame of the thread's last stack. Its pc is what its word has (capture.c). */
struct frame {
    uintptr_t sp, fp;
    uint64_t path;  /* of the stack that ends here (tree.h) */
    uint32_t node;  /* of that stack */
    uint32_t place; /* 0: not listed, a frame of this library; and FRAME_FP_MATTERS */
};
/* Its rule, or one further out before the frame register is restored, reads that register. */
#define FRAME_FP_MATTERS 0x80000000u

/* A word, other than return addresses, that the rule of a frame read. */
struct extra {
    struct word word;
    uint32_t frame; /* counts from the innermost */
    bool saved_fp;  /* what matters only if the frame register does further out */
};
#define FRAME_EXTRAS                                                                                                   \
    3u /* what one rule reads at the most: where the CFA is loaded from, the saved frame register, an end of the stack */

/*
 * A rule of the most frequent form (RULE_PLAIN), in short. With r[0] the stack pointer and r[1] the frame register:
 *   CFA = r[0] + cfa words, or, if cfa is negative, r[1] + (cfa + HOW_FROM_FP) words;  return address: the word at CFA + ra words;
 *   caller's r[1]: the one at CFA + saved words, or unchanged if SAVED_NONE
 * Of a frame that was walked otherwise: cfa is 0 or -HOW_FROM_FP, saved only tells whether there is one, ra is HOW_JUMP or 0.
 */
struct how {
    uint32_t place; /* not 0, in short */
    int16_t cfa;
    arch_saved saved;
    int8_t ra;
};
#define HOW_FROM_FP 0x8000
INLINE bool how_is_odd(const struct how *how)
{
    return how->cfa == 0 || how->cfa == -HOW_FROM_FP;
}
#define HOW_JUMP 1 /* its caller is on a stack of its own, perhaps, or is in the link register, which is not compared */

/* The same with the pc that it is for, as a thread remembers it. 0: none. */
struct step {
    uintptr_t pc;
    struct how how;
};

/* A frame that was just walked, and the word that its pc was read from. */
struct fresh {
    struct word ret;
    uintptr_t sp, fp;
    struct how how;
};

/* The last stack while a new one is being walked, and what is new (capture.c). */
struct reuse {
    const struct frame
        *next; /* frames from here inwards cannot match any more: they lie below the walk; frame[-1]: none is left */
    struct word *word; /* of `next` */
    uint32_t kept;     /* frames of the last stack that are the new one's too; 0: none */
    uint32_t fresh;    /* frames that were walked */
    bool compared;     /* the words of frames 0 .. next are known to be as they were */
};

/* Where a capture stands (capture.c). Kept here and not on the program's stack, of which a hook may use 512 bytes. */
struct walk {
    struct regs at;
    struct regs next;
    uintptr_t ret_at; /* where at.pc was read from */
    struct stack
        *stack; /* known part of the stack that `at` is on: the thread's, or `other` after a jump to another stack */
    struct stack other;
    bool exact;         /* at.pc is an interrupted instruction */
    unsigned registers; /* how many are followed */
    /* What is to be done before the walk goes on (capture.h), and where it began. */
    enum walk_todo { WALK_DONE, WALK_LEARN, WALK_NODES, WALK_GROW, WALK_ANEW, WALK_ALL } todo;
    unsigned why;
    struct reuse reuse;
    uint32_t extras; /* of the frames that were walked */
    struct regs from;
    unsigned grown; /* how often tables have grown for this stack */
    /* What it came to, where there is nothing to be done. */
    uint32_t node;
    enum ht_cut cut;
    struct rule rule; /* of `at`, when its pc is not among the steps that are remembered */
    struct step step; /* the same in short */
};

/* A block, as the live table knows it (live.h). */
struct live_block {
    uint64_t size;
    uint32_t site;
    uint16_t birth;
};

/* The innermost node of a stack that was met, by the stack's path, and where its heap blocks are counted. path 0: none. */
struct leaf {
    uint64_t path;
    uint32_t node, site;
};

/* What a thing is counted in. */
struct counter {
    uint32_t site;
    struct ht_cell *cell; /* of the site in this thread's slot; NULL: no room */
};

/*
 * The inner end of a stack that was met, from the hook's caller to the frame in which the walk rejoined the last stack, and what the whole came to (memo.h).
 * pc 0: none.
 */
#define MEMO_WORDS 12u
struct memo {
    uintptr_t pc, sp, fp; /* of the innermost frame */
    uintptr_t outer_fp;   /* of the outermost, as well as */
    uint32_t node, place;
    uint16_t sp_words,
        kept; /* how far its stack pointer is above `sp`, and how many frames lie there, with itself (0: tried in vain) */
    uint32_t generation;    /* of the rules */
    struct counter counter; /* of the stack's heap blocks */
    uint8_t last_pc,
        count; /* of the words that were read, the last return address, which is the outermost frame's; and how many there are */
    uint8_t fp_matters;
    bool used;               /* since another one wanted its place */
    uint16_t at[MEMO_WORDS]; /* where they lie, in words above `sp` */
    uintptr_t value[MEMO_WORDS];
} __attribute__((aligned(64)));
#define MEMO_FP 1u       /* what was read, or is read further out, depends on the frame register, */
#define MEMO_OUTER_FP 2u /* and what is read from the outermost frame on outwards, on that frame's */

/*
 * How many steps, leaves or memos a thread remembers: a few, until so many of them are put where another one was, within a second, that memory is the cheaper thing;
 * then twice as many, as far as its state has room. It never becomes less: what lies beyond is zero.
 */
struct room {
    uint32_t mask; /* (how many - 1) * 16: of an offset in bytes, where one has 16 of them */
    uint32_t most; /* that the mask may become */
    uint32_t fights;
    uint64_t since_ns; /* when their count began */
};
#define THREAD_FEW 2048u
#define THREAD_MANY 16384u
#define THREAD_FEW_MEMOS 256u
#define THREAD_MEMO_PART 16u /* one for so many steps */
#define ROOM_NS 1000000000u
#define THREAD_ALIGN 64u

/* What a state has room for. Where memory is short it is halved until one of both is the least that is of use, and then the other one. */
struct thread_shape {
    uint32_t depth; /* frames of a stack */
    uint32_t rooms; /* steps, and leaves; a power of two */
};
#define THREAD_DEPTH_LEAST 128u
#define THREAD_ROOMS_LEAST 256u

#define THREAD_NESTED 4u

struct thread {
    uint32_t ready; /* 1: may record */
    uint32_t owner; /* thread id; 0: free */
    struct guard *guard;
    struct slot *slot;
    struct stack stack;
    uint32_t stack_unmapped; /* another thread is about to unmap a part of it */

    /* clock.h */
    int32_t clock_left; /* events until the clock is read; 0 also while none takes the short way (record.c) */
    uint32_t clock_interval;
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
    bool old_known;                    /* a realloc has taken out `old` */
    struct live_block old;

    uintptr_t walking; /* where it walks through the loader's list (walks.h); 0: it does not */
    struct walk walk;
    struct live_block stale; /* that record.c is about */
    struct maps_taken taken;
    struct ht_event event; /* being written (ring.c) */

    /* What it remembers. */
    struct room steps, leaves, memos;
    struct step *step;
    struct leaf *leaf;
    struct memo *memo;
    uint32_t memos_unused; /* how often one that was not used was in another one's way */

    /*
     * The last stack, outermost frame first (capture.c), or as much of its outer end as is known (memo.h). Each array has depth_max elements, but for extras, of which each frame may have FRAME_EXTRAS.
     */
    uint32_t frame_count;
    uint32_t
        frame_jump; /* 1 + index of the outermost frame whose caller is found otherwise than by comparing words; 0: none */
    uint32_t frame_generation; /* of the rules that it was walked with */
    enum ht_cut frame_cut;     /* why it does not go further out; 0: it is complete */
    uint32_t frame_hidden;     /* HT_CUT_DEPTH: how many there are further out, at the least */
    uint32_t depth_max;
    uint32_t extra_count; /* words other than return addresses that rules read, which matter; outermost first */
    uint64_t path;        /* of a captured stack that is not among the leaves; 0: it is not to be remembered */
    uintptr_t word_top;   /* no address in `word` or `extra_word` is higher */
    struct word *word;    /* of each frame, where its return address was read, and what it is */
    struct word *extra_word;
    uint32_t *extra_frame;     /* the frame whose rule read it */
    struct fresh *fresh;       /* frames of the walk at work, innermost first; one more than depth_max */
    struct extra *fresh_extra; /* of them */
    struct frame no_frame;     /* frame[-1]: a mark, further out than any other */
    struct frame frame[];
};

/* Where a stack's leaf is remembered. */
INLINE struct leaf *thread_leaf(struct thread *t, uint64_t path)
{
    /* the upper bits are the mixed ones */
    return (struct leaf *)(void *)((char *)t->leaf + (path >> 40 & t->leaves.mask));
}

/* Where a pc's step is remembered: by its lowest bits, which are as good as a hash of it. */
INLINE struct step *thread_step(struct thread *t, uintptr_t pc)
{
    return (struct step *)(void *)((char *)t->step + (pc / ARCH_CODE_ALIGN * sizeof(struct step) & t->steps.mask));
}
_Static_assert(sizeof(struct leaf) == 16 && sizeof(struct step) == 16, "room.mask");

/* Where the inner end of a stack is remembered, and where it is if there is one with the same two: by the return address of its innermost frame as well. */
INLINE struct memo *thread_memo(struct thread *t, uintptr_t pc, uintptr_t sp)
{
    uint32_t index_by_16 = ((uint32_t)pc << 4 ^ (uint32_t)sp) & t->memos.mask;
    return (struct memo *)(void *)((char *)t->memo + index_by_16 * (sizeof(struct memo) / 16));
}

INLINE struct memo *thread_memo_more(struct thread *t, uintptr_t pc, uintptr_t sp, uintptr_t return_address)
{
    return thread_memo(t, pc ^ return_address ^ return_address << 3, sp);
}

INLINE uint32_t room_count(const struct room *room)
{
    return room->mask / 16 + 1;
}

/* Another one was where one is put. Those that have another place after this are as good as forgotten: each says what it is of. */
INLINE void room_fight(struct room *room, uint64_t now_ns)
{
    if (++room->fights <= 4 * room_count(room))
        return;
    if (now_ns - room->since_ns < ROOM_NS && room->mask < room->most)
        room->mask = 2 * room->mask + 16;
    room->fights = 0;
    room->since_ns = now_ns;
}

/* Bytes of a state. */
INLINE size_t thread_bytes(struct thread_shape shape)
{
    return sizeof(struct thread) + THREAD_ALIGN + shape.rooms * (sizeof(struct step) + sizeof(struct leaf)) +
           shape.rooms / THREAD_MEMO_PART * sizeof(struct memo) + (size_t)shape.depth * sizeof(struct frame) +
           ((size_t)shape.depth + 1) * (sizeof(struct fresh) + sizeof(struct word) +
                                        FRAME_EXTRAS * (sizeof(struct word) + sizeof(struct extra) + sizeof(uint32_t)));
}

/* Sets the arrays up that lie behind the state itself. They are touched only as deep as stacks are. */
INLINE void thread_set_arrays(struct thread *t, struct thread_shape shape)
{
    uint32_t depth_max = t->depth_max = shape.depth;
    t->no_frame.sp = UINTPTR_MAX;
    t->fresh = (struct fresh *)(void *)(t->frame + depth_max);
    t->word = (struct word *)(void *)(t->fresh + depth_max + 1) + 1;
    size_t extras = ((size_t)depth_max + 1) * FRAME_EXTRAS;
    t->extra_word = t->word + depth_max;
    t->fresh_extra = (struct extra *)(void *)(t->extra_word + extras);
    t->extra_frame = (uint32_t *)(void *)(t->fresh_extra + extras);
    uintptr_t end = (uintptr_t)(t->extra_frame + extras);
    t->step = (struct step *)align_up(end, THREAD_ALIGN); /* no step lies in two cache lines */
    t->leaf = (struct leaf *)(void *)(t->step + shape.rooms);
    t->memo = (struct memo *)(void *)(t->leaf + shape.rooms);
    uint32_t memos = shape.rooms / THREAD_MEMO_PART;
    t->steps.most = t->leaves.most = (shape.rooms - 1) * 16;
    t->memos.most = (memos - 1) * 16;
    if (!t->steps.mask) {
        t->steps.mask = t->leaves.mask = (MIN(THREAD_FEW, shape.rooms) - 1) * 16;
        t->memos.mask = (MIN(THREAD_FEW_MEMOS, memos) - 1) * 16;
    }
    t->frame_count = t->extra_count = 0;
}

extern __thread struct thread *thread_self __attribute__((tls_model("initial-exec"), visibility("hidden")));
extern uint32_t session_off; /* this process only forwards */

struct thread *thread_enter_slow(struct guard *guard);
struct thread *thread_enter_anew(struct thread *t, struct guard *guard);

INLINE void thread_set_guard(struct thread *t, struct guard *guard)
{
    guard->cookie = GUARD_COOKIE;
    __atomic_signal_fence(__ATOMIC_SEQ_CST); /* a handler that sees the guard sees its cookie */
    t->guard = guard;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/*
 * Entry of a hook. The thread's state, with the guard set; NULL: only forward (not recording, or inside another hook of this thread).
 * Context: any, also signal handlers and the first or last code of a thread. Steady state: loads and two stores.
 */
INLINE struct thread *thread_enter(struct guard *guard)
{
    struct thread *t = thread_self;
    if (UNLIKELY(!t || t->guard))
        return session_off ? NULL : thread_enter_slow(guard);
    thread_set_guard(t, guard);
    /* Asked behind the guard: only there does a handler that forks leave the state as it is (hooks_fork.c). */
    if (UNLIKELY(!t->ready))
        return thread_enter_anew(t, guard);
    return t;
}

INLINE void thread_leave(struct thread *t, struct guard *guard)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    t->guard = NULL;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    guard->cookie = 0;
}

/* All states there are, one after the other, also those of threads that have ended; NULL: no more. */
struct thread *thread_state(uint32_t i);

/*
 * Other threads know that what is about to be unmapped may be read, if it was a stack on which they have been (a coroutine's): they find out anew when they are
 * there again. It may come back smaller. Context: any, before it is unmapped.
 */
void threads_forget_stacks(uintptr_t start, uintptr_t end);

/* Empties `nested` and returns how many blocks in it are not `own`. Context: signal-safe; what a handler adds meanwhile stays for the next time. */
uint32_t thread_take_nested(struct thread *t, const void *own);

/* Makes sure that a few threads can start without a system call. */
void thread_reserve(unsigned spare);

/* In a fork child, before any thread records: only the thread that has forked may go on with what its parent's had. */
void threads_anew(void);

/* States that no thread has become as small as new ones are when the shim may have so many bytes. `wait`: as in memory_cut. Context: one caller at a time. */
void thread_cut(size_t bytes, bool wait);

#endif
