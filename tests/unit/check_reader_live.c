/* Files that change while they are read. */
#include "reader_stage.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

struct writer {
    struct ht_cell *cell;
    struct ht_line *line;
    struct ht_count *events;
    uint32_t stop;
};

/* The counter passes a carry with every second step; a block comes and goes, its size always 1000 times its site, as a tag with a new sequence says. */
static void *write_on(void *arg)
{
    struct writer *writer = arg;
    for (uint32_t sequence = 1; !word_acquire(&writer->stop); sequence++) {
        count_add(&writer->cell->allocs, 0x40000000);
        word_publish(&writer->line->tag[0], HT_TAG_BUSY | sequence << 16);
        word_set(&writer->line->site[0], 1 + (sequence & 1));
        word_set(&writer->line->size[0], 1000 * (1 + (sequence & 1)));
        word_publish(&writer->line->tag[0], HT_TAG_LIVE | sequence << 16);
    }
    return NULL;
}

static void check_steady_block(void *arg, const struct reader_block *block)
{
    (void)arg;
    if (block->address == 0)
        ck_assert_uint_eq(block->size, (uint64_t)1000 * block->site);
}

static uint64_t value_now(const struct ht_cell *cell)
{
    uint32_t hi, lo;
    do {
        hi = word_acquire(&cell->allocs.hi);
        lo = word_acquire(&cell->allocs.lo);
    } while (hi != word_acquire(&cell->allocs.hi));
    return count_value(hi, lo);
}

START_TEST(reads_a_file_that_changes)
{
    struct build build;
    pthread_t thread;
    build_example(&build, __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__, 8);
    memset(build.at + HEADER(boot_id), 0, 40); /* so that nobody can say that the process has ended */
    build_count(&build, build_record(&build, HT_CELLS, 0) + 32, 0, false);
    size_t cell = build_record(&build, HT_CELLS, 0) + 32, line = build_record(&build, HT_LINES, 7);
    int fd = build_descriptor(&build, BUILD_BYTES);
    char *shared = mmap(NULL, BUILD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
    struct writer writer = {(struct ht_cell *)(shared + cell), (struct ht_line *)(shared + line), NULL, 0};
    ck_assert_int_eq(pthread_create(&thread, NULL, write_on, &writer), 0);
    for (int round = 0; round < 300; round++) {
        struct reader reader;
        struct profile profile;
        uint64_t before = value_now(writer.cell);
        ck_assert(reader_open_fd(&reader, fd, "FILE", NULL));
        uint64_t after = value_now(writer.cell);
        ck_assert_int_eq(reader.process, READER_UNKNOWN);
        reader_each_block(&reader, check_steady_block, NULL);
        ck_assert(profile_load(&profile, &reader, NULL));
        ck_assert_uint_ge(profile.sites[0].total.allocs, before);
        ck_assert_uint_le(profile.sites[0].total.allocs, after);
        profile_free(&profile);
        reader_close(&reader);
    }
    word_publish(&writer.stop, 1);
    pthread_join(thread, NULL);
    munmap(shared, BUILD_BYTES);
    close(fd);
    build_end(&build);
}
END_TEST

static void *write_other_files(void *arg)
{
    struct ht_count *events = ((struct writer *)arg)->events;
    for (uint32_t value = 0; !word_acquire(&((struct writer *)arg)->stop); value ^= 100)
        word_publish(&events->lo, value);
    return NULL;
}

/* Another file is copied over it: events only become more. */
START_TEST(refuses_what_is_overwritten)
{
    struct build build;
    struct err err = {"nothing was refused"};
    pthread_t thread;
    bool done = true;
    build_example(&build, __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__, 8);
    int fd = build_descriptor(&build, BUILD_BYTES);
    char *shared = mmap(NULL, BUILD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
    size_t events = build_record(&build, HT_SLOTS, 0) + offsetof(struct ht_slot, events);
    struct writer writer = {.events = (struct ht_count *)(shared + events)};
    ck_assert_int_eq(pthread_create(&thread, NULL, write_other_files, &writer), 0);
    for (int round = 0; done && round < 20000; round++) {
        struct reader reader;
        done = reader_open_fd(&reader, fd, "FILE", &err);
        if (done)
            ck_assert_uint_ge(reader.events_after, reader.events_before);
        if (done)
            reader_close(&reader);
    }
    word_publish(&writer.stop, 1);
    pthread_join(thread, NULL);
    ck_assert_msg(!done && strstr(err.text, "FILE: was overwritten while it was read"), "%s", err.text);
    munmap(shared, BUILD_BYTES);
    close(fd);
    build_end(&build);
}
END_TEST

/* A hole costs nothing, wherever it is said to be used. */

SUITE("reader_live", reads_a_file_that_changes, refuses_what_is_overwritten)
