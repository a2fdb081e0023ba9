/*
 * The functions that the hooks stand in front of: the next definition of each name in symbol order after this library, found by our own lookup in
 * the loaded objects' symbol tables. No dlsym: it may allocate, needs libdl on old glibc, and cannot be called before libc is up.
 *
 * Every pointer may be called at any time, also as the very first code of the process: until real_init() ran it points to a
 * function that runs it. A name that nothing below defines gets a stand-in made of the names that are there, so that a program that tests for the
 * name (weak references) finds one that works.
 */
#ifndef HEAPTAP_REAL_H
#define HEAPTAP_REAL_H

#include <common/base.h>

/* REAL(result, name, parameters, arguments): names as they are exported. */
#define REAL_MALLOC_LIST(REAL)                                                                                         \
    REAL(void *, malloc, (size_t size), (size))                                                                        \
    REAL(void *, calloc, (size_t n, size_t size), (n, size))                                                           \
    REAL(void *, realloc, (void *p, size_t size), (p, size))                                                           \
    REAL(void *, reallocarray, (void *p, size_t n, size_t size), (p, n, size))                                         \
    REAL(void, free, (void *p), (p))                                                                                   \
    REAL(void, cfree, (void *p), (p))                                                                                  \
    REAL(void, free_sized, (void *p, size_t size), (p, size))                                                          \
    REAL(void, free_aligned_sized, (void *p, size_t alignment, size_t size), (p, alignment, size))                     \
    REAL(int, posix_memalign, (void **out, size_t alignment, size_t size), (out, alignment, size))                     \
    REAL(void *, memalign, (size_t alignment, size_t size), (alignment, size))                                         \
    REAL(void *, aligned_alloc, (size_t alignment, size_t size), (alignment, size))                                    \
    REAL(void *, valloc, (size_t size), (size))                                                                        \
    REAL(void *, pvalloc, (size_t size), (size))                                                                       \
    REAL(size_t, malloc_usable_size, (void *p), (p))

