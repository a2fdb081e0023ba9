/* Figures as people read them. Each writes a terminated text into an array of HUMAN_MAX and returns it. */
#ifndef HEAPTAP_HUMAN_H
#define HEAPTAP_HUMAN_H

#include <common/base.h>

#define HUMAN_MAX 32

/* "512 B", "1.5 KiB", "23.4 MiB", "117 GiB": powers of 1024, three figures, rounded to nearest. */
const char *human_bytes(char to[HUMAN_MAX], uint64_t bytes);
/* "1,234,567" */
const char *human_count(char to[HUMAN_MAX], uint64_t count);
/* "12.3 %"; "<0.1 %"; "0.0 %" of nothing. */
const char *human_share(char to[HUMAN_MAX], uint64_t part, uint64_t whole);

#endif
