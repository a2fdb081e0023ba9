/*
 * The shim's addresses, of which some may be given back to the kernel while the process runs (session_make_room). There the program may map something of its own
 * at any time: so nobody may hand a range to a system call that is not the shim's any more.
 *
 *   who hands one over     addresses_hold(); looks up what is the shim's; makes the call; addresses_let_go()
 *   who gives some back    between addresses_give() and addresses_given(), for each range: stores what will be left, with sequential consistency;
 *                          addresses_unheld(); then unmaps. False: puts back what it stored.
 *   who needs all of them as they are, or as they will be, but nothing in between (fork, mlockall)    addresses_hold_still(); ...; addresses_let_go_still()
 *
 * What is in use is never given back: to read or to write there nobody has to hold anything.
 */
#ifndef HEAPTAP_ADDRESSES_H
#define HEAPTAP_ADDRESSES_H

#include "sys.h"

/* With signals blocked: no handler can leave from in between. Context: any thread, signal-safe; nests. */
void addresses_hold(struct sys_signals *signals);
void addresses_let_go(const struct sys_signals *signals);

/*
 * Waits for one who is giving some back, not for one who would like to. Signals are as they were, and in between may be code of the program's, which may take
 * long, or be left. False: nothing is held, it did not come to an end. Context: as above, but not between give and given.
 */
bool addresses_hold_still(void);
void addresses_let_go_still(void);

/*
 * False: somebody holds them, nothing may be given back. `wait`: for those, a bounded time, which is short for who holds them still; in vain where the caller
 * itself may have been interrupted in between. Context: one caller at a time, signals blocked; makes system calls.
 */
bool addresses_give(bool wait);
void addresses_given(void);

/* True: nobody is between hold and let_go who came before. Context: as addresses_give. */
bool addresses_unheld(bool wait);

/* In a fork child those who held them in the parent, or gave some back, are not there. */
void addresses_anew(void);

#endif
