/*
 * What every file of both processes may use: attributes, small arithmetic, and the atomic words that live in the shared file.
 * Nothing here calls anything.
 */
#ifndef HEAPTAP_BASE_H
#define HEAPTAP_BASE_H

#include <heaptap/format.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define COLD __attribute__((cold, noinline))
#define NOINLINE __attribute__((noinline))
#define INLINE static inline __attribute__((always_inline))
#define EXPORT __attribute__((visibility("default")))
#define IMPORT __attribute__((weak, visibility("default"))) /* from libc; NULL where it has none */
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

INLINE uint64_t align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

/* Words of the shared file are plain uint32_t there; these are the only ways to touch one that another thread may touch. */
INLINE uint32_t word_get(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}
INLINE uint32_t word_acquire(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}
INLINE void word_set(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}
INLINE void word_publish(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}
INLINE uint32_t word_add(uint32_t *word, uint32_t value)
{
    return __atomic_fetch_add(word, value, __ATOMIC_RELAXED);
}
INLINE bool word_swap(uint32_t *word, uint32_t expected, uint32_t value)
{
    return __atomic_compare_exchange_n(word, &expected, value, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
/* Raises a word to at least `value`. */
INLINE void word_raise(uint32_t *word, uint32_t value)
{
    uint32_t seen = word_get(word);
    while (seen < value && !__atomic_compare_exchange_n(word, &seen, value, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
    }
}

/* Adds less than 2^31. */
INLINE void count_add_step(struct ht_count *count, uint32_t n)
{
    uint32_t old = count->lo, new = old + n;
    word_set(&count->lo, new);
    if (UNLIKELY((int32_t)(old ^ new) < 0)) {
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        __atomic_store_n(&count->hi, count->hi + 1, __ATOMIC_RELEASE);
    }
}

/* hi catches up with lo. In time, if bit 31 of lo has changed at most once since it did last: until then readers see one carry under way. */
INLINE void count_settle(struct ht_count *count)
{
    uint32_t hi = count->hi;
    __atomic_store_n(&count->hi, hi + ((count->lo >> 31) ^ (hi & 1)), __ATOMIC_RELEASE);
}

/* Owner's half of a split counter (format.h, ht_count): plain stores. `n` may be anything. */
INLINE void count_add(struct ht_count *count, uint64_t n)
{
    for (; UNLIKELY(n >> 30); n -= 1u << 30)
        count_add_step(count, 1u << 30);
    count_add_step(count, (uint32_t)n);
}

/* The same for a counter that several threads add to. */
INLINE void count_add_shared(struct ht_count *count, uint64_t n)
{
    do {
        uint32_t step = n > 0x40000000u ? 0x40000000u : (uint32_t)n;
        uint32_t old = word_add(&count->lo, step);
        if (UNLIKELY((old ^ (old + step)) >> 31))
            __atomic_fetch_add(&count->hi, 1, __ATOMIC_RELEASE);
        n -= step;
    } while (UNLIKELY(n));
}

/* Value of a split counter from the two words as read: hi first, then lo, then hi again until it is the same. */
INLINE uint64_t count_value(uint32_t hi, uint32_t lo)
{
    return ((uint64_t)(hi + ((lo >> 31) ^ (hi & 1u))) << 31) | (lo & 0x7fffffffu);
}

/* Birth time of ht_line and ht_map from sixteenths of a second since start, and back (rounded down). */
INLINE uint16_t birth_encode(uint64_t sixteenths)
{
    unsigned exponent = 0;
    if (sixteenths < 2048)
        return (uint16_t)sixteenths;
    while (sixteenths >= 4096 && exponent < 30) {
        sixteenths >>= 1;
        exponent++;
    }
    return (uint16_t)(((exponent + 1) << 11) | (sixteenths & 2047));
}
INLINE uint64_t birth_decode(uint16_t birth)
{
    unsigned exponent = birth >> 11;
    uint64_t mantissa = birth & 2047;
    return exponent ? (2048 + mantissa) << (exponent - 1) : mantissa;
}

#endif
