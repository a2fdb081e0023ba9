#include "section.h"

#include "addresses.h"
#include "sys.h"
#include <linux/mman.h>

struct section section[HT_SECTIONS_MAX];

#define FIRST_STEP                                                                                                     \
    (8u << 10) /* a table that has less grows by this; a larger one by as much as it has, up to its step */

/* The capacity is asked for while the addresses are held: below it they are the shim's, until they are let go of. */
static bool allocate(struct section *s, uint32_t end)
{
    uint32_t from = word_acquire(&s->allocated), capacity = __atomic_load_n(&s->capacity, __ATOMIC_SEQ_CST);
    if (end <= from)
        return true;
    if (end > capacity)
        return false;
    uint64_t step = MIN(s->step_bytes, MAX((uint64_t)from * s->record_bytes, FIRST_STEP));
    uint64_t begin = (uint64_t)from * s->record_bytes &
                     ~(uint64_t)(HT_SECTION_ALIGN - 1); /* the largest page there is */
    uint64_t until = MIN(align_up((uint64_t)end * s->record_bytes + step, 4096),
                         align_up((uint64_t)capacity * s->record_bytes, 4096));
    long error = sys_advise(s->base + begin, (size_t)(until - begin), MADV_POPULATE_WRITE);
    if (error < 0) { /* the step may be too large for what is left: try for just what is needed */
        until = align_up((uint64_t)end * s->record_bytes, 4096);
        error = sys_advise(s->base + begin, (size_t)(until - begin), MADV_POPULATE_WRITE);
    }
    if (error < 0) {
        word_set(&s->capacity, word_acquire(&s->allocated)); /* another thread may have had more luck meanwhile */
        section_say_full(s);
        return false;
    }
    word_raise(&s->allocated, (uint32_t)MIN(until / s->record_bytes, capacity));
    return true;
}

bool section_reach(struct section *s, uint32_t end)
{
    if (end <= word_acquire(&s->allocated))
        return true;
    struct sys_signals signals;
    addresses_hold(&signals);
    bool there = allocate(s, end);
    addresses_let_go(&signals);
    return there;
}

uint32_t section_lower(struct section *s, uint32_t capacity)
{
    uint32_t before = word_get(&s->capacity), least = MAX(capacity, word_acquire(&s->allocated));
    __atomic_store_n(&s->capacity, MIN(before, least), __ATOMIC_SEQ_CST);
    return before;
}

uint32_t section_claim(struct section *s, uint32_t n)
{
    uint32_t at = word_get(&s->claimed);
    do {
        uint32_t capacity = word_get(&s->capacity);
        if (n > capacity || at > capacity - n) {
            section_say_full(s);
            return SECTION_FULL;
        }
        if (UNLIKELY(at + n > word_acquire(&s->allocated))) {
            word_raise(&s->wanted, at + n);
            return SECTION_FULL;
        }
    } while (!__atomic_compare_exchange_n(&s->claimed, &at, at + n, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    word_raise(&s->file->used, at + n);
    return at;
}

COLD void section_grow(void)
{
    for (uint32_t id = 0; id < HT_SECTIONS_MAX; id++) {
        uint32_t wanted = word_get(&section[id].wanted);
        if (wanted > word_get(&section[id].allocated))
            section_reach(&section[id], wanted);
    }
}

COLD uint32_t section_claim_growing(struct section *s, uint32_t n)
{
    uint32_t at;
    do {
        at = section_claim(s, n);
    } while (at == SECTION_FULL && word_get(&s->wanted) > word_get(&s->allocated) &&
             section_reach(s, word_get(&s->wanted)));
    return at;
}
