#include "memory.h"

#include "addresses.h"
#include "sys.h"
#include <linux/mman.h>

#define MAPPINGS_MAX 8192
#define PIECES_BYTES (256u << 10)

static struct mapping {
    void *at;
    size_t bytes;
} mappings[MAPPINGS_MAX];
static uint32_t mapping_count;
static uint32_t wipe_refused;
static size_t total_bytes;

/* Read once: it may be more than there is room for, for a moment. */
static uint32_t count_mappings(void)
{
    uint32_t count = __atomic_load_n(&mapping_count, __ATOMIC_SEQ_CST);
    return MIN(count, MAPPINGS_MAX);
}

static uint32_t keepers;  /* fork children shall find the memory as it is */
static uint32_t advising; /* a lock: the number of keepers, and what the kernel was told for that */

/* Pieces: (chunk, next free byte) in one word would not fit 32 bits, so a chunk has its own counter at its start. */
struct chunk {
    uint32_t used;
};
static struct chunk *chunk;

/* What memory_set_aside made, and how far it is used; end 0: nothing. */
#define ASIDE_BYTES ((size_t)(sizeof(void *) == 4 ? 64 : 512) << 20)
static struct memory_range aside;
static uintptr_t aside_used;
static uint32_t aside_begun;

/* Of what was set aside. */
static COLD void *fill_aside(size_t bytes)
{
    size_t room = align_up(bytes, HT_SECTION_ALIGN); /* the largest page there is */
    bool filled = false;
    struct sys_signals signals;
    addresses_hold(&signals);
    uintptr_t at = __atomic_load_n(&aside_used, __ATOMIC_RELAXED), end = __atomic_load_n(&aside.end, __ATOMIC_SEQ_CST);
    while (at <= end && room <= end - at && !filled)
        filled = __atomic_compare_exchange_n(&aside_used, &at, at + room, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    filled = filled && !sys_fill((void *)at, bytes);
    addresses_let_go(&signals);
    return filled ? (void *)at : NULL;
}

static bool is_aside(const void *at)
{
    return UNLIKELY((uintptr_t)at - aside.start < aside.end - aside.start);
}

/* What was set aside has no holes: it is unlocked as a whole. */
static void let_go(void *at, size_t bytes)
{
    if (is_aside(at))
        memory_empty(at, bytes);
    else
        sys_unmap(at, bytes);
}

/* What is to be zero in a fork child, unless wiping it there is left to us. */
static void *map_wiped(size_t bytes)
{
    uintptr_t end = __atomic_load_n(&aside.end, __ATOMIC_ACQUIRE);
    void *at = UNLIKELY(end) ? fill_aside(bytes) : sys_map_anonymous(NULL, bytes, NULL);
    if (!at)
        return NULL;
    if (sys_advise(at, bytes, MADV_WIPEONFORK) < 0) {
        if (!word_get(&mapping_count))
            word_set(&wipe_refused, 1);
        if (memory_wiped_by_kernel()) { /* this one alone would keep its contents in a fork child, which would take the parent's state for its own */
            let_go(at, bytes);
            return NULL;
        }
    }
    return at;
}

bool memory_kept(void)
{
    return __atomic_load_n(&keepers, __ATOMIC_SEQ_CST) != 0;
}

static bool enter(struct sys_signals *signals)
{
    sys_block_signals(signals);
    struct sys_wait wait = {0};
    do {
        if (!word_get(&advising) && word_swap(&advising, 0, 1))
            return true;
    } while (sys_wait(&wait, SYS_WAIT_MS));
    sys_restore_signals(signals);
    return false;
}

static void leave(const struct sys_signals *signals)
{
    word_publish(&advising, 0);
    sys_restore_signals(signals);
}

/* A new mapping, when those who keep what there is have perhaps passed it by. With the lock: whoever has the kernel wipe again comes later, and sees it. */
static void keep_this_too(void *at, size_t bytes)
{
    struct sys_signals signals;
    if (!memory_kept() || !enter(&signals))
        return;
    if (memory_kept())
        sys_advise(at, bytes, MADV_KEEPONFORK);
    leave(&signals);
}

/* What all mappings together may be. */
static size_t most_bytes(void)
{
    uint64_t addresses = sys_address_limit(), data = sys_data_limit(), limit = MIN(addresses, data);
    return limit == UINT64_MAX ? SIZE_MAX : (size_t)MIN(limit / MEMORY_PART, SIZE_MAX);
}

/* Counted before it is mapped: threads that start together share what is left. */
static bool count_bytes(size_t bytes)
{
    size_t most = most_bytes(), used = memory_bytes();
    do {
        if (bytes > most - MIN(most, used))
            return false;
    } while (!__atomic_compare_exchange_n(&total_bytes, &used, used + bytes, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return true;
}

/* `row`: MAPPINGS_MAX is a new one. */
static void *map_counted(size_t bytes, uint32_t row)
{
    void *at = map_wiped(bytes);
    if (!at)
        return NULL;
    if (row == MAPPINGS_MAX)
        row = word_add(&mapping_count, 1);
    if (row >= MAPPINGS_MAX) { /* could not be emptied in a fork child */
        let_go(at, bytes);
        word_set(&mapping_count, MAPPINGS_MAX);
        return NULL;
    }
    mappings[row].bytes = bytes;
    __atomic_store_n(&mappings[row].at, at, __ATOMIC_SEQ_CST);
    keep_this_too(at, bytes);
    return at;
}

static void *map_in_row(size_t bytes, uint32_t row)
{
    if (!count_bytes(bytes))
        return NULL;
    void *at = map_counted(bytes, row);
    if (!at)
        __atomic_fetch_sub(&total_bytes, bytes, __ATOMIC_RELAXED);
    return at;
}

void *memory_map(size_t bytes)
{
    return map_in_row(bytes, MAPPINGS_MAX);
}

/* MAPPINGS_MAX: there is none. */
static uint32_t row_of(const void *at)
{
    uint32_t row = count_mappings();
    while (row-- > 0)
        if (__atomic_load_n(&mappings[row].at, __ATOMIC_ACQUIRE) == at)
            return row;
    return MAPPINGS_MAX;
}

static void unmap_row(uint32_t row, void *at, size_t bytes)
{
    if (row < MAPPINGS_MAX)
        __atomic_store_n(&mappings[row].at, NULL, __ATOMIC_RELAXED);
    let_go(at, bytes);
    __atomic_fetch_sub(&total_bytes, bytes, __ATOMIC_RELAXED);
}

void memory_unmap(void *at, size_t bytes)
{
    unmap_row(row_of(at), at, bytes);
}

/* With the lock: who tells the kernel what to do with all mappings has no other way to know that this one has become smaller. */
bool memory_cut(void *at, size_t bytes, bool wait)
{
    uint32_t row = row_of(at);
    size_t left = MAX(align_up(bytes, HT_SECTION_ALIGN), HT_SECTION_ALIGN);
    struct sys_signals signals;
    if (row == MAPPINGS_MAX || is_aside(at) || left >= mappings[row].bytes || !enter(&signals))
        return false;
    size_t before = mappings[row].bytes;
    __atomic_store_n(&mappings[row].bytes, left, __ATOMIC_SEQ_CST);
    bool cut = addresses_unheld(wait) && !sys_unmap((char *)at + left, before - left);
    if (cut)
        __atomic_fetch_sub(&total_bytes, before - left, __ATOMIC_RELAXED);
    else
        mappings[row].bytes = before;
    leave(&signals);
    return cut;
}

void memory_cut_rows(void *table, uint32_t *rows, uint32_t to, size_t row_bytes, bool wait)
{
    uint32_t before = word_get(rows);
    if (to >= before)
        return;
    __atomic_store_n(rows, to, __ATOMIC_SEQ_CST);
    if (!memory_cut(table, (size_t)to * row_bytes, wait))
        word_set(rows, before);
}

/* A child that is forked meanwhile finds a table of no rows, and makes one. */
bool memory_make_rows(void *pointer, uint32_t *rows, uint32_t count, size_t row_bytes)
{
    typedef void *__attribute__((may_alias)) any_pointer;
    any_pointer *table = pointer;
    if (*table && word_get(rows) >= count)
        return true;
    word_publish(rows, 0);
    uint32_t row = *table ? row_of(*table) : MAPPINGS_MAX;
    if (row < MAPPINGS_MAX)
        unmap_row(row, *table, mappings[row].bytes);
    void *fresh = map_in_row(count * row_bytes, row);
    __atomic_store_n(table, fresh, __ATOMIC_RELEASE);
    word_publish(rows, fresh ? count : 0);
    return fresh;
}

void memory_empty(void *at, size_t bytes)
{
    uintptr_t from = align_up((uintptr_t)at, 4096), end = ((uintptr_t)at + bytes) & ~(uintptr_t)4095;
    if (from < end && sys_advise((void *)from, end - from, MADV_DONTNEED) < 0)
        __builtin_memset((void *)from, 0, end - from);
}

void *memory_piece(size_t bytes)
{
    uint32_t need = (uint32_t)align_up(bytes, 64);
    for (int attempt = 0; attempt < 8; attempt++) {
        struct chunk *seen = __atomic_load_n(&chunk, __ATOMIC_ACQUIRE);
        if (seen && word_get(&seen->used) < PIECES_BYTES) { /* or it would wrap when no new chunk can be had for long */
            uint32_t at = word_add(&seen->used, need) + 64;
            if (at + need <= PIECES_BYTES)
                return (char *)seen + at;
        }
        struct chunk *fresh = memory_map(PIECES_BYTES);
        if (!fresh)
            return NULL;
        if (!__atomic_compare_exchange_n(&chunk, &seen, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            memory_unmap(fresh, PIECES_BYTES);
    }
    return NULL;
}

void memory_spare(void)
{
    struct chunk *fresh = memory_map(PIECES_BYTES);
    if (fresh)
        __atomic_store_n(&chunk, fresh, __ATOMIC_RELEASE);
}

bool memory_wiped_by_kernel(void)
{
    return !word_get(&wipe_refused);
}

/* The child's new mappings are not locked: what is left of it is given back. Forgotten first: a child of this one, forked meanwhile, does that again. */
static void drop_aside(void)
{
    uintptr_t end = aside.end, used = MIN(aside_used, end);
    __atomic_store_n(&aside.end, 0, __ATOMIC_SEQ_CST);
    aside.start = 0;
    aside_begun = 0;
    if (used < end)
        sys_unmap((void *)used, end - used);
}

void memory_wipe(void)
{
    uint32_t count = count_mappings();
    drop_aside();
    addresses_anew();
    bool kept = memory_kept();
    keepers = advising =
        0; /* also where another thread of the parent was just about to keep it, or had just ended that */
    if (memory_wiped_by_kernel() && !kept)
        return;
    for (uint32_t row = 0; row < count; row++)
        if (mappings[row].at) {
            sys_map_anonymous(mappings[row].at, mappings[row].bytes, NULL);
            sys_advise(mappings[row].at, mappings[row].bytes, MADV_WIPEONFORK);
        }
}

void *memory_mark(void)
{
    static void *mark;
    void *there = __atomic_load_n(&mark, __ATOMIC_ACQUIRE), *fresh = there ? NULL : map_wiped(4096);
    if (!fresh || __atomic_compare_exchange_n(&mark, &there, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return fresh ? fresh : there;
    let_go(fresh, 4096); /* another thread was faster */
    return there;
}

/* ---- A fork that keeps it ---- */

static void advise_all(int advice)
{
    uint32_t count = count_mappings();
    for (uint32_t row = 0; memory_wiped_by_kernel() && row < count; row++) {
        void *at = __atomic_load_n(&mappings[row].at, __ATOMIC_SEQ_CST);
        if (at)
            sys_advise(at, mappings[row].bytes, advice);
    }
}

bool memory_keep(void)
{
    struct sys_signals signals;
    if (sys_frozen() || !enter(&signals))
        return false;
    if (__atomic_fetch_add(&keepers, 1, __ATOMIC_SEQ_CST) == 0)
        advise_all(MADV_KEEPONFORK);
    leave(&signals);
    return true;
}

void memory_keep_alone(void)
{
    advising = 0;
    keepers = 1;
}

void memory_keep_end(void)
{
    struct sys_signals signals;
    if (!enter(&signals))
        return;
    if (word_get(&keepers) == 1)
        advise_all(MADV_WIPEONFORK);
    __atomic_fetch_sub(
        &keepers, 1, __ATOMIC_SEQ_CST); /* then only: as long as a fork may keep anything, its child has to see that */
    leave(&signals);
}

/* ---- How much, and where ---- */

size_t memory_bytes(void)
{
    return __atomic_load_n(&total_bytes, __ATOMIC_RELAXED);
}

size_t memory_left(void)
{
    size_t most = most_bytes(), used = memory_bytes();
    return most == SIZE_MAX ? most : most - MIN(most, used);
}

void memory_set_aside(void)
{
    size_t left = memory_left(), bytes = MIN(ASIDE_BYTES, left) & ~(size_t)(HT_SECTION_ALIGN - 1);
    if (!word_swap(&aside_begun, 0, 1))
        return;
    char *at = bytes ? sys_map_nothing(bytes) : NULL;
    if (!at)
        return;
    aside.start = aside_used = align_up((uintptr_t)at, HT_SECTION_ALIGN);
    __atomic_store_n(&aside.end, (uintptr_t)at + bytes, __ATOMIC_RELEASE);
}

void memory_cut_aside(size_t bytes, bool wait)
{
    uintptr_t end = aside.end, used = __atomic_load_n(&aside_used, __ATOMIC_RELAXED);
    uintptr_t left = used + align_up(bytes, HT_SECTION_ALIGN);
    if (!end || left >= end)
        return;
    __atomic_store_n(&aside.end, left, __ATOMIC_SEQ_CST);
    if (!addresses_unheld(wait)) {
        __atomic_store_n(&aside.end, end, __ATOMIC_SEQ_CST);
        return;
    }
    used = __atomic_load_n(&aside_used, __ATOMIC_RELAXED); /* those who still saw all of it may have taken more */
    left = MAX(left, used);
    __atomic_store_n(&aside.end, left, __ATOMIC_SEQ_CST);
    sys_unmap((void *)left, end - left);
}

/* Keeps the nearer of two. */
static void nearer(uintptr_t at, uintptr_t start, uintptr_t end, struct memory_range *range)
{
    if (end > at && start < range->start)
        *range = (struct memory_range){start, end};
}

bool memory_next(uintptr_t at, struct memory_range *range)
{
    uint32_t count = count_mappings();
    uintptr_t end = __atomic_load_n(&aside.end, __ATOMIC_ACQUIRE);
    *range = (struct memory_range){UINTPTR_MAX, 0};
    if (end)
        nearer(at, aside.start, end, range);
    for (uint32_t row = 0; row < count; row++) {
        uintptr_t start = (uintptr_t)__atomic_load_n(&mappings[row].at, __ATOMIC_ACQUIRE);
        if (start)
            nearer(at, start, start + mappings[row].bytes, range);
    }
    return range->end != 0;
}
