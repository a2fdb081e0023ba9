/*
 * C++ operator new and delete. They matter only where the library below has them without calling malloc (shared jemalloc and tcmalloc: real_facts.own_new).
 * Elsewhere they are a jump to the next definition, whose malloc and free are seen as any other.
 *
 * operator new may throw, and may call the program's new-handler: no guard is set over it. If it did call malloc, that hook has recorded the block already.
 */
#include "hooks.h"

typedef void *new_function(uintptr_t, uintptr_t, uintptr_t);
typedef void delete_function(void *, uintptr_t, uintptr_t);

/* A C program that loads C++ code RTLD_LOCAL binds that code's operator new to ours, and has no other in symbol order (research/engine.md 1.14): the
 * lookup then finds the one that came with the code, wherever it is loaded. Without any, malloc has to do; it cannot throw. */
static void *last_resort_new(uintptr_t size, uintptr_t b, uintptr_t c)
{
    (void)b, (void)c;
    return real.malloc(size ? size : 1);
}

static void last_resort_delete(void *p, uintptr_t b, uintptr_t c)
{
    (void)b, (void)c;
    real.free(p);
}

static COLD void *find(void **cache, const char *name, void *otherwise)
{
    void *found = real_lookup(name, NULL);
    if (found)
        __atomic_store_n(cache, found, __ATOMIC_RELEASE);
    return found ? found : otherwise;
}

#define NEXT(cache, name, otherwise)                                                                                   \
    (LIKELY(__atomic_load_n(&(cache), __ATOMIC_ACQUIRE)) ? (cache) : find(&(cache), (name), (void *)(otherwise)))

#if UINTPTR_MAX == 0xffffffffu
#define SIZE_CODE "j"
#else
#define SIZE_CODE "m"
#endif

#define NEW_HOOK(name, symbol)                                                                                         \
    EXPORT void *name(uintptr_t size, uintptr_t b, uintptr_t c) __asm__(symbol);                                       \
    EXPORT void *name(uintptr_t size, uintptr_t b, uintptr_t c)                                                        \
    {                                                                                                                  \
        static void *cache;                                                                                            \
        new_function *next = (new_function *)NEXT(cache, symbol, last_resort_new);                                     \
        if (LIKELY(!real_facts.own_new))                                                                               \
            return next(size, b, c);                                                                                   \
        return record_own_new(next(size, b, c), size, __builtin_frame_address(0));                                     \
    }

#define DELETE_HOOK(name, symbol)                                                                                      \
    EXPORT void name(void *p, uintptr_t b, uintptr_t c) __asm__(symbol);                                               \
    EXPORT void name(void *p, uintptr_t b, uintptr_t c)                                                                \
    {                                                                                                                  \
        static void *cache;                                                                                            \
        struct guard guard;                                                                                            \
        struct thread *t;                                                                                              \
        delete_function *next = (delete_function *)NEXT(cache, symbol, last_resort_delete);                            \
        if (LIKELY(!real_facts.own_new)) {                                                                             \
            next(p, b, c);                                                                                             \
            return;                                                                                                    \
        }                                                                                                              \
        t = p ? hook_freeing(&guard, p) : NULL;                                                                        \
        next(p, b, c);                                                                                                 \
        hook_freed(t, &guard, p);                                                                                      \
    }

INLINE void *record_own_new(void *p, uintptr_t size, const void *frame)
{
    struct guard guard;
    struct thread *t = p ? thread_enter(&guard) : NULL;
    (void)frame;
    if (!t)
        return p;
    if (!record_is_live(p)) {
        arch_caller(&t->walk.at);
        record_alloc(t, p, size, 0);
    }
    hook_leave(t, &guard, p);
    return p;
}

#define NOTHROW "RKSt9nothrow_t"
#define ALIGNED "St11align_val_t"

NEW_HOOK(new_one, "_Znw" SIZE_CODE)
NEW_HOOK(new_array, "_Zna" SIZE_CODE)
NEW_HOOK(new_one_nothrow, "_Znw" SIZE_CODE NOTHROW)
NEW_HOOK(new_array_nothrow, "_Zna" SIZE_CODE NOTHROW)
NEW_HOOK(new_one_aligned, "_Znw" SIZE_CODE ALIGNED)
NEW_HOOK(new_array_aligned, "_Zna" SIZE_CODE ALIGNED)
NEW_HOOK(new_one_aligned_nothrow, "_Znw" SIZE_CODE ALIGNED NOTHROW)
NEW_HOOK(new_array_aligned_nothrow, "_Zna" SIZE_CODE ALIGNED NOTHROW)

DELETE_HOOK(delete_one, "_ZdlPv")
DELETE_HOOK(delete_array, "_ZdaPv")
DELETE_HOOK(delete_one_sized, "_ZdlPv" SIZE_CODE)
DELETE_HOOK(delete_array_sized, "_ZdaPv" SIZE_CODE)
DELETE_HOOK(delete_one_nothrow, "_ZdlPv" NOTHROW)
DELETE_HOOK(delete_array_nothrow, "_ZdaPv" NOTHROW)
DELETE_HOOK(delete_one_aligned, "_ZdlPv" ALIGNED)
DELETE_HOOK(delete_array_aligned, "_ZdaPv" ALIGNED)
DELETE_HOOK(delete_one_sized_aligned, "_ZdlPv" SIZE_CODE ALIGNED)
DELETE_HOOK(delete_array_sized_aligned, "_ZdaPv" SIZE_CODE ALIGNED)
DELETE_HOOK(delete_one_aligned_nothrow, "_ZdlPv" ALIGNED NOTHROW)
DELETE_HOOK(delete_array_aligned_nothrow, "_ZdaPv" ALIGNED NOTHROW)
