/*
 * libcount.so: counts what reaches it, to be compared with what heaptap says. Preloaded below the shim:
 * LD_PRELOAD=libheaptap.so:libcount.so. It knows nothing of heaptap and has its own table, its own file and its own idea of a process.
 *
 * The real functions are glibc's __libc_* names, which call no public one: every call that comes in here is one that a program (or the libc on its
 * behalf) made, and counts. Not for signal handlers that allocate: one lock guards the table.
 */
#include "count.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define TABLE_BITS 22
#define TABLE_SLOTS ((size_t)1 << TABLE_BITS)

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *p);

struct block {
    uintptr_t address; /* 0: empty */
    size_t size;
};

/* All that a fork child must not inherit. The kernel empties it in the child (MADV_WIPEONFORK), also after a raw clone. */
struct image {
    atomic_flag lock;
    _Atomic bool ready;
    struct count_file *file;
    size_t used;
    struct block table[TABLE_SLOTS];
};

static _Atomic(struct image *) image;
static struct count_file nowhere; /* when no file can be made */

static void lock(struct image *in)
{
    while (atomic_flag_test_and_set_explicit(&in->lock, memory_order_acquire))
        ;
}

static void unlock(struct image *in)
{
    atomic_flag_clear_explicit(&in->lock, memory_order_release);
}

static void *raw_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    return (void *)syscall(SYS_mmap, at, size, protection, flags, fd, offset);
}

static struct count_file *file_make(bool forked)
{
    const char *directory = getenv("COUNT_DIR");
    char path[512];
    int fd = -1;
    if (!directory)
        return &nowhere;
    for (int n = 0; n < 1000 && fd < 0; n++) {
        snprintf(path, sizeof path, "%s/count.%d.%d", directory, (int)getpid(), n);
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 && errno != EEXIST)
            return &nowhere;
    }
    struct count_file *file = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, sizeof *file) == 0)
        file = raw_mmap(NULL, sizeof *file, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (file == MAP_FAILED)
        return &nowhere;
    file->pid = (uint32_t)getpid();
    file->forked = forked;
    if (readlink("/proc/self/exe", file->exe, sizeof file->exe - 1) < 0)
        file->exe[0] = 0;
    return file;
}

/* The present image, locked. */
static struct image *enter(void)
{
    struct image *in = atomic_load(&image);
    bool forked = in;
    if (!in) {
        in = raw_mmap(NULL, sizeof *in, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (in == MAP_FAILED || madvise(in, sizeof *in, MADV_WIPEONFORK))
            abort();
        struct image *none = NULL;
        if (!atomic_compare_exchange_strong(&image, &none, in)) {
            syscall(SYS_munmap, in, sizeof *in);
            in = none;
        }
    }
    lock(in);
    if (!in->ready) {
        int saved = errno;
        in->file = file_make(forked);
        in->ready = true;
        errno = saved;
    }
    return in;
}

static size_t home(uintptr_t address)
{
    return (size_t)((address >> 4) * 0x9e3779b97f4a7c15u >> (64 - TABLE_BITS));
}

static struct block *find(struct image *in, uintptr_t address)
{
    size_t i = home(address);
    while (in->table[i].address && in->table[i].address != address)
        i = (i + 1) & (TABLE_SLOTS - 1);
    return &in->table[i];
}

/* Closes the hole by moving back what was displaced over it. */
static void erase(struct image *in, struct block *block)
{
    size_t hole = (size_t)(block - in->table), i = hole;
    for (;;) {
        i = (i + 1) & (TABLE_SLOTS - 1);
        if (!in->table[i].address)
            break;
        if (((i - home(in->table[i].address)) & (TABLE_SLOTS - 1)) >= ((i - hole) & (TABLE_SLOTS - 1))) {
            in->table[hole] = in->table[i];
            hole = i;
        }
    }
    in->table[hole] = (struct block){0};
    in->used--;
}

static void drop(struct image *in, void *p)
{
    struct block *block = find(in, (uintptr_t)p);
    if (!block->address) {
        in->file->strangers++;
        return;
    }
    in->file->frees++;
    in->file->free_bytes += block->size;
    in->file->live--;
    in->file->live_bytes -= block->size;
    erase(in, block);
}

static void *counted(void *p, size_t size)
{
    if (!p)
        return NULL;
    struct image *in = enter();
    struct block *block = find(in, (uintptr_t)p);
    in->file->allocs++;
    in->file->alloc_bytes += size;
    in->file->live++;
    in->file->live_bytes += size;
    if (block->address || in->used > TABLE_SLOTS / 4 * 3) {
        in->file->full = 1;
    } else {
        *block = (struct block){(uintptr_t)p, size};
        in->used++;
    }
    unlock(in);
    return p;
}

EXPORT void *malloc(size_t size)
{
    return counted(__libc_malloc(size), size);
}

EXPORT void *calloc(size_t n, size_t size)
{
    return counted(__libc_calloc(n, size), n * size);
}

EXPORT void free(void *p)
{
    if (p) {
        struct image *in = enter();
        drop(in, p);
        unlock(in);
    }
    __libc_free(p);
}

/* The old block leaves the table only when it is certain that it is gone; the lock keeps its address from being handed out and counted meanwhile. */
EXPORT void *realloc(void *p, size_t size)
{
    if (!p)
        return malloc(size);
    struct image *in = enter();
    void *q = __libc_realloc(p, size);
    if (q || !size)
        drop(in, p);
    unlock(in);
    return counted(q, size);
}

EXPORT void *reallocarray(void *p, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(p, bytes);
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    return counted(__libc_memalign(alignment, size), size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    return counted(__libc_memalign(alignment, size), size);
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t size)
{
    if (alignment % sizeof(void *) || alignment & (alignment - 1) || !alignment)
        return EINVAL;
    int saved = errno;
    void *p = counted(__libc_memalign(alignment, size), size);
    errno = saved;
    if (!p)
        return ENOMEM;
    *out = p;
    return 0;
}

EXPORT void *valloc(size_t size)
{
    return counted(__libc_memalign((size_t)getpagesize(), size), size);
}

EXPORT void *pvalloc(size_t size)
{
    size_t page = (size_t)getpagesize();
    return counted(__libc_memalign(page, (size + page - 1) & ~(page - 1)), size);
}

EXPORT void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    void *p = raw_mmap(at, size, protection, flags, fd, offset);
    if (p != MAP_FAILED) {
        struct image *in = enter();
        in->file->maps++;
        in->file->map_bytes += (size + 4095) & ~(size_t)4095;
        unlock(in);
    }
    return p;
}

EXPORT void *mmap64(void *at, size_t size, int protection, int flags, int fd, off64_t offset)
{
    return mmap(at, size, protection, flags, fd, offset);
}

EXPORT int munmap(void *at, size_t size)
{
    int result = (int)syscall(SYS_munmap, at, size);
    if (result == 0) {
        struct image *in = enter();
        in->file->unmaps++;
        unlock(in);
    }
    return result;
}
