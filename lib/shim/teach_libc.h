/*
 * What libunwind's object calls instead of libc: toolchains/libunwind/build renames its calls to ht_unw_*, and leaves out its memory pools and
 * its start-up. Fixed memory, no locks (teach() has one caller at a time), no system calls; what runs out answers NULL, which libunwind's
 * callers of these check.
 */
#ifndef HEAPTAP_TEACH_LIBC_H
#define HEAPTAP_TEACH_LIBC_H

#include <common/base.h>

/* Takes back every object that a question left behind, also one that was cut off in the middle (fork in another thread). */
void teach_libc_reset(void);

#endif
