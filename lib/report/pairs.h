/* Numbers by pairs of numbers. */
#ifndef HEAPTAP_PAIRS_H
#define HEAPTAP_PAIRS_H

#include <common/base.h>

struct pair {
    uint32_t a, b;
    uint32_t number; /* 0: free */
};

struct pairs {
    struct pair *hash; /* open; a power of two */
    uint32_t count, capacity;
};

/* Makes room for so many more. False: no memory. Begins with {0}. */
bool pairs_reserve(struct pairs *pairs, uint32_t more);
/* The number of a pair. One that has none gets `fresh`, which is not 0: there has to be room. */
uint32_t pairs_add(struct pairs *pairs, uint32_t a, uint32_t b, uint32_t fresh);
void pairs_free(struct pairs *pairs);

#endif
