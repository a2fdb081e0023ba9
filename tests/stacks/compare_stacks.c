/*
 * compare_stacks [-e EXPECTED] [-l PERMILLE] [-n NAME] RECORD [REFERENCE]
 *
 * Compares the stacks of a heaptap buffer (or of a reference's log, to try the tool itself) with those of a reference, allocation by allocation, frame by
 * frame and in length; and both with what the program says about itself (expectation.h). Prints one line of figures, and the first few that differ or were cut short.
 *
 * Pairing: per thread, in order, by address and size. Events that only one side has are counted; those whose stack leads through the reference are its own, and those
 * that a signal handler made inside one of heaptap's hooks are counted by it and not recorded: both are set aside. A stack that heaptap marked as cut counts as equal when the reference
 * ends at the same frame (code without unwind table ends both), as "cut" when the reference goes further, as different when the frames that are there differ.
 *
 * Exit status: 0 nothing is different, and at most PERMILLE (1) of 1,000 stacks are cut short, unpaired or left out; 1 not so; 2 no figures. Stacks that were cut
 * because another thread was just teaching depend on the scheduler: they are shown and do not count.
 */
#include "expectation.h"
#include "stack_log.h"

#include <heaptap/format.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_AHEAD 4096 /* how far the two sides may be apart */
#define SHOWN 3

static struct {
    uint64_t compared, equal, equal_cut, different, by_offset;
    uint64_t cut[HT_CUTS];
    uint64_t only_record, only_reference, in_shim, in_reference, unnamed;
} figures;

enum verdict { EQUAL, EQUAL_CUT, DIFFERENT, CUT };

/* ---- One pair ---- */

static bool same_frame(const struct frame *a, const struct frame *b)
{
    if (a->address == b->address)
        return true;
    /* A module that was loaded at several addresses has one row: what stays the same is the offset. */
    return (a->moved || b->moved) && a->path && b->path && a->offset == b->offset && !strcmp(a->path, b->path);
}

/* The first few of each kind, from a little before the frame where they part. */
static void show(enum verdict verdict, const struct event *event, size_t at, const struct frame *mine, size_t n,
                 unsigned cut, const struct frame *theirs, size_t m)
{
    static unsigned shown[CUT + 1][HT_CUTS];
    if (shown[verdict][cut < HT_CUTS ? cut : 0]++ >= SHOWN)
        return;
    size_t from = at > 4 ? at - 4 : 0;
    printf("  %s at frame %zu; size %" PRIu64 "\n   recorded:\n", verdict == CUT ? "cut short" : "different", at,
           event->size);
    print_frames(mine, n, cut, from);
    printf("   reference:\n");
    print_frames(theirs, m, 0, from);
}

static enum verdict compare(const struct source *record, const struct event *a, const struct source *reference,
                            const struct event *b, unsigned *cut)
{
    static struct frame mine[FRAMES_MAX], theirs[FRAMES_MAX];
    unsigned none;
    size_t n = source_frames(record, a, mine, FRAMES_MAX, cut);
    size_t m = source_frames(reference, b, theirs, FRAMES_MAX, &none);
    size_t i = 0;
    while (i < n && i < m && same_frame(&mine[i], &theirs[i]))
        i++;
    if (i == n && i == m)
        return *cut ? EQUAL_CUT : EQUAL;
    enum verdict verdict = i == n && *cut ? CUT : DIFFERENT;
    show(verdict, a, i, mine, n, *cut, theirs, m);
    return verdict;
}

/* Most pairs repeat: the verdict for two nodes is remembered. */
static void judge(const struct source *record, const struct event *a, const struct source *reference,
                  const struct event *b)
{
    static struct memo {
        uint32_t a, b;
        uint16_t generation;
        uint8_t verdict, cut;
    } memo[1 << 18];
    struct memo *known = &memo[(a->node * 0x9e3779b1u ^ b->node * 0x85ebca6bu) >> 14];
    if (!known->a || known->a != a->node || known->b != b->node || known->generation != b->generation) {
        unsigned cut;
        known->verdict = (uint8_t)compare(record, a, reference, b, &cut);
        known->a = a->node;
        known->b = b->node;
        known->generation = b->generation;
        known->cut = (uint8_t)cut;
    }
    figures.compared++;
    switch ((enum verdict)known->verdict) {
    case EQUAL: figures.equal++; break;
    case EQUAL_CUT: figures.equal_cut++; break;
    case DIFFERENT: figures.different++; break;
    case CUT: figures.cut[known->cut < HT_CUTS ? known->cut : 0]++; break;
    }
}

