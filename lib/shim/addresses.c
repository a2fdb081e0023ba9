#include "addresses.h"

#include "sys.h"

static uint32_t holders;

void addresses_hold(void)
{
    __atomic_fetch_add(&holders, 1, __ATOMIC_SEQ_CST);
}

/* Never below none: a hook that a fork child has inherited unfinished lets go of what is forgotten, perhaps. */
void addresses_let_go(void)
{
    uint32_t there = word_get(&holders);
    while (there &&
           !__atomic_compare_exchange_n(&holders, &there, there - 1, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
    }
}

bool addresses_unheld(bool wait)
{
    for (uint32_t turn = 0; wait && turn < SYS_WAIT_TURNS && __atomic_load_n(&holders, __ATOMIC_SEQ_CST); turn++)
        sys_wait(turn);
    return !__atomic_load_n(&holders, __ATOMIC_SEQ_CST);
}

void addresses_anew(void)
{
    __atomic_store_n(&holders, 0, __ATOMIC_SEQ_CST);
}
