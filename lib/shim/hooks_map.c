/*
 * mmap and its family. What an allocator below maps for itself is not the program's: mostly it comes in while a hook of ours is at work, but not under
 * operator new, nor from a thread of its own. So what an allocator calls is told by where it calls from. brk, and mappings made inside libc
 * (thread stacks, its malloc), do not pass here at all.
 */
#include "hooks.h"

#include "section.h"
#include <linux/mman.h>

#define PAGE 4096u /* sizes count in these; a larger real page rounds further up in the kernel */
#define FAILED ((void *)-1)
#define FLAG_FIXED_NOREPLACE 0x100000

/* The guard of a hook whose caller is the program. NULL: only forward. */
#define ENTER(guard) (from_allocator((uintptr_t)__builtin_return_address(0)) ? NULL : thread_enter(guard))

INLINE bool from_allocator(uintptr_t pc)
{
    return UNLIKELY(pc - real_facts.allocator_start < real_facts.allocator_end - real_facts.allocator_start);
}

/* Takes out what a call is about to replace. All but the last few are accounted for at once. */
static void take_maps(struct thread *t, const void *p, uint64_t size)
{
    threads_forget_stacks((uintptr_t)p, (uintptr_t)p + (uintptr_t)size);
    while (record_take_maps(t, p, size))
        record_unmapped(t, p, size);
}

INLINE void *hook_mapped(struct thread *t, struct guard *guard, void *p, uint64_t size, int protection)
{
    if (p == FAILED) {
        record_put_back_maps(t);
    } else {
        arch_caller(&t->walk.at);
        if (t->taken.count)
            record_unmapped(t, p, size);
        record_map(t, p, size, protection ? HT_KIND_MAP : HT_KIND_RESERVE);
    }
    hook_leave(t, guard, p);
    return p;
}

#define MMAP_HOOK(name, offset_type)                                                                                   \
    HOOK(void *, name, (void *at, size_t size, int protection, int flags, int fd, offset_type offset))                 \
    {                                                                                                                  \
        struct guard guard;                                                                                            \
        struct thread *t = ENTER(&guard);                                                                              \
        if (!t)                                                                                                        \
            return real.name(at, size, protection, flags, fd, offset);                                                 \
        uint64_t bytes = align_up(size, PAGE);                                                                         \
        t->taken.count = 0;                                                                                            \
        if ((flags & MAP_FIXED) && !(flags & FLAG_FIXED_NOREPLACE))                                                    \
            take_maps(t, at, bytes);                                                                                   \
        void *p = real.name(at, size, protection, flags, fd, offset);                                                  \
        return hook_mapped(t, &guard, p, bytes, protection);                                                           \
    }
MMAP_HOOK(mmap, long)
MMAP_HOOK(mmap64, int64_t)

HOOK(int, munmap, (void *at, size_t size))
{
    struct guard guard;
    struct thread *t = ENTER(&guard);
    if (!t) {
        threads_forget_stacks((uintptr_t)at, (uintptr_t)at + size); /* an allocator's stacks are as good as others */
        return real.munmap(at, size);
    }
    uint64_t bytes = align_up(size, PAGE);
    t->taken.count = 0;
    if (bytes && !((uintptr_t)at & (PAGE - 1)))
        take_maps(t, at, bytes);
    int error = real.munmap(at, size);
    if (error)
        record_put_back_maps(t);
    else
        record_unmapped(t, at, bytes);
    hook_leave(t, &guard, at);
    return error;
}

static int protection_of_taken(const struct thread *t)
{
    if (!t->taken.count || t->taken.map[0].site >= section[HT_SITES].capacity)
        return PROT_READ;
    const struct ht_site *site = SECTION_RECORD(const struct ht_site, HT_SITES, t->taken.map[0].site);
    return site->kind == HT_KIND_RESERVE ? PROT_NONE : PROT_READ;
}

/* In libc the last argument is variadic; as a fifth argument it is in the same place on every processor there is. */
HOOK(void *, mremap, (void *at, size_t size, size_t new_size, int flags, void *new_at))
{
    struct guard guard;
    struct thread *t = ENTER(&guard);
    if (!t)
        return real.mremap(at, size, new_size, flags, new_at);
    uint64_t bytes = align_up(size, PAGE), new_bytes = align_up(new_size, PAGE);
    t->taken.count = 0;
    if (bytes && !(flags & MREMAP_DONTUNMAP))
        take_maps(t, at, bytes);
    void *p = real.mremap(at, size, new_size, flags, new_at);
    if (p == FAILED) {
        record_put_back_maps(t);
    } else {
        int protection = protection_of_taken(t);
        record_unmapped(t, at, bytes);
        if (flags & MREMAP_FIXED) {
            take_maps(t, new_at, new_bytes);
            record_unmapped(t, new_at, new_bytes);
        }
        arch_caller(&t->walk.at);
        record_map(t, p, new_bytes, protection ? HT_KIND_MAP : HT_KIND_RESERVE);
    }
    hook_leave(t, &guard, p);
    return p;
}
