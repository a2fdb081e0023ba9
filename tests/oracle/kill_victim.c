/*
 * A program that is to be killed: eight threads that allocate and free without pause, and write each call into a ledger, a shared file that
 * survives them: before the call what is about to be done, after it what came of it.  kill_victim LEDGER SEED
 *
 * The ledger is THREADS logs of ENTRIES entries. test_kill reads it.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define THREADS 8
#define ENTRIES 65536
#define SLOTS 64
#define MAILBOXES 16
#define ALONE                                                                                                          \
    1000 /* calls of the first thread before the others start: every stack is known then, none is cut because two threads ask at once */

enum { NONE, ABOUT_TO, DONE };
enum { ALLOC, FREE, REALLOC };

struct entry {
    uint64_t old, old_size; /* FREE, REALLOC */
    uint64_t new, new_size; /* ALLOC, REALLOC; new is written when it is done */
    uint32_t operation;
    _Atomic uint32_t state;
};

struct ledger {
    _Atomic uint32_t running; /* threads */
    uint32_t padding[15];
    struct entry log[THREADS][ENTRIES];
};

struct block {
    void *at;
    size_t size;
};

static struct ledger *ledger;
static _Atomic(struct block *) mailbox[MAILBOXES]; /* blocks on their way to be freed by another thread */
static struct block parcel[THREADS][MAILBOXES];
static unsigned seed;

static struct entry *about_to(int thread, int *next, uint32_t operation, struct block old, size_t new_size)
{
    struct entry *entry = &ledger->log[thread][*next];
    if (++*next >= ENTRIES)
        for (;;)
            pause();
    entry->operation = operation;
    entry->old = (uintptr_t)old.at;
    entry->old_size = old.size;
    entry->new_size = new_size;
    atomic_store_explicit(&entry->state, ABOUT_TO, memory_order_seq_cst);
    return entry;
}

static void done(struct entry *entry, void *new)
{
    entry->new = (uintptr_t) new;
    atomic_store_explicit(&entry->state, DONE, memory_order_seq_cst);
}

static void ledger_alloc(int thread, int *next, struct block *block, size_t size)
{
    struct entry *entry = about_to(thread, next, ALLOC, (struct block){0}, size);
    block->at = size & 1 ? malloc(size) : calloc(1, size);
    block->size = size;
    done(entry, block->at);
}

static void ledger_realloc(int thread, int *next, struct block *block, size_t size)
{
    struct entry *entry = about_to(thread, next, REALLOC, *block, size);
    block->at = realloc(block->at, size);
    block->size = size;
    done(entry, block->at);
}

static void ledger_free(int thread, int *next, struct block *block)
{
    struct entry *entry = about_to(thread, next, FREE, *block, 0);
    free(block->at);
    done(entry, NULL);
    block->at = NULL;
}

/* Gives a block to whoever comes next, and frees the one that lay there. */
static void ledger_pass_on(int thread, int *next, struct block *block, unsigned box)
{
    struct block *mine = &parcel[thread][box];
    if (mine->at)
        return; /* the last one has not been fetched */
    *mine = *block;
    block->at = NULL;
    struct block *theirs = atomic_exchange(&mailbox[box], mine);
    if (theirs)
        ledger_free(thread, next, theirs);
}

static void *ledger_thread(void *argument)
{
    int thread = (int)(intptr_t)argument, next = 0;
    struct block blocks[SLOTS] = {{0}};
    unsigned state = seed + (unsigned)thread * 7919;
    if (thread)
        atomic_fetch_add(&ledger->running, 1);
    for (unsigned n = 0;; n++) {
        if (thread == 0 && n == ALONE)
            atomic_fetch_add(&ledger->running, 1);
        unsigned dice = (unsigned)rand_r(&state);
        struct block *block = &blocks[dice % SLOTS];
        size_t size = 1 + (dice >> 8) % ((dice >> 6 & 15) ? 700 : 70000);
        if (!block->at)
            ledger_alloc(thread, &next, block, size);
        else if ((dice >> 20 & 3) == 0)
            ledger_realloc(thread, &next, block, size);
        else if ((dice >> 20 & 3) == 1)
            ledger_pass_on(thread, &next, block, (dice >> 24) % MAILBOXES);
        else
            ledger_free(thread, &next, block);
        if (n % 32 == 0)
            sched_yield();
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    int fd = argc == 3 ? open(argv[1], O_RDWR) : -1;
    if (fd < 0 || ftruncate(fd, sizeof *ledger))
        return 2;
    ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ledger == MAP_FAILED)
        return 2;
    seed = (unsigned)strtoul(argv[2], NULL, 10);
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&thread, NULL, ledger_thread, (void *)(intptr_t)i))
            return 2;
        while (!atomic_load(&ledger->running))
            sched_yield();
    }
    for (;;)
        pause();
}
