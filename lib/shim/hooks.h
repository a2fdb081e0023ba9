/*
 * What all hooks are made of. A hook is: enter; the real call; if the thread records, tell record.h; leave.
 *
 *   - Only the outermost hook of a thread records. What it calls below may come back through another hook (musl's calloc calls malloc): that one
 *     forwards. A signal handler may do the same at any instant; the two are told apart by the block: a call about the very block that
 *     the outer hook is about is the allocator's own, anything else is counted as re-entrant.
 *   - errno is what the real call left: nothing here touches it.
 *   - The guard is set over the real call, except where that may throw (hooks_new.c).
 */
#ifndef HEAPTAP_HOOKS_H
#define HEAPTAP_HOOKS_H

#include "real.h"
#include "record.h"
#include "session.h"

/* Defines an exported function. */
#define HOOK(result, name, parameters)                                                                                 \
    EXPORT result name parameters;                                                                                     \
    EXPORT result name parameters

/* mlockall, also by syscall. */
int hooks_lock_all(int flags);

/* setrlimit and prlimit by syscall: before it is made. */
void hooks_limit_by_syscall(long n, long a, long b, long c);

void hooks_nested_alloc(const void *p);
void hooks_nested_free(const void *p);
void hooks_settle_nested(struct thread *t, const void *p);

/* Ends a hook whose block is (or was) p. */
INLINE void hook_leave(struct thread *t, struct guard *guard, const void *p)
{
    if (UNLIKELY(t->nested_count))
        hooks_settle_nested(t, p);
    thread_leave(t, guard);
}

/* The tail of every allocating hook. Inlined, so that the caller's state is that of the hook's caller. */
INLINE void *hook_allocated(struct thread *t, struct guard *guard, void *p, uint64_t size)
{
    if (UNLIKELY(!t)) {
        if (!session_off)
            hooks_nested_alloc(p);
        return p;
    }
    if (LIKELY(p)) {
        arch_caller(&t->walk.at);
        record_alloc(t, p, size, 0);
    }
    hook_leave(t, guard, p);
    return p;
}

/* The head of every freeing hook: what must happen before the real free. */
INLINE struct thread *hook_freeing(struct guard *guard, const void *p)
{
    struct thread *t = thread_enter(guard);
    if (UNLIKELY(!t)) {
        if (!session_off)
            hooks_nested_free(p);
        return NULL;
    }
    t->subject = p;
    arch_caller(&t->walk.at);
    record_free(t, p);
    return t;
}

INLINE void hook_freed(struct thread *t, struct guard *guard, const void *p)
{
    if (LIKELY(t)) {
        t->subject = NULL;
        hook_leave(t, guard, p);
    }
}

/* A realloc in two halves around the real call. */
INLINE struct thread *hook_reallocating(struct guard *guard, const void *p)
{
    struct thread *t = thread_enter(guard);
    if (LIKELY(t)) {
        t->subject = p;
        t->old_known = p && record_take(p, &t->old);
    }
    return t;
}

void hooks_realloc_done(struct thread *t, const void *p, const void *q, uint64_t size, bool freed);

/* q: the result; NULL with freed: the old block is gone all the same (size 0). */
INLINE void *hook_reallocated(struct thread *t, struct guard *guard, const void *p, void *q, uint64_t size, bool freed)
{
    if (UNLIKELY(!t)) {
        if (session_off)
            return q;
        hooks_nested_alloc(q);
        if (p && (q || freed))
            hooks_nested_free(p);
        return q;
    }
    arch_caller(&t->walk.at);
    hooks_realloc_done(t, p, q, size, freed);
    t->subject = NULL;
    hook_leave(t, guard, q ? q : p);
    return q;
}

#endif
