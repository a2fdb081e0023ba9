/* Texts, each kept once, named by dense numbers from 0. Number 0 is the empty text. */
#ifndef HEAPTAP_INTERN_H
#define HEAPTAP_INTERN_H

#include <common/base.h>

#define INTERN_NONE 0xffffffffu

struct intern {
    char **text; /* by number */
    uint32_t count, capacity;
    uint32_t *hash; /* open: number + 1 */
    uint32_t hash_capacity;
};

/* False: no memory. intern_free may be called in either case. */
bool intern_init(struct intern *intern);
void intern_free(struct intern *intern);

/* The number of a text, which is copied if it is new. INTERN_NONE: no memory. */
uint32_t intern_add(struct intern *intern, const char *text);

#endif
