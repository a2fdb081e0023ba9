#include "addresses.h"

static uint32_t holders, giving;
static uint32_t begun, given_up; /* holds so far, and at the last time that they were waited for in vain */

static void hold(void)
{
    word_add(&begun, 1);
    __atomic_fetch_add(&holders, 1, __ATOMIC_SEQ_CST);
}

/* Never below none: a hook that a fork child has inherited unfinished lets go of what is forgotten, perhaps. */
static void let_go(void)
{
    uint32_t there = word_get(&holders);
    while (there &&
           !__atomic_compare_exchange_n(&holders, &there, there - 1, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
    }
}

void addresses_hold(struct sys_signals *signals)
{
    sys_block_signals(signals);
    hold();
}

void addresses_let_go(const struct sys_signals *signals)
{
    let_go();
    sys_restore_signals(signals);
}

/* One of both sees the other: whoever gives some back says so before it looks for those who hold them. */
void addresses_hold_still(void)
{
    hold();
    for (uint32_t turn = 0; turn < SYS_WAIT_TURNS && __atomic_load_n(&giving, __ATOMIC_SEQ_CST); turn++) {
        let_go();
        sys_wait(turn);
        hold();
    }
}

void addresses_let_go_still(void)
{
    let_go();
}

bool addresses_give(bool wait)
{
    __atomic_store_n(&giving, 1, __ATOMIC_SEQ_CST);
    bool unheld = addresses_unheld(wait);
    if (!unheld)
        addresses_given();
    return unheld;
}

void addresses_given(void)
{
    __atomic_store_n(&giving, 0, __ATOMIC_SEQ_CST);
}

/* Those who were waited for in vain have been left by a handler, or have ended: if nobody came after them, they are not waited for again. */
bool addresses_unheld(bool wait)
{
    uint32_t turn = word_get(&begun) == word_get(&given_up) ? SYS_WAIT_TURNS : 0;
    while (wait && turn < SYS_WAIT_TURNS && __atomic_load_n(&holders, __ATOMIC_SEQ_CST))
        sys_wait(turn++);
    bool unheld = !__atomic_load_n(&holders, __ATOMIC_SEQ_CST);
    if (wait && !unheld)
        word_set(&given_up, word_get(&begun));
    return unheld;
}

void addresses_anew(void)
{
    __atomic_store_n(&holders, 0, __ATOMIC_SEQ_CST);
    addresses_given();
}
