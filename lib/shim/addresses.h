/*
 * The shim's addresses, of which some may be given back to the kernel while the process runs (session_make_room). There the program may map something of its own
 * at any time: so nobody may hand a range to a system call that is not the shim's any more.
 *
 *   who hands one over     addresses_hold(); looks up what is the shim's; makes the call; addresses_let_go()
 *   who gives some back    stores what will be left, with sequential consistency; addresses_unheld(); then unmaps. False: puts back what it stored.
 *
 * What is in use is never given back: to read or to write there nobody has to hold anything.
 */
#ifndef HEAPTAP_ADDRESSES_H
#define HEAPTAP_ADDRESSES_H

#include <common/base.h>

/* Context: any thread, signal-safe; nests. A thread that never comes back from in between keeps all addresses where they are. */
void addresses_hold(void);
void addresses_let_go(void);

/*
 * True: nobody holds them who came before. `wait`: a bounded time for those who do; in vain where the caller itself may have been interrupted in between.
 * Context: any thread, signal-safe; makes system calls.
 */
bool addresses_unheld(bool wait);

/* In a fork child those who held them in the parent are not there. */
void addresses_anew(void);

#endif