/* ---- Pairing ---- */

static bool same_call(const struct event *a, const struct event *b)
{
    return a->pointer == b->pointer && a->size == b->size;
}

static bool in_module(const struct source *source, const struct event *event, const char *name)
{
    static struct frame frames[FRAMES_MAX];
    unsigned cut;
    size_t n = source_frames(source, event, frames, FRAMES_MAX, &cut);
    for (size_t i = 0; i < n; i++)
        if (frames[i].path && strstr(frames[i].path, name))
            return true;
    return false;
}

/* How many of the next calls agree, at most 8. */
static unsigned agreement(const struct stream *a, size_t i, const struct stream *b, size_t k)
{
    unsigned n = 0;
    while (n < 8 && i + n < a->count && k + n < b->count && same_call(&a->event[i + n], &b->event[k + n]))
        n++;
    return n;
}

static bool find_ahead(const struct stream *a, size_t i, const struct stream *b, size_t *step_a, size_t *step_b)
{
    size_t left_a = a->count - i, left_b = b->count - b->next;
    for (size_t sum = 1; sum < LOOK_AHEAD; sum++)
        for (size_t x = 0; x <= sum; x++) {
            if (x >= left_a || sum - x >= left_b)
                continue;
            unsigned all = 8;
            if (left_a - x < all)
                all = (unsigned)(left_a - x);
            if (left_b - (sum - x) < all)
                all = (unsigned)(left_b - (sum - x));
            if (agreement(a, i + x, b, b->next + sum - x) < (all < 3 ? all : 3))
                continue;
            *step_a = x;
            *step_b = sum - x;
            return true;
        }
    return false;
}

static void count_unpaired(const struct source *record, const struct event *event)
{
    if (record->buffer && in_module(record, event, "libstack_log"))
        figures.in_reference++;
    else if (!event->node)
        figures.unnamed++;
    else
        figures.only_record++;
}

/* A signal handler that interrupted a hook: heaptap counts it and records nothing. */
static void skip_reference(struct stream *theirs)
{
    if (theirs->event[theirs->next++].in_shim)
        figures.in_shim++;
    else
        figures.only_reference++;
}

static struct stream *best_stream(const struct stream *mine, size_t i, struct source *reference)
{
    struct stream *best = NULL;
    unsigned most = 0;
    for (size_t s = 0; s < reference->streams; s++) {
        struct stream *stream = &reference->stream[s];
        unsigned agree = agreement(mine, i, stream, stream->next);
        if (agree > most) {
            most = agree;
            best = stream;
        }
    }
    return best;
}

/* One slot's events were those of one thread after the other: whenever the reference's thread has no more, the one that goes on like this is next. */
static void pair_stream(const struct source *record, const struct stream *mine, struct source *reference)
{
    struct stream *theirs = NULL;
    for (size_t i = 0; i < mine->count;) {
        if (!theirs || theirs->next >= theirs->count)
            theirs = best_stream(mine, i, reference);
        if (theirs && same_call(&mine->event[i], &theirs->event[theirs->next])) {
            judge(record, &mine->event[i++], reference, &theirs->event[theirs->next++]);
            continue;
        }
        size_t step_mine = 1, step_theirs = 0;
        struct stream *other = theirs ? best_stream(mine, i, reference) : NULL;
        if (other && agreement(mine, i, other, other->next) >= 3) {
            theirs = other;
            continue;
        }
        if (theirs && !find_ahead(mine, i, theirs, &step_mine, &step_theirs)) {
            theirs = NULL;
            step_mine = 1;
            step_theirs = 0;
        }
        while (step_mine--)
            count_unpaired(record, &mine->event[i++]);
        if (theirs)
            while (step_theirs--)
                skip_reference(theirs);
    }
}

