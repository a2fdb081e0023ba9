/* What a run tells on stderr, and of whom. */
#ifndef HEAPTAP_RUN_SAY_H
#define HEAPTAP_RUN_SAY_H

#include <report/family.h>

#define RUN_LINES_MAX 5 /* of one kind, of as many processes as there may be */
#define RUN_WORD_MAX 8192

/* One line. */
void run_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A path as one word for a shell. Where run_say() shows bytes as \xNN, it is $'...', in which that means them. */
const char *run_shell_word(char to[RUN_WORD_MAX], const char *path);

const char *run_program_of(const struct family_file *file);
bool run_lives(const struct family_file *file);

#endif
