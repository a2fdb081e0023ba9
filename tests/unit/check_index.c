/* The lock-free set: what was put in is found, over all levels, also by threads that put in the same things at once. */
#include "stage.h"

#include <shim/index.h>
#include <errno.h>
#include <sys/syscall.h>

#define KEYS 40000

static struct index index_;
static uint32_t key_of[8 * KEYS + 1]; /* by id */

static bool match(uint32_t id, const void *key)
{
    return key_of[id] == *(const uint32_t *)key;
}

static uint32_t find(uint32_t key, uint32_t hash)
{
    return index_find(&index_, hash, match, &key);
}

static uint32_t insert(uint32_t key, uint32_t hash, uint32_t id)
{
    key_of[id] = key;
    uint32_t found = index_insert(&index_, hash, id, match, &key);
    for (int tries = 0; !found && tries < 5; tries++) { /* other threads fill the new level, too */
        index_grow(&index_);
        found = index_insert(&index_, hash, id, match, &key);
    }
    return found;
}

START_TEST(what_was_put_in_is_found)
{
    for (uint32_t key = 1; key <= KEYS; key++) {
        ck_assert_uint_eq(find(key, hash_pair(key, 7)), 0);
        ck_assert_uint_eq(insert(key, hash_pair(key, 7), key), key);
    }
    ck_assert_often(index_.top > 4);
    ck_assert_often(index_.top <= 8); /* 2^17 places for 40,000 */
    for (uint32_t key = 1; key <= KEYS; key++)
        ck_assert_uint_eq(find(key, hash_pair(key, 7)), key);
    ck_assert_uint_eq(find(KEYS + 1, hash_pair(KEYS + 1, 7)), 0);
}
END_TEST

START_TEST(equal_hashes_go_on_to_other_levels)
{
    for (uint32_t key = 1; key <= 3 * INDEX_PROBES; key++)
        ck_assert_uint_eq(insert(key, UINT32_MAX, key), key); /* at the end of each level: probes go round */
    ck_assert_uint_eq(index_.top, 3);
    for (uint32_t key = 1; key <= 3 * INDEX_PROBES; key++)
        ck_assert_uint_eq(find(key, UINT32_MAX), key);
}
END_TEST

START_TEST(a_second_insert_gives_the_first_id)
{
    ck_assert_uint_eq(insert(5, 99, 1), 1);
    ck_assert_uint_eq(insert(5, 99, 2), 1);
    ck_assert_uint_eq(find(5, 99), 1);
}
END_TEST

START_TEST(no_memory_for_a_level)
{
    stage_refuse(SYS_mmap, 0, ENOMEM, 0);
    ck_assert_uint_eq(insert(1, 0, 1), 0);
    stage_allow();
    for (uint32_t key = 1; key <= INDEX_PROBES; key++)
        ck_assert_uint_eq(insert(key, 0, key), key);
    stage_refuse(SYS_mmap, 0, ENOMEM, 0);
    ck_assert_uint_eq(insert(100, 0, 100), 0);
    ck_assert_uint_eq(insert(101, 100, 101), 101); /* elsewhere there is room */
    ck_assert_uint_eq(find(INDEX_PROBES, 0), INDEX_PROBES);
    stage_allow();
    ck_assert_uint_eq(insert(100, 0, 100), 100);
    ck_assert_uint_eq(find(100, 0), 100);
}
END_TEST

START_TEST(begins_anew)
{
    for (uint32_t key = 1; key <= KEYS; key++)
        insert(key, hash_pair(key, 7), key);
    size_t bytes = memory_bytes();
    for (uint32_t i = 0; i < INDEX_LEVELS; i++) /* as memory is after a fork */
        if (index_.level[i])
            memset(index_.level[i], 0, sizeof(uint32_t) << (INDEX_FIRST_BITS + i));
    index_reset(&index_);
    ck_assert_uint_eq(find(1, hash_pair(1, 7)), 0);
    for (uint32_t key = 1; key <= KEYS; key++)
        ck_assert_uint_eq(insert(key, hash_pair(key, 7), key), key);
    ck_assert_often(memory_bytes() == bytes); /* the same levels again */
}
END_TEST

static uint32_t next_id;
static uint32_t answer[8][KEYS + 1];

/* Every thread asks for every key, in an order of its own, and puts in what is missing under a new id. */
static void ask_all(unsigned thread)
{
    for (uint32_t i = 0; i < KEYS; i++) {
        uint32_t key = (thread & 1 ? i : KEYS - 1 - i) + 1, hash = hash_pair(key, 3);
        uint32_t id = find(key, hash);
        if (!id)
            id = insert(key, hash, word_add(&next_id, 1) + 1);
        answer[thread][key] = id;
    }
}

START_TEST(threads_with_the_same_keys)
{
    uint32_t different = 0;
    stage_crowd(6, ask_all);
    for (uint32_t key = 1; key <= KEYS; key++) {
        uint32_t found = find(key, hash_pair(key, 3));
        ck_assert_often(found != 0);
        ck_assert_often(key_of[found] == key);
        for (unsigned thread = 0; thread < 6; thread++) {
            ck_assert_often(key_of[answer[thread][key]] == key); /* at any rate the right key */
            different += answer[thread][key] != found;
        }
    }
    ck_assert_often(different < KEYS / 10);
}
END_TEST

SUITE("index", what_was_put_in_is_found, equal_hashes_go_on_to_other_levels, a_second_insert_gives_the_first_id,
      no_memory_for_a_level, begins_anew, threads_with_the_same_keys)
