/* For lazy.c: variables in dynamic thread-local storage, which the loader allocates (TLS_BYTES in one block) when they are first touched. */
#include "known.h"

static __thread char variable[TLS_BYTES];

FRAME char *TLS_NAME(void);

FRAME char *TLS_NAME(void)
{
    char *volatile at = variable;
    return at;
}
