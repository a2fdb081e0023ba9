#include "real.h"

#include "cold.h"
#include "elf_lookup.h"
#include "loader.h"
#include <common/text.h>
#include <errno.h>
#include <time.h>

struct real_facts real_facts;

static int *(*next_errno_location)(void);
static int (*next_clock_gettime)(clockid_t, struct timespec *);

/* ---- Stand-ins for names that nothing below defines. Each is built on names that every libc has. ---- */

int real_errno(void)
{
    return next_errno_location ? *next_errno_location() : 0;
}

void real_set_errno(int value)
{
    if (next_errno_location)
        *next_errno_location() = value;
}

static void *absent_pointer(void)
{
    real_set_errno(ENOMEM);
    return NULL;
}

static bool product(size_t n, size_t size, size_t *bytes)
{
    return !__builtin_mul_overflow(n, size, bytes);
}

static void *absent_malloc(size_t size)
{
    (void)size;
    return absent_pointer();
}

static void *absent_calloc(size_t n, size_t size)
{
    (void)n, (void)size;
    return absent_pointer();
}

static void *absent_realloc(void *p, size_t size)
{
    (void)p, (void)size;
    return absent_pointer();
}

static void absent_free(void *p)
{
    (void)p;
}

static void *absent_reallocarray(void *p, size_t n, size_t size)
{
    size_t bytes;
    return product(n, size, &bytes) ? real.realloc(p, bytes) : absent_pointer();
}

static void absent_cfree(void *p)
{
    real.free(p);
}

static void absent_free_sized(void *p, size_t size)
{
    (void)size;
    real.free(p);
}

static void absent_free_aligned_sized(void *p, size_t alignment, size_t size)
{
    (void)alignment, (void)size;
    real.free(p);
}

static int absent_posix_memalign(void **out, size_t alignment, size_t size)
{
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)))
        return EINVAL;
    void *p = real.aligned_alloc(alignment, size);
    if (!p)
        return ENOMEM;
    *out = p;
    return 0;
}

static void *absent_memalign(size_t alignment, size_t size)
{
    return real.aligned_alloc(alignment, size);
}

static void *absent_aligned_alloc(size_t alignment, size_t size)
{
    (void)alignment, (void)size;
    return absent_pointer();
}

#define STAND_IN_PAGE 4096u /* only where libc itself knows no valloc */

static void *absent_valloc(size_t size)
{
    return real.memalign(STAND_IN_PAGE, size);
}

static void *absent_pvalloc(size_t size)
{
    return size > SIZE_MAX - STAND_IN_PAGE ? absent_pointer()
                                           : real.memalign(STAND_IN_PAGE, align_up(size, STAND_IN_PAGE));
}

static size_t absent_malloc_usable_size(void *p)
{
    (void)p;
    return 0;
}

/* jemalloc's flags: lg(alignment) in the low six bits, MALLOCX_ZERO. */
#define JE_LG_ALIGN(flags) ((unsigned)(flags)&63u)
#define JE_ZERO 0x40

static void *stand_in_mallocx(size_t size, int flags)
{
    size_t alignment = (size_t)1 << JE_LG_ALIGN(flags);
    if (alignment <= 2 * sizeof(void *))
        return flags & JE_ZERO ? real.calloc(1, size) : real.malloc(size);
    char *p = real.memalign(alignment, size);
    if (p && (flags & JE_ZERO))
        for (size_t i = 0; i < size; i++)
            ((volatile char *)p)[i] = 0;
    return p;
}

