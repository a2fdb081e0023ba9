/* jemalloc's own interface, under its three prefixes. What xallocx changes in place counts like a realloc. */
#include "hooks.h"

#define JEMALLOC_HOOKS(prefix)                                                                                         \
    HOOK(void *, prefix##mallocx, (size_t size, int flags))                                                            \
    {                                                                                                                  \
        struct guard guard;                                                                                            \
        struct thread *t = thread_enter(&guard);                                                                       \
        return hook_allocated(t, &guard, real.prefix##mallocx(size, flags), size);                                     \
    }                                                                                                                  \
    HOOK(void *, prefix##rallocx, (void *p, size_t size, int flags))                                                   \
    {                                                                                                                  \
        struct guard guard;                                                                                            \
        struct thread *t = hook_reallocating(&guard, p);                                                               \
        void *q = real.prefix##rallocx(p, size, flags);                                                                \
        return hook_reallocated(t, &guard, p, q, size, false);                                                         \
    }                                                                                                                  \
    HOOK(size_t, prefix##xallocx, (void *p, size_t size, size_t extra, int flags))                                     \
    {                                                                                                                  \
        struct guard guard;                                                                                            \
        struct thread *t = hook_reallocating(&guard, p);                                                               \
        size_t usable = real.prefix##xallocx(p, size, extra, flags);                                                   \
        if (t)                                                                                                         \
            hook_reallocated(t, &guard, p, usable >= size ? p : NULL, size, false);                                    \
        return usable;                                                                                                 \
    }                                                                                                                  \
    HOOK(void, prefix##dallocx, (void *p, int flags))                                                                  \
    {                                                                                                                  \
        struct guard guard;                                                                                            \
        struct thread *t = hook_freeing(&guard, p);                                                                    \
        real.prefix##dallocx(p, flags);                                                                                \
        hook_freed(t, &guard, p);                                                                                      \
    }                                                                                                                  \
    HOOK(void, prefix##sdallocx, (void *p, size_t size, int flags))                                                    \
    {                                                                                                                  \
        struct guard guard;                                                                                            \
        struct thread *t = hook_freeing(&guard, p);                                                                    \
        real.prefix##sdallocx(p, size, flags);                                                                         \
        hook_freed(t, &guard, p);                                                                                      \
    }                                                                                                                  \
    HOOK(size_t, prefix##sallocx, (const void *p, int flags))                                                          \
    {                                                                                                                  \
        return real.prefix##sallocx(p, flags);                                                                         \
    }                                                                                                                  \
    HOOK(size_t, prefix##nallocx, (size_t size, int flags))                                                            \
    {                                                                                                                  \
        return real.prefix##nallocx(size, flags);                                                                      \
    }
JEMALLOC_HOOKS()
JEMALLOC_HOOKS(je_)
JEMALLOC_HOOKS(_rjem_)

#define PREFIXED_HOOKS(prefix)                                                                                         \
    HOOK(void *, prefix##malloc, (size_t size))                                                                        \
    {                                                                                                                  \
        struct guard guard;                                                                                            \
        struct thread *t = thread_enter(&guard);                                                                       \
        return hook_allocated(t, &guard, real.prefix##malloc(size), size);                                             \
    }                                                                                                                  \
    HOOK(void *, prefix##calloc, (size_t n, size_t size))                                                              \
    {                                                                                                                  \
        struct guard guard;                                                                                            \
        struct thread *t = thread_enter(&guard);                                                                       \
        return hook_allocated(t, &guard, real.prefix##calloc(n, size), (uint64_t)n * size);                            \
    }                                                                                                                  \
    HOOK(void *, prefix##realloc, (void *p, size_t size))                                                              \
    {                                                                                                                  \
        struct guard guard;                                                                                            \
        struct thread *t = hook_reallocating(&guard, p);                                                               \
        void *q = real.prefix##realloc(p, size);                                                                       \
        return hook_reallocated(t, &guard, p, q, size, !size);                                                         \
    }                                                                                                                  \
    HOOK(void, prefix##free, (void *p))                                                                                \
    {                                                                                                                  \
        struct guard guard;                                                                                            \
        struct thread *t = p ? hook_freeing(&guard, p) : NULL;                                                         \
        real.prefix##free(p);                                                                                          \
        hook_freed(t, &guard, p);                                                                                      \
    }                                                                                                                  \
    HOOK(int, prefix##posix_memalign, (void **out, size_t alignment, size_t size))                                     \
    {                                                                                                                  \
        struct guard guard;                                                                                            \
        struct thread *t = thread_enter(&guard);                                                                       \
        int error = real.prefix##posix_memalign(out, alignment, size);                                                 \
        hook_allocated(t, &guard, error ? NULL : *out, size);                                                          \
        return error;                                                                                                  \
    }                                                                                                                  \
    HOOK(void *, prefix##aligned_alloc, (size_t alignment, size_t size))                                               \
    {                                                                                                                  \
        struct guard guard;                                                                                            \
        struct thread *t = thread_enter(&guard);                                                                       \
        return hook_allocated(t, &guard, real.prefix##aligned_alloc(alignment, size), size);                           \
    }
PREFIXED_HOOKS(je_)
PREFIXED_HOOKS(_rjem_)
