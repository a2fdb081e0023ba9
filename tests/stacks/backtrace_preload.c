/*
 * The reference for stacks: a preload that lies below the profiler (LD_PRELOAD=libheaptap.so:libstack_log.so) and asks glibc's backtrace(), that is,
 * libgcc's unwinder, for the stack of every allocation that reaches it. Writes STACK_LOG_DIR/stacks.PID[.N] (stack_log.h); without
 * STACK_LOG_DIR it only forwards. STACK_LOG_BYTES bounds the file (default 512 MiB, sparse).
 *
 * Its own frames at the inner end and those of libheaptap.so are dropped; nothing else is changed. glibc only, and the allocator below is glibc's.
 */
#include "stack_log.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void *__libc_valloc(size_t);
extern void *__libc_pvalloc(size_t);

#define HASH_SLOTS (1u << 24)

/* Of one process; a fork child starts anew. */
static struct {
    struct stack_log *log;
    struct log_module *modules;
    struct log_node *nodes;
    struct log_chunk *chunks;
    uint32_t *hash; /* node ids by (parent, address) */
    uint32_t threads;
    uint32_t epoch;
    int state; /* 0 not begun, 1 being begun, 2 in use, 3 nothing to do */
} process = {.epoch = 1};

static struct {
    uint64_t adds, subs;
    uint32_t generation;
    int busy;
} loader = {.adds = ~0ull};

/* Modules whose frames are not the program's: this one and the profiler. */
static struct range {
    uintptr_t start, end;
    bool profiler;
} hidden[4];
static unsigned hidden_count;
static uintptr_t loader_start, loader_end;
static uint32_t early; /* LEFT_OUT_EARLY, before there is a log */

#define THREAD_LOCAL static __thread __attribute__((tls_model("initial-exec")))
THREAD_LOCAL int inside;
THREAD_LOCAL struct {
    uint32_t epoch;
    uint32_t thread;
    uint64_t chunks;
    struct log_chunk *chunk;
    void **frames;
} self;

static void left_out(enum log_left_out why)
{
    if (process.log)
        __atomic_fetch_add(&process.log->left_out[why], 1, __ATOMIC_RELAXED);
}

/* ---- Modules ---- */

static void range_of(const struct dl_phdr_info *info, uintptr_t *start, uintptr_t *end)
{
    *start = UINTPTR_MAX;
    *end = 0;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD) {
            uintptr_t at = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            if (at < *start)
                *start = at;
            if (at + info->dlpi_phdr[i].p_memsz > *end)
                *end = at + info->dlpi_phdr[i].p_memsz;
        }
}

static int note_hidden(struct dl_phdr_info *info, size_t size, void *argument)
{
    uintptr_t start, end, here = (uintptr_t)&note_hidden;
    (void)size, (void)argument;
    range_of(info, &start, &end);
    bool profiler = strstr(info->dlpi_name, "/libheaptap.so");
    if (strstr(info->dlpi_name, "/ld-linux")) {
        loader_start = start;
        loader_end = end;
    }
    if (hidden_count < 4 && (profiler || strstr(info->dlpi_name, "/libstack_log") || (here >= start && here < end)))
        hidden[hidden_count++] = (struct range){start, end, profiler};
    return 0;
}

static const struct range *hidden_at(const void *address)
{
    for (unsigned i = 0; i < hidden_count; i++)
        if ((uintptr_t)address - 1 - hidden[i].start < hidden[i].end - hidden[i].start)
            return &hidden[i];
    return NULL;
}

static int list_changed(struct dl_phdr_info *info, size_t size, void *argument)
{
    bool *changed = argument;
    (void)size;
    *changed = info->dlpi_adds != loader.adds || info->dlpi_subs != loader.subs;
    loader.adds = info->dlpi_adds;
    loader.subs = info->dlpi_subs;
    return 1;
}

static int note_module(struct dl_phdr_info *info, size_t size, void *argument)
{
    uintptr_t start, end;
    (void)size, (void)argument;
    uint32_t row = __atomic_fetch_add(&process.log->modules_used, 1, __ATOMIC_RELAXED);
    if (row >= LOG_MODULE_ROWS)
        return 1;
    range_of(info, &start, &end);
    struct log_module *module = &process.modules[row];
    module->generation = loader.generation;
    module->bias = info->dlpi_addr;
    module->start = start;
    module->end = end;
    if (*info->dlpi_name)
        snprintf(module->path, sizeof module->path, "%s", info->dlpi_name);
    else if (readlink("/proc/self/exe", module->path, sizeof module->path - 1) < 0)
        module->path[0] = 0;
    return 0;
}