/* jemalloc's own interface, which exists under three prefixes. */
#define REAL_JEMALLOC_LIST(REAL, prefix)                                                                               \
    REAL(void *, prefix##mallocx, (size_t size, int flags), (size, flags))                                             \
    REAL(void *, prefix##rallocx, (void *p, size_t size, int flags), (p, size, flags))                                 \
    REAL(size_t, prefix##xallocx, (void *p, size_t size, size_t extra, int flags), (p, size, extra, flags))            \
    REAL(size_t, prefix##sallocx, (const void *p, int flags), (p, flags))                                              \
    REAL(void, prefix##dallocx, (void *p, int flags), (p, flags))                                                      \
    REAL(void, prefix##sdallocx, (void *p, size_t size, int flags), (p, size, flags))                                  \
    REAL(size_t, prefix##nallocx, (size_t size, int flags), (size, flags))

/* jemalloc's malloc family under its two prefixes (jemallocator in Rust, --with-jemalloc-prefix). */
#define REAL_PREFIXED_LIST(REAL, prefix)                                                                               \
    REAL(void *, prefix##malloc, (size_t size), (size))                                                                \
    REAL(void *, prefix##calloc, (size_t n, size_t size), (n, size))                                                   \
    REAL(void *, prefix##realloc, (void *p, size_t size), (p, size))                                                   \
    REAL(void, prefix##free, (void *p), (p))                                                                           \
    REAL(int, prefix##posix_memalign, (void **out, size_t alignment, size_t size), (out, alignment, size))             \
    REAL(void *, prefix##aligned_alloc, (size_t alignment, size_t size), (alignment, size))

#define REAL_MAP_LIST(REAL)                                                                                            \
    REAL(void *, mmap, (void *at, size_t size, int protection, int flags, int fd, long offset),                        \
         (at, size, protection, flags, fd, offset))                                                                    \
    REAL(void *, mmap64, (void *at, size_t size, int protection, int flags, int fd, int64_t offset),                   \
         (at, size, protection, flags, fd, offset))                                                                    \
    REAL(int, munmap, (void *at, size_t size), (at, size))                                                             \
    REAL(void *, mremap, (void *at, size_t size, size_t new_size, int flags, void *new_at),                            \
         (at, size, new_size, flags, new_at))

/* Passed through, only to notice that a seccomp filter goes in. */
#define REAL_SECCOMP_LIST(REAL)                                                                                        \
    REAL(int, prctl, (int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d),                 \
         (option, a, b, c, d))                                                                                         \
    REAL(long, syscall, (long n, long a, long b, long c, long d, long e, long f), (n, a, b, c, d, e, f))

/* Passed through, but for the shim's own memory. */
#define REAL_LOCK_LIST(REAL) REAL(int, mlockall, (int flags), (flags))

/* Passed through, to make room below a limit of addresses. */
#define REAL_LIMIT_LIST(REAL)                                                                                          \
    REAL(int, setrlimit, (int resource, const void *limit), (resource, limit))                                         \
    REAL(int, setrlimit64, (int resource, const void *limit), (resource, limit))                                       \
    REAL(int, prlimit, (int pid, int resource, const void *limit, void *old), (pid, resource, limit, old))             \
    REAL(int, prlimit64, (int pid, int resource, const void *limit, void *old), (pid, resource, limit, old))

/* Passed through, to keep what the child of a signal handler needs. */
#define REAL_FORK_LIST(REAL)                                                                                           \
    REAL(int, fork, (void), ())                                                                                        \
    REAL(int, _Fork, (void), ())

struct dl_phdr_info;

/* Passed through, to know when a thread has the loader's lock. */
#define REAL_WALK_LIST(REAL)                                                                                           \
    REAL(int, dl_iterate_phdr, (int (*visit)(struct dl_phdr_info *, size_t, void *), void *argument), (visit, argument))

#define REAL_LIST(REAL)                                                                                                \
    REAL_MALLOC_LIST(REAL)                                                                                             \
    REAL_JEMALLOC_LIST(REAL, )                                                                                         \
    REAL_JEMALLOC_LIST(REAL, je_)                                                                                      \
    REAL_JEMALLOC_LIST(REAL, _rjem_)                                                                                   \
    REAL_PREFIXED_LIST(REAL, je_)                                                                                      \
    REAL_PREFIXED_LIST(REAL, _rjem_)                                                                                   \
    REAL_MAP_LIST(REAL)                                                                                                \
    REAL_SECCOMP_LIST(REAL)                                                                                            \
    REAL_LOCK_LIST(REAL)                                                                                               \
    REAL_LIMIT_LIST(REAL)                                                                                              \
    REAL_FORK_LIST(REAL)                                                                                               \
    REAL_WALK_LIST(REAL)

struct real {
#define REAL_FIELD(result, name, parameters, arguments) result(*name) parameters;
    REAL_LIST(REAL_FIELD)
#undef REAL_FIELD
};

extern struct real real;

/* What the lookup learnt on the way. Valid after real_init(). */
struct real_facts {
    uintptr_t shim_start, shim_end;       /* this library */
    uintptr_t loader_start, loader_bytes; /* ld.so; on musl, which is one object, libc. 0 bytes: not found */
    uintptr_t allocator_start,
        allocator_end;      /* the object that defines the next malloc, unless it is libc; else empty */
    bool loader_is_libc;    /* one object (musl) */
    bool malloc_elsewhere;  /* an object before this one defines malloc: the program never calls ours */
    char malloc_owner[256]; /* path of the object that defines the malloc in use */
    bool own_new; /* the next operator new comes from the object that defines the next malloc (jemalloc, tcmalloc) */
};
extern struct real_facts real_facts;

/* Looks everything up. Context: any thread, at any time, more than once; allocates nothing, keeps errno. */
void real_init(void);

/*
 * Address of the first definition of `name` after this library in load order, also in objects that were loaded later and RTLD_LOCAL. NULL: none.
 * `owner_start` (may be NULL) gets the start of the defining object.
 * Context: cold; takes the loader's lock through dl_iterate_phdr.
 */
void *real_lookup(const char *name, uintptr_t *owner_start);

/* errno of the calling thread, for the stand-ins and for who makes more calls than the program did. */
int real_errno(void);
void real_set_errno(int value);

/* CLOCK_MONOTONIC_COARSE and CLOCK_REALTIME in ns; 0 when the program's libc has no clock_gettime yet. Makes no system call where there is a vdso. */
uint64_t real_clock_coarse(void);
uint64_t real_clock_wall(void);

#endif
