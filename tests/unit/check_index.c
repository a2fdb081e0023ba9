/* The lock-free set: what was put in is found, whatever the table's size, also by threads that put in the same things at once. */
#include "stage.h"

#include <shim/index.h>
#include <errno.h>
#include <sys/syscall.h>

#define KEYS 40000

static struct index index_;
static uint32_t key_of[8 * KEYS + 2]; /* by id */

static bool match(uint32_t id, uint64_t key)
{
    return key_of[id] == key;
}

static uint32_t find(uint32_t key, uint32_t hash)
{
    return index_find(&index_, hash, match, key);
}

static uint32_t insert(uint32_t key, uint32_t hash, uint32_t id)
{
    key_of[id] = key;
    if (index_wants(&index_))
        index_grow(&index_);
    uint32_t found = index_insert(&index_, hash, id, match, key);
    for (int tries = 0; !found && tries < 5; tries++) { /* other threads fill the new level, too */
        index_grow(&index_);
        found = index_insert(&index_, hash, id, match, key);
    }
    return found;
}

START_TEST(what_was_put_in_is_found)
{
    for (uint32_t key = 1; key <= KEYS; key++) {
        ck_assert_uint_eq(find(key, hash_pair(key, 7)), 0);
        ck_assert_uint_eq(insert(key, hash_pair(key, 7), key), key);
    }
    ck_assert_often(INDEX_FIRST_LINES * INDEX_LINE << (index_.top - 1) <= 1u << 17); /* places for 40,000 */
    ck_assert_often(index_.bottom == index_.top - 1);
    for (uint32_t key = 1; key <= KEYS; key++)
        ck_assert_uint_eq(find(key, hash_pair(key, 7)), key);
    ck_assert_uint_eq(find(KEYS + 1, hash_pair(KEYS + 1, 7)), 0);
}
END_TEST

/* A few lines for each hash, at the end of the table the first one comes next; more keys of one hash than that have no room in any table. */
START_TEST(equal_hashes)
{
    const uint32_t room = INDEX_FAR * INDEX_LINE;
    for (uint32_t key = 1; key <= room; key++)
        ck_assert_uint_eq(insert(key, UINT32_MAX, key), key);
    ck_assert(index_wants(&index_));
    for (uint32_t key = 1; key <= room; key++)
        ck_assert_uint_eq(find(key, UINT32_MAX), key);
    ck_assert_uint_eq(insert(room + 1, UINT32_MAX, room + 1), 0);
    ck_assert_uint_eq(insert(1000, INDEX_FAR, 1000), 1000);
    ck_assert_uint_eq(find(1000, INDEX_FAR), 1000);
    ck_assert_uint_eq(find(1, UINT32_MAX), 1);
}
END_TEST

START_TEST(a_second_insert_gives_the_first_id)
{
    ck_assert_uint_eq(insert(5, 99, 1), 1);
    ck_assert_uint_eq(insert(5, 99, 2), 1);
    ck_assert_uint_eq(find(5, 99), 1);
}
END_TEST

START_TEST(no_memory)
{
    stage_refuse(SYS_mmap, 0, ENOMEM, 0);
    ck_assert_uint_eq(insert(1, 0, 1), 0);
    stage_allow();
    uint32_t key = 0;
    while (++key < KEYS && index_.top <= 1) {
        stage_refuse(SYS_mmap, index_.top ? 0 : 1000, ENOMEM, 0);
        if (!insert(key, hash_pair(key, 7), key))
            break;
        stage_allow();
    }
    ck_assert_uint_gt(key, INDEX_FIRST_LINES * INDEX_LINE / 4); /* a table is used well before it is full */
    ck_assert_uint_eq(find(key - 1, hash_pair(key - 1, 7)), key - 1);
    stage_allow();
    ck_assert_uint_eq(insert(key, hash_pair(key, 7), key), key);
    for (; key; key--)
        ck_assert_uint_eq(find(key, hash_pair(key, 7)), key);
}
END_TEST

START_TEST(begins_anew)
{
    for (uint32_t key = 1; key <= KEYS; key++)
        insert(key, hash_pair(key, 7), key);
    size_t bytes = memory_bytes();
    for (uint32_t i = 0; i < INDEX_LEVELS; i++) /* as memory is after a fork */
        if (index_.level[i])
            memset(index_.level[i], 0, sizeof(index_line) * INDEX_FIRST_LINES << i);
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
    next_id = insert(KEYS + 1, 1, 1); /* there is a level before there are threads */
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

SUITE("index", what_was_put_in_is_found, equal_hashes, a_second_insert_gives_the_first_id, no_memory, begins_anew,
      threads_with_the_same_keys)