/* Generation of the loader's list, which is logged again when it changed. Threads that race for it get the old one: nobody unloads what they run. */
static uint16_t generation(void)
{
    bool changed = false;
    if (__atomic_exchange_n(&loader.busy, 1, __ATOMIC_ACQUIRE))
        return (uint16_t)loader.generation;
    dl_iterate_phdr(list_changed, &changed);
    if (changed) {
        loader.generation++;
        dl_iterate_phdr(note_module, NULL);
    }
    __atomic_store_n(&loader.busy, 0, __ATOMIC_RELEASE);
    return (uint16_t)loader.generation;
}

/* ---- The file ---- */

static int open_file(void)
{
    char path[512];
    const char *directory = getenv("STACK_LOG_DIR");
    int fd = -1;
    if (!directory)
        return -1;
    for (int n = 0; n < 100 && fd < 0; n++) {
        snprintf(path, sizeof path, n ? "%s/stacks.%d.%d" : "%s/stacks.%d", directory, (int)getpid(), n);
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    return fd;
}

static void *map_private(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static bool make_log(void)
{
    const char *asked = getenv("STACK_LOG_BYTES");
    uint64_t bytes = asked ? strtoull(asked, NULL, 10) : 512ull << 20;
    uint64_t modules_at = 4096, nodes_at = modules_at + LOG_MODULE_ROWS * sizeof(struct log_module);
    uint64_t half = bytes / 2 & ~4095ull;
    int fd = open_file();
    if (fd < 0)
        return false;
    uint64_t total = nodes_at + 2 * half;
    void *at = MAP_FAILED;
    if (!ftruncate(fd, (off_t)total))
        at = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    close(fd);
    process.hash = map_private(HASH_SLOTS * sizeof *process.hash);
    if (at == MAP_FAILED || !process.hash)
        return false;
    struct stack_log *log = at;
    log->pid = (uint32_t)getpid();
    log->modules_at = modules_at;
    log->nodes_at = nodes_at;
    log->chunks_at = nodes_at + half;
    log->node_capacity = (uint32_t)(half / sizeof(struct log_node));
    log->chunk_capacity = (uint32_t)(half / sizeof(struct log_chunk));
    log->nodes_used = 1;
    log->left_out[LEFT_OUT_EARLY] = early;
    process.modules = (void *)((char *)at + log->modules_at);
    process.nodes = (void *)((char *)at + log->nodes_at);
    process.chunks = (void *)((char *)at + log->chunks_at);
    memcpy(log->magic, STACK_LOG_MAGIC, sizeof log->magic);
    process.log = log;
    return true;
}

static void in_child(void)
{
    process.log = NULL;
    process.hash = NULL;
    process.threads = 0;
    process.epoch++;
    process.state = 0;
    loader.adds = ~0ull;
    loader.generation = 0;
    loader.busy = 0;
}

/* True when events can be logged. backtrace() loads libgcc_s with dlopen, which must not happen while the loader itself is calling. */
static bool ready(const void *caller)
{
    static bool once;
    int none = 0;
    int state = __atomic_load_n(&process.state, __ATOMIC_ACQUIRE);
    if (state >= 2)
        return state == 2;
    if (!hidden_count)
        dl_iterate_phdr(note_hidden, NULL);
    if (!once && (uintptr_t)caller - loader_start < loader_end - loader_start) {
        __atomic_fetch_add(&early, 1, __ATOMIC_RELAXED);
        return false;
    }
    if (!__atomic_compare_exchange_n(&process.state, &none, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        /* Another thread is at it. Bounded: this one may hold the loader's lock. */
        for (int i = 0; i < 10000 && __atomic_load_n(&process.state, __ATOMIC_ACQUIRE) == 1; i++)
            sched_yield();
        if (process.state == 1)
            __atomic_fetch_add(&early, 1, __ATOMIC_RELAXED);
        return process.state == 2;
    }
    void *frame;
    if (!once) {
        backtrace(&frame, 1);
        pthread_atfork(NULL, NULL, in_child);
        once = true;
    }
    bool made = make_log();
    __atomic_store_n(&process.state, made ? 2 : 3, __ATOMIC_RELEASE);
    return made;
}

static __attribute__((constructor)) void begin(void)
{
    inside = 1;
    ready(NULL);
    inside = 0;
}

/* ---- One allocation ---- */

static uint32_t child_of(uint32_t parent, uint64_t address)
{
    uint64_t h = (address ^ ((uint64_t)parent << 40)) * 0x9e3779b97f4a7c15ull + parent * 0xc2b2ae3d27d4eb4full;
    h ^= h >> 29;
    uint32_t mine = 0;
    for (uint32_t i = (uint32_t)(h % HASH_SLOTS), tries = 0; tries < HASH_SLOTS; i = (i + 1) % HASH_SLOTS, tries++) {
        uint32_t id = __atomic_load_n(&process.hash[i], __ATOMIC_ACQUIRE);
        if (!id) {
            if (!mine) {
                mine = __atomic_fetch_add(&process.log->nodes_used, 1, __ATOMIC_RELAXED);
                if (mine >= process.log->node_capacity)
                    return 0;
                process.nodes[mine] = (struct log_node){address, parent, parent ? process.nodes[parent].depth + 1 : 1};
            }
            if (__atomic_compare_exchange_n(&process.hash[i], &id, mine, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
                return mine;
        }
        if (process.nodes[id].parent == parent && process.nodes[id].address == address)
            return id;
    }
    return 0;
}

static bool thread_ready(void)
{
    if (self.epoch != process.epoch) {
        self.epoch = process.epoch;
        self.thread = __atomic_add_fetch(&process.threads, 1, __ATOMIC_RELAXED);
        self.chunks = 0;
        self.chunk = NULL;
    }
    if (!self.frames)
        self.frames = map_private(LOG_DEPTH_MAX * sizeof(void *)); /* never given back: a test's process is short */
    if (self.chunk && self.chunk->used < LOG_CHUNK_EVENTS)
        return self.frames;
    uint32_t n = __atomic_fetch_add(&process.log->chunks_used, 1, __ATOMIC_RELAXED);
    if (n >= process.log->chunk_capacity) {
        self.chunk = NULL;
        return false;
    }
    self.chunk = &process.chunks[n];
    self.chunk->order = self.chunks++;
    self.chunk->thread = self.thread;
    return self.frames;
}

static __attribute__((noinline)) void record(void *pointer, size_t size, unsigned flags, const void *caller)
{
    if (!ready(caller))
        return;
    if (!thread_ready()) {
        left_out(LEFT_OUT_FULL);
        return;
    }
    int n = backtrace(self.frames, LOG_DEPTH_MAX), first = 0;
    if (n == LOG_DEPTH_MAX) {
        left_out(LEFT_OUT_DEEP);
        return;
    }
    while (first < n && hidden_at(self.frames[first]))
        first++;
    uint32_t node = 0;
    for (int i = n; i-- > first;) {
        const struct range *range = hidden_at(self.frames[i]);
        if (range && range->profiler) { /* never listed in a profile */
            flags |= LOG_IN_SHIM;
            continue;
        }
        node = child_of(node, (uint64_t)(uintptr_t)self.frames[i]);
        if (!node) {
            left_out(LEFT_OUT_FULL);
            return;
        }
    }
    struct log_event *event = &self.chunk->event[self.chunk->used];
    *event = (struct log_event){(uintptr_t)pointer, size, node, generation(), (uint16_t)flags};
    self.chunk->used++;
}

#define LOGGED(pointer, bytes, flags, call)                                                                            \
    do {                                                                                                               \
        if (inside) {                                                                                                  \
            if (inside == 2)                                                                                           \
                left_out(LEFT_OUT_REENTRANT);                                                                          \
            call;                                                                                                      \
            break;                                                                                                     \
        }                                                                                                              \
        inside = 1;                                                                                                    \
        call;                                                                                                          \
        if (pointer) {                                                                                                 \
            int saved = errno;                                                                                         \
            inside = process.state == 2 ? 2 : 1;                                                                       \
            record(pointer, bytes, flags, __builtin_return_address(0));                                                \
            errno = saved;                                                                                             \
        }                                                                                                              \
        inside = 0;                                                                                                    \
    } while (0)

void *malloc(size_t size)
{
    void *p;
    LOGGED(p, size, 0, p = __libc_malloc(size));
    return p;
}

void *calloc(size_t n, size_t size)
{
    void *p;
    LOGGED(p, n * size, 0, p = __libc_calloc(n, size));
    return p;
}

void *realloc(void *old, size_t size)
{
    void *p;
    LOGGED(p, size, LOG_REALLOC, p = __libc_realloc(old, size));
    return p;
}

void *reallocarray(void *old, size_t n, size_t size)
{
    size_t bytes;
    void *p = NULL;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    LOGGED(p, bytes, LOG_REALLOC, p = __libc_realloc(old, bytes));
    return p;
}

void *memalign(size_t alignment, size_t size)
{
    void *p;
    LOGGED(p, size, 0, p = __libc_memalign(alignment, size));
    return p;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    void *p;
    LOGGED(p, size, 0, p = __libc_memalign(alignment, size));
    return p;
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *p;
    if (alignment % sizeof(void *) || (alignment & (alignment - 1)) || !alignment)
        return EINVAL;
    LOGGED(p, size, 0, p = __libc_memalign(alignment, size));
    if (!p)
        return ENOMEM;
    *out = p;
    return 0;
}

void *valloc(size_t size)
{
    void *p;
    LOGGED(p, size, 0, p = __libc_valloc(size));
    return p;
}

void *pvalloc(size_t size)
{
    void *p;
    LOGGED(p, size, 0, p = __libc_pvalloc(size));
    return p;
}
