/* Split counters and birth times. */
#include "suite.h"

#include <common/base.h>
#include <pthread.h>

static uint64_t value_of(const struct ht_count *count)
{
    return count_value(count->hi, count->lo);
}

static const uint64_t steps[] = {1,          2,          0x3fffffff, 0x40000000,   0x40000001,   0x7fffffff,
                                 0x80000000, 0xffffffff, 1ull << 32, 0x123456789a, 5ull << 32,   3,
                                 0x7ffffffe, 1,          1,          0x80000001,   0x7fffffff80, 0};

START_TEST(counts_right_at_every_carry)
{
    struct ht_count own = {0}, shared = {0};
    uint64_t sum = 0;
    for (int round = 0; round < 50; round++)
        for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
            count_add(&own, steps[i]);
            count_add_shared(&shared, steps[i]);
            sum += steps[i];
            ck_assert_uint_eq(value_of(&own), sum);
            ck_assert_uint_eq(value_of(&shared), sum);
            ck_assert_uint_eq(own.hi, (uint32_t)(sum >> 31));
        }
}
END_TEST

/* The process is killed, or the reader looks, after the store to lo and before the one to hi. */
START_TEST(counts_right_between_the_two_stores)
{
    static const uint32_t small[] = {1, 2, 0x3fffffff, 0x40000000, 0x7fffffff};
    struct ht_count count = {0};
    uint64_t sum = 0;
    for (int round = 0; round < 200; round++) {
        uint32_t step = small[round % (int)ARRAY_LEN(small)];
        for (uint64_t n = step; n;) { /* count_add takes large steps in parts; look into each */
            uint32_t part = n > 0x40000000 ? 0x40000000 : (uint32_t)n;
            uint32_t hi_before = count.hi;
            count_add(&count, part);
            sum += part;
            n -= part;
            ck_assert_uint_eq(count_value(hi_before, count.lo), sum);
        }
        ck_assert_uint_eq(value_of(&count), sum);
    }
}
END_TEST

struct race {
    struct ht_count count;
    uint32_t done;
};

#define RACE_ADDS 200000
#define RACE_STEP 0x3ffffffd

static void *add_owned(void *argument)
{
    struct race *race = argument;
    for (int i = 0; i < RACE_ADDS; i++)
        count_add(&race->count, RACE_STEP);
    word_publish(&race->done, 1);
    return NULL;
}

static void *add_shared(void *argument)
{
    struct race *race = argument;
    for (int i = 0; i < RACE_ADDS; i++)
        count_add_shared(&race->count, RACE_STEP);
    return NULL;
}

/* As format.h tells a reader: hi, lo, hi again until it is the same. */
static uint64_t read_count(const struct ht_count *count)
{
    for (;;) {
        uint32_t hi = word_acquire(&count->hi);
        uint32_t lo = word_acquire(&count->lo);
        if (word_get(&count->hi) == hi)
            return count_value(hi, lo);
    }
}

START_TEST(reader_beside_the_owner_sees_every_value_whole)
{
    struct race race = {0};
    pthread_t thread;
    uint64_t last = 0;
    ck_assert_int_eq(pthread_create(&thread, NULL, add_owned, &race), 0);
    while (!word_acquire(&race.done)) {
        uint64_t now = read_count(&race.count);
        ck_assert_uint_ge(now, last);
        ck_assert_uint_eq(now % RACE_STEP, 0);
        last = now;
    }
    pthread_join(thread, NULL);
    ck_assert_uint_eq(read_count(&race.count), (uint64_t)RACE_ADDS * RACE_STEP);
}
END_TEST

START_TEST(shared_counter_loses_nothing)
{
    struct race race = {0};
    pthread_t thread[4];
    for (size_t i = 0; i < ARRAY_LEN(thread); i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, add_shared, &race), 0);
    for (size_t i = 0; i < ARRAY_LEN(thread); i++)
        pthread_join(thread[i], NULL);
    ck_assert_uint_eq(value_of(&race.count), (uint64_t)ARRAY_LEN(thread) * RACE_ADDS * RACE_STEP);
}
END_TEST

START_TEST(raise_keeps_the_highest)
{
    uint32_t word = 5;
    word_raise(&word, 4);
    ck_assert_uint_eq(word, 5);
    word_raise(&word, 9);
    ck_assert_uint_eq(word, 9);
    ck_assert(word_swap(&word, 9, 1));
    ck_assert(!word_swap(&word, 9, 2));
    ck_assert_uint_eq(word, 1);
}
END_TEST

START_TEST(every_birth_code_is_its_own)
{
    uint64_t before = 0;
    for (uint32_t code = 0; code < 65536; code++) {
        uint64_t value = birth_decode((uint16_t)code);
        ck_assert_uint_eq(birth_encode(value), code);
        ck_assert(!code || value > before);
        before = value;
    }
}
END_TEST

START_TEST(births_are_rounded_down_by_little)
{
    for (uint64_t value = 0; value < 1ull << 41; value += 1 + value / 777) {
        uint64_t back = birth_decode(birth_encode(value));
        ck_assert_uint_le(back, value);
        ck_assert_uint_le((value - back) * 2048, value);
        if (value < 128 * 16)
            ck_assert_uint_eq(back, value);
    }
}
END_TEST

START_TEST(aligns_up)
{
    ck_assert_uint_eq(align_up(0, 4096), 0);
    ck_assert_uint_eq(align_up(1, 4096), 4096);
    ck_assert_uint_eq(align_up(4096, 4096), 4096);
    ck_assert_uint_eq(align_up((1ull << 40) + 1, 65536), (1ull << 40) + 65536);
}
END_TEST

SUITE("base", counts_right_at_every_carry, counts_right_between_the_two_stores,
      reader_beside_the_owner_sees_every_value_whole, shared_counter_loses_nothing, raise_keeps_the_highest,
      every_birth_code_is_its_own, births_are_rounded_down_by_little, aligns_up)
