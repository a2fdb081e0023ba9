/* Numbers by pairs of numbers. */
#include "suite.h"

#include <report/pairs.h>

START_TEST(each_pair_keeps_its_number)
{
    static uint32_t want[256][4096];
    struct pairs pairs = {0};
    uint32_t random = 1, count = 0;
    for (uint32_t i = 1; i <= 1000000; i++) {
        random = random * 1664525 + 1013904223;
        uint32_t a = random >> 24, b = random >> 12 & 4095;
        count += !want[a][b];
        want[a][b] = want[a][b] ? want[a][b] : i;
        if (!pairs_reserve(&pairs, 1) || pairs_add(&pairs, a, b, i) != want[a][b])
            ck_abort_msg("pair %u, %u has another number", a, b);
    }
    ck_assert_uint_eq(pairs.count, count);
    ck_assert_uint_le(pairs.capacity, 4 * count);
    pairs_free(&pairs);
}
END_TEST

START_TEST(room_is_made_at_once)
{
    struct pairs pairs = {0};
    ck_assert(pairs_reserve(&pairs, 5000));
    const struct pair *hash = pairs.hash;
    for (uint32_t i = 0; i < 5000; i++)
        pairs_add(&pairs, i, UINT32_MAX - i, i + 1);
    ck_assert(pairs_reserve(&pairs, 0));
    ck_assert_ptr_eq(pairs.hash, hash);
    ck_assert(!pairs_reserve(&pairs, UINT32_MAX)); /* and what was there stays */
    ck_assert_uint_eq(pairs_add(&pairs, 4999, UINT32_MAX - 4999, 1), 5000);
    pairs_free(&pairs);
}
END_TEST

SUITE("pairs", each_pair_keeps_its_number, room_is_made_at_once)