/* One block of stand-ins a prefix. Without jemalloc below, a size is what malloc_usable_size says. */
#define ABSENT_JEMALLOC(prefix)                                                                                        \
    static void *absent_##prefix##mallocx(size_t size, int flags)                                                      \
    {                                                                                                                  \
        return stand_in_mallocx(size, flags);                                                                          \
    }                                                                                                                  \
    static void *absent_##prefix##rallocx(void *p, size_t size, int flags)                                             \
    {                                                                                                                  \
        (void)flags;                                                                                                   \
        return real.realloc(p, size);                                                                                  \
    }                                                                                                                  \
    static size_t absent_##prefix##xallocx(void *p, size_t size, size_t extra, int flags)                              \
    {                                                                                                                  \
        (void)size, (void)extra, (void)flags;                                                                          \
        return real.malloc_usable_size(p);                                                                             \
    }                                                                                                                  \
    static size_t absent_##prefix##sallocx(const void *p, int flags)                                                   \
    {                                                                                                                  \
        (void)flags;                                                                                                   \
        return real.malloc_usable_size((void *)(uintptr_t)p);                                                          \
    }                                                                                                                  \
    static void absent_##prefix##dallocx(void *p, int flags)                                                           \
    {                                                                                                                  \
        (void)flags;                                                                                                   \
        real.free(p);                                                                                                  \
    }                                                                                                                  \
    static void absent_##prefix##sdallocx(void *p, size_t size, int flags)                                             \
    {                                                                                                                  \
        (void)size, (void)flags;                                                                                       \
        real.free(p);                                                                                                  \
    }                                                                                                                  \
    static size_t absent_##prefix##nallocx(size_t size, int flags)                                                     \
    {                                                                                                                  \
        (void)flags;                                                                                                   \
        return size;                                                                                                   \
    }
ABSENT_JEMALLOC()
ABSENT_JEMALLOC(je_)
ABSENT_JEMALLOC(_rjem_)

#define ABSENT_PREFIXED(prefix)                                                                                        \
    static void *absent_##prefix##malloc(size_t size)                                                                  \
    {                                                                                                                  \
        return real.malloc(size);                                                                                      \
    }                                                                                                                  \
    static void *absent_##prefix##calloc(size_t n, size_t size)                                                        \
    {                                                                                                                  \
        return real.calloc(n, size);                                                                                   \
    }                                                                                                                  \
    static void *absent_##prefix##realloc(void *p, size_t size)                                                        \
    {                                                                                                                  \
        return real.realloc(p, size);                                                                                  \
    }                                                                                                                  \
    static void absent_##prefix##free(void *p)                                                                         \
    {                                                                                                                  \
        real.free(p);                                                                                                  \
    }                                                                                                                  \
    static int absent_##prefix##posix_memalign(void **out, size_t alignment, size_t size)                              \
    {                                                                                                                  \
        return real.posix_memalign(out, alignment, size);                                                              \
    }                                                                                                                  \
    static void *absent_##prefix##aligned_alloc(size_t alignment, size_t size)                                         \
    {                                                                                                                  \
        return real.aligned_alloc(alignment, size);                                                                    \
    }
ABSENT_PREFIXED(je_)
ABSENT_PREFIXED(_rjem_)

#define MAP_FAILED_POINTER ((void *)-1)

static void *absent_mmap(void *at, size_t size, int protection, int flags, int fd, long offset)
{
    (void)at, (void)size, (void)protection, (void)flags, (void)fd, (void)offset;
    real_set_errno(ENOSYS);
    return MAP_FAILED_POINTER;
}

/* musl has no names of its own for 64-bit offsets: its off_t is one. On a 64-bit machine the two are the same. */
static void *absent_mmap64(void *at, size_t size, int protection, int flags, int fd, int64_t offset)
{
    if (sizeof(long) == 8)
        return real.mmap(at, size, protection, flags, fd, (long)offset);
    return ((void *(*)(void *, size_t, int, int, int, int64_t))real.mmap)(at, size, protection, flags, fd, offset);
}

static int absent_munmap(void *at, size_t size)
{
    (void)at, (void)size;
    real_set_errno(ENOSYS);
    return -1;
}

static void *absent_mremap(void *at, size_t size, size_t new_size, int flags, void *new_at)
{
    (void)at, (void)size, (void)new_size, (void)flags, (void)new_at;
    real_set_errno(ENOSYS);
    return MAP_FAILED_POINTER;
}