static void print_some(const char *what, uint64_t count)
{
    if (count)
        printf("; %s: %" PRIu64, what, count);
}

static bool report(const char *name, uint64_t permille, const struct source *record, const struct source *reference)
{
    uint64_t all_cut = 0, left_out = 0;
    for (unsigned i = 0; i < HT_CUTS; i++)
        all_cut += figures.cut[i];
    for (unsigned i = 0; i < LEFT_OUT_KINDS; i++)
        left_out += reference->left_out[i];
    printf("%s: %" PRIu64 " stacks, %" PRIu64 " equal, %" PRIu64 " different, %" PRIu64 " cut short", name,
           figures.compared, figures.equal + figures.equal_cut, figures.different, all_cut);
    for (unsigned i = 0; i < HT_CUTS; i++)
        if (figures.cut[i])
            printf(" (%s %" PRIu64 ")", cut_name(i), figures.cut[i]);
    print_some("equal and marked as ending without table", figures.equal_cut);
    print_some("only recorded", figures.only_record);
    print_some("without a stack", figures.unnamed);
    print_some("only in the reference", figures.only_reference);
    print_some("left out by the reference: before it could begin", reference->left_out[LEFT_OUT_EARLY]);
    print_some("left out by the reference: inside itself", reference->left_out[LEFT_OUT_REENTRANT]);
    print_some("left out by the reference: no room", reference->left_out[LEFT_OUT_FULL]);
    print_some("left out by the reference: too deep", reference->left_out[LEFT_OUT_DEEP]);
    print_some("inside a hook", figures.in_shim);
    print_some("of the reference itself", figures.in_reference);
    print_some("LOST BY THE RING, which is too small for this test", record->ring_lost);
    print_some("BLOCKS OF THE SHARED SLOT, which are not compared", record->shared_slot);
    printf("\n");
    /* What came before the unwinder could be loaded is not paired: allowed for, but not for more. */
    uint64_t unpaired = figures.only_record > reference->left_out[0] ? figures.only_record - reference->left_out[0] : 0;
    uint64_t out = all_cut - figures.cut[HT_CUT_BUSY] + unpaired + figures.only_reference + figures.unnamed + left_out -
                   reference->left_out[0];
    return figures.compared && !figures.different && !record->ring_lost && out * 1000 <= permille * figures.compared;
}

static void pair_all(const struct source *record, struct source *reference)
{
    for (size_t s = 0; s < record->streams; s++)
        pair_stream(record, &record->stream[s], reference);
    for (size_t s = 0; s < reference->streams; s++)
        while (reference->stream[s].next < reference->stream[s].count)
            skip_reference(&reference->stream[s]);
}

static bool check_expected(const char *name, const char *expected, const struct source *source)
{
    unsigned checked, wrong;
    if (!source->name)
        return true;
    wrong = expectation_check(source, expected, &checked);
    printf("%s: %u stacks of known answer in the %s, %u not as expected\n", name, checked,
           source->buffer ? "buffer" : "reference", wrong);
    return !wrong;
}

int main(int argc, char **argv)
{
    static struct source record, reference;
    const char *expected = NULL, *name = NULL;
    uint64_t permille = 1;
    bool good = true;
    int option;
    while ((option = getopt(argc, argv, "e:l:n:")) != -1) {
        if (option == 'e')
            expected = optarg;
        else if (option == 'l')
            permille = strtoull(optarg, NULL, 10);
        else if (option == 'n')
            name = optarg;
        else
            return 2;
    }
    if (optind + 1 != argc && optind + 2 != argc) {
        fprintf(stderr, "usage: compare_stacks [-e EXPECTED] [-l PERMILLE] [-n NAME] RECORD [REFERENCE]\n");
        return 2;
    }
    source_open(&record, argv[optind]);
    if (!name)
        name = record.name;
    if (optind + 2 == argc) {
        source_open(&reference, argv[optind + 1]);
        pair_all(&record, &reference);
        good = report(name, permille, &record, &reference);
    }
    if (expected)
        good = check_expected(name, expected, &record) && check_expected(name, expected, &reference) && good;
    return good ? 0 : 1;
}
