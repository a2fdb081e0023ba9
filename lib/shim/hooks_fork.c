/*
 * fork and _Fork, passed through. A signal handler may call them in the middle of a hook, and its child may return into that hook: there, and only there, the
 * child finds the shim's memory as it was, and a copy of the file in place of the file, so that the hook ends as it would have, and nothing of that is
 * recorded. The child's next hook starts over. A child that stays in the handler is not recorded.
 *
 * Meanwhile the list of libraries is not being read, and no addresses are given back: the child would have the half of it.
 *
 * The child notes that the memory is its own, before a vfork child of it can be taken for it.
 *
 * Forks inside libc (daemon, forkpty) and by system calls do not come through here: in a handler in the middle of a hook, their child must not return.
 */
#include "hooks.h"

#include "addresses.h"
#include "memory.h"
#include "modules.h"

static COLD int fork_in_hook(struct thread *t, int (*next)(void))
{
    bool kept = memory_keep();
    int pid = next();
    if (kept && pid)
        memory_keep_end();
    else if (kept)
        session_keep_apart(t);
    return pid;
}

static int fork_between_hooks(int (*next)(void))
{
    int pid = next();
    if (!pid && memory_kept()) /* for another thread, which is not here */
        memory_wipe();
    return pid;
}

static int fork_by(int (*next)(void))
{
    struct thread *t = thread_self;
    bool held = modules_hold(), still = session_is_of_this_process() && addresses_hold_still();
    int pid = UNLIKELY(t && t->guard) ? fork_in_hook(t, next) : fork_between_hooks(next);
    if (!pid)
        session_note_fork();
    if (still)
        addresses_let_go_still();
    if (held)
        modules_let_go();
    return pid;
}

HOOK(int, fork, (void))
{
    return fork_by(real.fork);
}

HOOK(int, _Fork, (void))
{
    return fork_by(real._Fork);
}
