#include "stage.h"

#include <common/arch.h>
#include <shim/sys.h>
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- The kernel ---- */

#define CALLS_MAX 512

uint32_t stage_page_bytes = 4096;
uint64_t stage_data_limit;
void (*stage_before)(long n);

static uint32_t calls[CALLS_MAX], frozen;
/* What a thread did happened before the kernel says that it is gone. The thread sanitizer does not know, and is told by this word. */
static uint32_t ended;
static struct {
    uint32_t on, nth;
    long call, error, third;
} refused;

void stage_refuse(long n, unsigned nth, long error, long third_argument)
{
    refused.call = n;
    refused.nth = nth;
    refused.error = error;
    refused.third = third_argument;
    word_publish(&refused.on, 1);
}

void stage_allow(void)
{
    word_publish(&refused.on, 0);
}

unsigned stage_calls(long n)
{
    return word_get(&calls[n]);
}

static bool refuses(long n, long third)
{
    if (!word_acquire(&refused.on) || n != refused.call || (refused.third && third != refused.third))
        return false;
    if (!refused.nth)
        return true;
    return word_add(&refused.nth, UINT32_MAX) == 1 && (word_publish(&refused.on, 0), true);
}

/* MADV_POPULATE_WRITE by hand: write() answers EFAULT for a page that cannot be had. */
static long populate(long at, long bytes)
{
    static int nowhere = -1;
    if (nowhere < 0)
        nowhere = memfd_create("nowhere", MFD_CLOEXEC);
    for (long page = at; page < at + bytes; page += 4096)
        if (pwrite(nowhere, (const void *)page, 1, 0) != 1)
            return -EFAULT;
    return 0;
}

/* qemu-user accepts every advice and does nothing; here it is a kernel that knows one of them. */
static long advise(long at, long bytes, long advice)
{
    static const long nonsense = 4095;
    if (arch_syscall(SYS_madvise, at, 0, nonsense, 0, 0, 0))
        return arch_syscall(SYS_madvise, at, bytes, advice, 0, 0, 0);
    return advice == MADV_POPULATE_WRITE ? populate(at, bytes) : -EINVAL;
}

long sys_call(long n, long a, long b, long c, long d, long e, long f)
{
    if (sys_frozen())
        return -EPERM;
    if (refuses(n, c))
        return -refused.error;
    word_add(&calls[n], 1);
    if (stage_before)
        stage_before(n);
    if (n == SYS_madvise && (uintptr_t)a % stage_page_bytes)
        return -EINVAL;
    if (n == SYS_prlimit64 && b == RLIMIT_DATA && stage_data_limit) {
        *(struct rlimit64 *)d = (struct rlimit64){stage_data_limit, RLIM64_INFINITY};
        return 0;
    }
    long result = n == SYS_madvise ? advise(a, b, c) : arch_syscall(n, a, b, c, d, e, f);
    if (n == SYS_tgkill && result == -ESRCH)
        word_acquire(&ended);
    return result;
}

long sys_call_undo(long n, long a, long b, long c, long d, long e, long f)
{
    return arch_syscall(n, a, b, c, d, e, f);
}

void sys_freeze(void)
{
    word_publish(&frozen, 1);
}

void sys_thaw(void)
{
    word_publish(&frozen, 0);
}

bool sys_frozen(void)
{
    return word_acquire(&frozen);
}

/* ---- Tables ---- */

struct ht_header stage_header;

void stage_table(enum ht_section_id id, uint32_t record_bytes, uint32_t step_bytes, uint32_t capacity, uint64_t backed)
{
    int fd = memfd_create("table", 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)backed), 0);
    size_t bytes = align_up((uint64_t)capacity * record_bytes + 1, 4096);
    char *room = mmap(NULL, bytes + HT_SECTION_ALIGN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(room != MAP_FAILED);
    char *base = room + (-(uintptr_t)room & (HT_SECTION_ALIGN - 1));
    ck_assert(mmap(base, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == base);
    close(fd);
    stage_header.section[id] = (struct ht_section){.record_bytes = record_bytes};
    section[id] = (struct section){.base = base,
                                   .file = &stage_header.section[id],
                                   .record_bytes = record_bytes,
                                   .step_bytes = step_bytes,
                                   .capacity = capacity};
}

void stage_tables(uint32_t capacity)
{
    static const uint32_t bytes[] = {[HT_MODULES] = sizeof(struct ht_module),
                                     [HT_PLACES] = sizeof(struct ht_place),
                                     [HT_NODES] = sizeof(struct ht_node),
                                     [HT_SITES] = sizeof(struct ht_site),
                                     [HT_SLOTS] = sizeof(struct ht_slot),
                                     [HT_CHUNKS] = sizeof(struct ht_chunk),
                                     [HT_CELLS] = sizeof(struct ht_cell) * HT_SITES_PER_CHUNK,
                                     [HT_LINES] = sizeof(struct ht_line),
                                     [HT_MAPS] = sizeof(struct ht_map),
                                     [HT_RING] = sizeof(struct ht_block)};
    for (enum ht_section_id id = 0; id <= HT_RING; id++)
        stage_table(id, bytes[id], 16384, capacity, align_up((uint64_t)capacity * bytes[id], 4096));
}

/* ---- Threads ---- */

static pthread_barrier_t gate;

struct worker {
    pthread_t thread;
    long tid;
    unsigned i;
    void (*work)(unsigned);
};

static void *begin(void *argument)
{
    struct worker *worker = argument;
    worker->tid = syscall(SYS_gettid);
    pthread_barrier_wait(&gate);
    worker->work(worker->i);
    __atomic_fetch_add(&ended, 1, __ATOMIC_RELEASE);
    return NULL;
}

/* Who is joined has let go of its stack, and may still be there for a moment: its state would not be taken by another one. */
static void wait_until_gone(long tid)
{
    for (int i = 0; i < 20000 && syscall(SYS_tgkill, getpid(), tid, 0) == 0; i++)
        usleep(100);
}

void stage_crowd(unsigned count, void (*work)(unsigned i))
{
    struct worker workers[64];
    ck_assert_uint_le(count, ARRAY_LEN(workers));
    pthread_barrier_init(&gate, NULL, count);
    for (unsigned i = 0; i < count; i++) {
        workers[i] = (struct worker){.i = i, .work = work};
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, begin, &workers[i]), 0);
    }
    for (unsigned i = 0; i < count; i++)
        pthread_join(workers[i].thread, NULL);
    for (unsigned i = 0; i < count; i++)
        wait_until_gone(workers[i].tid);
    pthread_barrier_destroy(&gate);
}

struct thread *stage_thread(uint32_t depth)
{
    static struct thread *made[1024]; /* keeps them reachable, for the leak sanitizer */
    static uint32_t count;
    struct thread *t = calloc(1, thread_bytes((struct thread_shape){depth, THREAD_MANY}));
    ck_assert_ptr_nonnull(t);
    thread_set_arrays(t, (struct thread_shape){depth, THREAD_MANY});
    made[word_add(&count, 1) % ARRAY_LEN(made)] = t;
    return t;
}

uint32_t stage_random(uint32_t *state)
{
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}
