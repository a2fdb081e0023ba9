#include "pairs.h"

#include <stdlib.h>
#include <string.h>

static struct pair *find(const struct pairs *pairs, uint32_t a, uint32_t b)
{
    uint64_t mixed = ((uint64_t)a << 32 | b) * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t mask = pairs->capacity - 1, at = (uint32_t)(mixed >> 32) & mask;
    while (pairs->hash[at].number && (pairs->hash[at].a != a || pairs->hash[at].b != b))
        at = (at + 1) & mask;
    return &pairs->hash[at];
}

/* Half of the hash stays free. */
bool pairs_reserve(struct pairs *pairs, uint32_t more)
{
    uint64_t capacity = pairs->capacity ? pairs->capacity : 1024;
    while (((uint64_t)pairs->count + more) * 2 > capacity)
        capacity *= 2;
    if (capacity == pairs->capacity)
        return true;
    struct pairs larger = {.count = pairs->count, .capacity = (uint32_t)capacity};
    larger.hash = capacity <= 1u << 31 ? calloc(capacity, sizeof *larger.hash) : NULL;
    if (!larger.hash)
        return false;
    for (uint32_t i = 0; i < pairs->capacity; i++)
        if (pairs->hash[i].number)
            *find(&larger, pairs->hash[i].a, pairs->hash[i].b) = pairs->hash[i];
    free(pairs->hash);
    *pairs = larger;
    return true;
}

uint32_t pairs_add(struct pairs *pairs, uint32_t a, uint32_t b, uint32_t fresh)
{
    struct pair *pair = find(pairs, a, b);
    if (!pair->number) {
        *pair = (struct pair){a, b, fresh};
        pairs->count++;
    }
    return pair->number;
}

void pairs_free(struct pairs *pairs)
{
    free(pairs->hash);
    memset(pairs, 0, sizeof *pairs);
}