static int absent_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
    (void)option, (void)a, (void)b, (void)c, (void)d;
    real_set_errno(ENOSYS);
    return -1;
}

static long absent_syscall(long n, long a, long b, long c, long d, long e, long f)
{
    (void)n, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f;
    real_set_errno(ENOSYS);
    return -1;
}

static int absent_mlockall(int flags)
{
    (void)flags;
    real_set_errno(ENOSYS);
    return -1;
}

static int absent_setrlimit(int resource, const void *limit)
{
    (void)resource, (void)limit;
    real_set_errno(ENOSYS);
    return -1;
}

static int absent_prlimit(int pid, int resource, const void *limit, void *old)
{
    (void)pid, (void)resource, (void)limit, (void)old;
    real_set_errno(ENOSYS);
    return -1;
}

/* As mmap64: who has no names for 64-bit limits has no other ones. */
static int absent_setrlimit64(int resource, const void *limit)
{
    return real.setrlimit(resource, limit);
}

static int absent_prlimit64(int pid, int resource, const void *limit, void *old)
{
    return real.prlimit(pid, resource, limit, old);
}

static int absent_fork(void)
{
    real_set_errno(ENOSYS);
    return -1;
}

/* Before POSIX.1-2024 it was fork that could be called in signal handlers. */
static int absent__Fork(void)
{
    return real.fork();
}

static int absent_dl_iterate_phdr(int (*visit)(struct dl_phdr_info *, size_t, void *), void *argument)
{
    (void)visit, (void)argument;
    return 0;
}

/* ---- First calls: look everything up, then call what was found. ---- */

#define REAL_FIRST(result, name, parameters, arguments)                                                                \
    static result first_##name parameters                                                                              \
    {                                                                                                                  \
        real_init();                                                                                                   \
        return real.name arguments;                                                                                    \
    }
REAL_LIST(REAL_FIRST)

struct real real = {
#define REAL_INITIAL(result, name, parameters, arguments) .name = first_##name,
    REAL_LIST(REAL_INITIAL)};

/* ---- The lookup ---- */

struct wanted {
    const char *name;
    void **slot;
    void *absent;
};

static const struct wanted wanted[] = {
#define REAL_WANTED(result, name, parameters, arguments) {#name, (void **)&real.name, (void *)absent_##name},
    REAL_LIST(REAL_WANTED){"__errno_location", (void **)&next_errno_location, NULL},
    {"clock_gettime", (void **)&next_clock_gettime, NULL}, /* where libc has none, in glibc's librt */
};

#define NEW_PLAIN (sizeof(size_t) == 8 ? "_Znwm" : "_Znwj")

struct search {
    void *found[ARRAY_LEN(wanted)];
    uint32_t hash[ARRAY_LEN(wanted)];
    uintptr_t malloc_owner, new_owner;
    bool past_shim;
    bool first_object;
};

static void object_range(const struct dl_phdr_info *info, uintptr_t *start, uintptr_t *end)
{
    *start = UINTPTR_MAX;
    *end = 0;
    for (size_t i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD) {
            uintptr_t at = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            *start = MIN(*start, at);
            *end = MAX(*end, at + info->dlpi_phdr[i].p_memsz);
        }
}

static bool object_symbols(const struct dl_phdr_info *info, struct elf_symbols *object)
{
    return elf_symbols(elf_dynamic(info->dlpi_phdr, info->dlpi_phnum, info->dlpi_addr), info->dlpi_addr, object);
}

static void note_malloc_owner(const struct dl_phdr_info *info, bool elsewhere)
{
    const char *path = info->dlpi_name && *info->dlpi_name ? info->dlpi_name : "the program itself";
    text_copy(real_facts.malloc_owner, sizeof real_facts.malloc_owner, path);
    real_facts.malloc_elsewhere = elsewhere;
}

/* The loader is the object that starts where the program's PT_INTERP says, by name; its last component is enough. */
static char loader_name[64];

static void note_loader_name(const struct dl_phdr_info *info)
{
    for (size_t i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_INTERP)
            text_copy(loader_name, sizeof loader_name,
                      text_basename((const char *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr)));
}

