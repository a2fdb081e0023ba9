/* Files that build_file makes, opened and loaded, for the programs that look at the reader and what stands on it. */
#ifndef HEAPTAP_TESTS_READER_STAGE_H
#define HEAPTAP_TESTS_READER_STAGE_H

#include "suite.h"
#include "build_file.h"

#include <report/profile.h>

#define HEADER(field) offsetof(struct ht_header, field)

bool open_bytes(struct reader *reader, const struct build *build, size_t bytes, struct err *err);
void open_good(struct reader *reader, const struct build *build);
/* The file is refused, with a line that holds `words`. */
void refused(const struct build *build, size_t bytes, const char *words);

/* What every writer may rely on. */
void check_sound(const struct profile *profile);
void load(struct profile *profile, const struct build *build);

/* The folded text of a view; the caller frees it. */
char *folded(const struct build *build, enum profile_view view);

/* Both byte orders and word sizes. */
void each_form(void (*test)(bool big, unsigned word_bytes));

#endif
