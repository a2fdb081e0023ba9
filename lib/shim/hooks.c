/* The family of malloc and free; these two are in record.c. */
#include "hooks.h"

#include "slots.h"

static void lose_nested(struct thread *t, enum ht_loss loss)
{
    if (session_is_of_this_process()) /* not its child, which a handler has just forked */
        count_add_shared(&t->slot->file->lost[loss], 1);
}

/* Whether it is the outer hook's own block shows when that one returns, or when it is freed before. */
COLD void hooks_nested_alloc(const void *p)
{
    struct thread *t = thread_self;
    if (!p || !t || !t->ready || !t->guard || p == t->subject)
        return;
    for (unsigned i = 0; i < THREAD_NESTED; i++)
        if (__atomic_load_n(&t->nested[i], __ATOMIC_RELAXED) == p)
            return;
    for (unsigned i = 0; i < THREAD_NESTED; i++) {
        const void *none = NULL;
        if (__atomic_compare_exchange_n(&t->nested[i], &none, p, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            word_add(&t->nested_count, 1);
            return;
        }
    }
    lose_nested(t, HT_LOST_REENTRANT_ALLOC);
}

COLD void hooks_nested_free(const void *p)
{
    struct thread *t = thread_self;
    if (!t || !t->ready || !t->guard || p == t->subject)
        return;
    for (unsigned i = 0; i < THREAD_NESTED; i++) {
        const void *own = p;
        if (__atomic_compare_exchange_n(&t->nested[i], &own, NULL, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            word_add(&t->nested_count, (uint32_t)-1);
            lose_nested(t, HT_LOST_REENTRANT_ALLOC);
            break;
        }
    }
    lose_nested(t, HT_LOST_REENTRANT_FREE);
}

COLD void hooks_settle_nested(struct thread *t, const void *p)
{
    uint32_t others = thread_take_nested(t, p);
    if (others)
        count_add_shared(&t->slot->file->lost[HT_LOST_REENTRANT_ALLOC], others);
}

void hooks_realloc_done(struct thread *t, const void *p, const void *q, uint64_t size, bool freed)
{
    if (p && (q || freed)) {
        if (t->old_known)
            record_freed(t, p, &t->old, HT_EVENT_REALLOC);
        else
            record_unknown_free(t);
    } else if (t->old_known) {
        record_put_back(t, p, &t->old);
    }
    if (q)
        record_alloc(t, q, size, p ? HT_EVENT_REALLOC : 0);
}

HOOK(void *, calloc, (size_t n, size_t size))
{
    struct guard guard;
    struct thread *t = thread_enter(&guard);
    return hook_allocated(t, &guard, real.calloc(n, size), (uint64_t)n * size);
}

HOOK(void *, realloc, (void *p, size_t size))
{
    struct guard guard;
    struct thread *t = hook_reallocating(&guard, p);
    void *q = real.realloc(p, size);
    return hook_reallocated(t, &guard, p, q, size, !size);
}

HOOK(void *, reallocarray, (void *p, size_t n, size_t size))
{
    struct guard guard;
    struct thread *t = hook_reallocating(&guard, p);
    void *q = real.reallocarray(p, n, size);
    return hook_reallocated(t, &guard, p, q, (uint64_t)n * size, !n || !size);
}

#define FREE_HOOK(name, parameters, arguments)                                                                         \
    HOOK(void, name, parameters)                                                                                       \
    {                                                                                                                  \
        struct guard guard;                                                                                            \
        struct thread *t = p ? hook_freeing(&guard, p) : NULL;                                                         \
        real.name arguments;                                                                                           \
        hook_freed(t, &guard, p);                                                                                      \
    }
FREE_HOOK(cfree, (void *p), (p))
FREE_HOOK(free_sized, (void *p, size_t size), (p, size))
FREE_HOOK(free_aligned_sized, (void *p, size_t alignment, size_t size), (p, alignment, size))

HOOK(int, posix_memalign, (void **out, size_t alignment, size_t size))
{
    struct guard guard;
    struct thread *t = thread_enter(&guard);
    int error = real.posix_memalign(out, alignment, size);
    hook_allocated(t, &guard, error ? NULL : *out, size);
    return error;
}

#define ALIGNED_HOOK(name, parameters, arguments)                                                                      \
    HOOK(void *, name, parameters)                                                                                     \
    {                                                                                                                  \
        struct guard guard;                                                                                            \
        struct thread *t = thread_enter(&guard);                                                                       \
        return hook_allocated(t, &guard, real.name arguments, size);                                                   \
    }
ALIGNED_HOOK(memalign, (size_t alignment, size_t size), (alignment, size))
ALIGNED_HOOK(aligned_alloc, (size_t alignment, size_t size), (alignment, size))
ALIGNED_HOOK(valloc, (size_t size), (size))
ALIGNED_HOOK(pvalloc, (size_t size), (size))

HOOK(size_t, malloc_usable_size, (void *p))
{
    return real.malloc_usable_size(p);
}
