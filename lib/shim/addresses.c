#include "addresses.h"

#define STILL_MS 100u

static uint32_t holders, still, giving;
static uint32_t begun, given_up; /* holds so far, and at the last time that they were waited for in vain */

static void add(uint32_t *count)
{
    word_add(&begun, 1);
    __atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST);
}

/* Never below none: a hook that a fork child has inherited unfinished lets go of what is forgotten, perhaps. */
static void subtract(uint32_t *count)
{
    uint32_t there = word_get(count);
    while (there && !__atomic_compare_exchange_n(count, &there, there - 1, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
    }
}

void addresses_hold(struct sys_signals *signals)
{
    sys_block_signals(signals);
    add(&holders);
}

void addresses_let_go(const struct sys_signals *signals)
{
    subtract(&holders);
    sys_restore_signals(signals);
}

/* One of both sees the other: whoever gives some back says so before it looks for those who hold them. */
bool addresses_hold_still(void)
{
    struct sys_wait wait = {0};
    do {
        add(&still);
        if (!__atomic_load_n(&giving, __ATOMIC_SEQ_CST))
            return true;
        subtract(&still);
    } while (sys_wait(&wait, SYS_WAIT_MS));
    return false;
}

void addresses_let_go_still(void)
{
    subtract(&still);
}

/* Those who were waited for in vain have been left by a handler, or have ended: if nobody came after them, they are not waited for again. */
static bool is_hopeless(void)
{
    return word_get(&begun) == word_get(&given_up);
}

bool addresses_give(bool wait)
{
    struct sys_wait turns = {0};
    uint32_t others, last;
    do {
        last = __atomic_load_n(&begun, __ATOMIC_SEQ_CST); /* before the look: who comes after that is another one */
        __atomic_store_n(&giving, 1, __ATOMIC_SEQ_CST);
        others = __atomic_load_n(&still, __ATOMIC_SEQ_CST);
        if (!others && !__atomic_load_n(&holders, __ATOMIC_SEQ_CST))
            return true;
        addresses_given(); /* nobody waits for one who waits */
    } while (wait && !is_hopeless() && sys_wait(&turns, others ? STILL_MS : SYS_WAIT_MS));
    if (wait)
        word_set(&given_up, last);
    return false;
}

void addresses_given(void)
{
    __atomic_store_n(&giving, 0, __ATOMIC_SEQ_CST);
}

bool addresses_unheld(bool wait)
{
    struct sys_wait turns = {0};
    uint32_t last;
    bool unheld;
    do {
        last = __atomic_load_n(&begun, __ATOMIC_SEQ_CST);
        unheld = !__atomic_load_n(&holders, __ATOMIC_SEQ_CST);
    } while (!unheld && wait && !is_hopeless() && sys_wait(&turns, SYS_WAIT_MS));
    if (wait && !unheld)
        word_set(&given_up, last);
    return unheld;
}

void addresses_anew(void)
{
    __atomic_store_n(&holders, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&still, 0, __ATOMIC_SEQ_CST);
    addresses_given();
}
