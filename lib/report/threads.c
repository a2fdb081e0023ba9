#include "threads.h"

#include <stdlib.h>
#include <string.h>

struct load {
    struct threads *threads;
    const struct profile *profile;
    uint32_t *name_of; /* by slot */
};

static void count_cell(void *arg, const struct reader_cell *cell)
{
    struct load *load = arg;
    load->threads->count += cell->allocs != 0;
}

static uint32_t find_site(const struct profile *profile, uint32_t id)
{
    uint32_t low = 0, high = profile->site_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (profile->sites[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < profile->site_count && profile->sites[low].id == id ? low : INTERN_NONE;
}

static void add_cell(void *arg, const struct reader_cell *cell)
{
    struct load *load = arg;
    uint32_t site = find_site(load->profile, cell->site);
    if (!cell->allocs || site == INTERN_NONE || cell->slot >= load->profile->slot_count)
        return;
    load->threads->shares[load->threads->count++] = (struct threads_share){site, load->name_of[cell->slot],
                                                                           cell->allocs, cell->alloc_bytes};
}

static int compare_shares(const void *a, const void *b)
{
    const struct threads_share *x = a, *y = b;
    if (x->site != y->site)
        return x->site < y->site ? -1 : 1;
    return (x->name > y->name) - (x->name < y->name);
}

/* Threads of one name are one. */
static void merge(struct threads *threads)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < threads->count; i++) {
        struct threads_share *last = kept ? &threads->shares[kept - 1] : NULL;
        if (last && compare_shares(last, &threads->shares[i]) == 0) {
            last->allocs += threads->shares[i].allocs;
            last->alloc_bytes += threads->shares[i].alloc_bytes;
        } else {
            threads->shares[kept++] = threads->shares[i];
        }
    }
    threads->count = kept;
}

static bool name_slots(struct load *load)
{
    const struct profile *profile = load->profile;
    for (uint32_t i = 0; i < profile->slot_count; i++) {
        char safe[4 * sizeof profile->slots[i].name];
        err_safe_text(safe, sizeof safe, profile->slots[i].name);
        const char *name = profile->slots[i].shared ? "[shared slot]" : *safe ? safe : "[unnamed]";
        load->name_of[i] = intern_add(&load->threads->names, name);
        if (load->name_of[i] == INTERN_NONE)
            return false;
    }
    return true;
}

bool threads_load(struct threads *threads, const struct profile *profile, const struct reader *reader, struct err *err)
{
    struct load load = {threads, profile, calloc((size_t)profile->slot_count + 1, sizeof *load.name_of)};
    memset(threads, 0, sizeof *threads);
    bool done = load.name_of && intern_init(&threads->names) && name_slots(&load);
    if (done) {
        reader_each_cell(reader, count_cell, &load);
        threads->shares = calloc((size_t)threads->count + 1, sizeof *threads->shares);
        threads->first = calloc((size_t)profile->site_count + 2, sizeof *threads->first);
        done = threads->shares && threads->first;
    }
    threads->count = 0;
    if (done) {
        reader_each_cell(reader, add_cell, &load);
        qsort(threads->shares, threads->count, sizeof *threads->shares, compare_shares);
        merge(threads);
        for (uint32_t i = 0; i < threads->count; i++)
            threads->first[threads->shares[i].site + 1]++;
        for (uint32_t i = 0; i < profile->site_count; i++)
            threads->first[i + 1] += threads->first[i];
    }
    free(load.name_of);
    return done ? true : err_set(err, "%s: no memory for its threads", reader->path);
}

void threads_free(struct threads *threads)
{
    intern_free(&threads->names);
    free(threads->shares);
    free(threads->first);
    memset(threads, 0, sizeof *threads);
}