static int visit(struct dl_phdr_info *info, size_t size, void *argument)
{
    struct search *search = argument;
    struct elf_symbols object;
    uintptr_t start, end;
    (void)size;
    object_range(info, &start, &end);
    if (search->first_object)
        note_loader_name(info);
    search->first_object = false;
    if ((uintptr_t)&real - start < end - start) {
        real_facts.shim_start = start;
        real_facts.shim_end = end;
        search->past_shim = true;
        return 0;
    }
    if (*loader_name && info->dlpi_name && text_equal(text_basename(info->dlpi_name), loader_name)) {
        real_facts.loader_start = start;
        real_facts.loader_bytes = end - start;
    }
    if (!object_symbols(info, &object))
        return 0;
    if (!search->past_shim) {
        if (!real_facts.malloc_elsewhere && elf_lookup(&object, "malloc", elf_gnu_hash("malloc")))
            note_malloc_owner(info, true);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        if (search->found[i])
            continue;
        search->found[i] = elf_lookup(&object, wanted[i].name, search->hash[i]);
        if (search->found[i] && i == 0) {
            search->malloc_owner = start;
            if (!elf_lookup(&object, "getenv", elf_gnu_hash("getenv"))) {
                real_facts.allocator_start = start;
                real_facts.allocator_end = end;
            }
            if (!real_facts.malloc_elsewhere)
                note_malloc_owner(info, false);
        }
    }
    if (!search->new_owner && elf_lookup(&object, NEW_PLAIN, elf_gnu_hash(NEW_PLAIN)))
        search->new_owner = start;
    return 0;
}

static void look_up(void *unused)
{
    static struct search search;
    (void)unused;
    search.first_object = true;
    search.past_shim = false;
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        search.hash[i] = elf_gnu_hash(wanted[i].name);
    loader_walk(visit, &search);
    real_facts.loader_is_libc = real_facts.loader_bytes && search.malloc_owner == real_facts.loader_start;
    real_facts.own_new = search.new_owner && search.new_owner == search.malloc_owner;
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        __atomic_store_n(wanted[i].slot, search.found[i] ? search.found[i] : wanted[i].absent, __ATOMIC_RELEASE);
    /* Not one that tells another time (libfaketime), nor one that may allocate, or wait for a lock. */
    void *clock = loader_libc("clock_gettime");
    if (clock)
        __atomic_store_n((void **)&next_clock_gettime, clock, __ATOMIC_RELEASE);
}

COLD_STACK(door, 32u << 10, 1);

void real_init(void)
{
    /* A thread that finds another one inside needs an answer all the same; the search gives the same one twice. */
    if (!cold_run(&door, look_up, NULL))
        look_up(NULL);
}

struct single {
    const char *name;
    uint32_t hash;
    bool past_shim;
    void *found;
    uintptr_t owner;
};

static int visit_single(struct dl_phdr_info *info, size_t size, void *argument)
{
    struct single *single = argument;
    struct elf_symbols object;
    uintptr_t start, end;
    (void)size;
    object_range(info, &start, &end);
    if (start == real_facts.shim_start) {
        single->past_shim = true;
        return 0;
    }
    if (!single->past_shim || !object_symbols(info, &object))
        return 0;
    single->found = elf_lookup(&object, single->name, single->hash);
    single->owner = start;
    return single->found != NULL;
}

void *real_lookup(const char *name, uintptr_t *owner_start)
{
    struct single single = {.name = name, .hash = elf_gnu_hash(name)};
    if (!real_facts.shim_end)
        real_init();
    loader_walk(visit_single, &single);
    if (owner_start)
        *owner_start = single.owner;
    return single.found;
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    if (!next_clock_gettime || next_clock_gettime(clock, &now))
        return 0;
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t real_clock_coarse(void)
{
    return clock_ns(CLOCK_MONOTONIC_COARSE);
}

uint64_t real_clock_wall(void)
{
    return clock_ns(CLOCK_REALTIME);
}
