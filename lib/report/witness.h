/*
 * Whom a signal was sent to. A process that gets one cannot tell whether it was meant for it alone (kill PID) or for its whole process group and more (kill -- -PGID,
 * a service manager that ends all processes of a service). A witness is a child in the same process group that does nothing but tell which signals it gets
 * itself: what it got, too, was not sent to this process alone. It ends with this process, whatever becomes of that.
 */
#ifndef HEAPTAP_WITNESS_H
#define HEAPTAP_WITNESS_H

#include <common/base.h>
#include <signal.h>
#include <sys/types.h>

struct witness {
    pid_t pid;
    int fd;        /* readable when it has something to tell; -1: there is none */
    uint64_t seen; /* bit by signal number: told, and not yet asked for */
};

/* `signals` are blocked already. Where none can be made, no signal is ever seen by it. */
void witness_start(struct witness *witness, const sigset_t *signals);
void witness_end(struct witness *witness);

/*
 * This process has just got the signal: did the witness, too? One kill of a group has reached both when this looks. One after the other, as service
 * managers do it, they are given WITNESS_GRACE_MS. True: what this process got of that sending has come when this returns.
 */
#define WITNESS_GRACE_MS 50
bool witness_saw(struct witness *witness, int number);
/*
 * Hears what it tells, by itself or with signals of this process. What it tells of has reached this process, too, when this returns, or never will: read those
 * signals, with witness_saw, and forget the rest. Returns that, to be forgotten.
 */
uint64_t witness_hear(struct witness *witness);
INLINE void witness_forget(struct witness *witness, uint64_t told)
{
    witness->seen &= ~told;
}

#endif
