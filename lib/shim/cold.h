/*
 * Cold work: what may need kilobytes of stack, or must not be interrupted, runs on a stack of its own with signals blocked, one thread at a time.
 * The door is a try-lock that no event waits for: a thread that finds it shut does without and counts that. Calls of the program's that must have their turn
 * (mlockall, setrlimit) wait, for a bounded time (cold_run_in_turn).
 *
 * All cold work there is: the lookup of the real functions (real.c), the start of a recording (session.c), reading the module list
 * (modules.c), teaching a rule (rules.c), the program's mlockall (hooks_lock.c), giving addresses back (session.c). Cold too, but on the program's own stack: a thread's first event (thread.c), an unknown page of its stack
 * (stack.c), and tables that grow (section.c, index.c, memory.c), which record.c and capture_stack have done from where little of that stack is in use.
 */
#ifndef HEAPTAP_COLD_H
#define HEAPTAP_COLD_H

#include "sys.h"
#include <common/arch.h>

#define COLD_YIELDS 4u

struct cold {
    uint32_t busy;
    uint32_t
        tries; /* at the door: a few, where the work behind it takes microseconds; the last ones let its thread run */
    char *top; /* of its stack */
};

/* The linker puts all doors in a row. */
#define COLD_STACK(name, bytes, door_tries)                                                                            \
    static char name##_stack[bytes] __attribute__((aligned(4096)));                                                    \
    static struct cold name                                                                                            \
        __attribute__((section("cold_doors"))) = {.tries = (door_tries), .top = name##_stack + (bytes)}

/* Context: any thread, any stack; not signal-handlers of the thread that is inside (signals are blocked there). */
INLINE bool cold_enter(struct cold *cold)
{
    for (uint32_t i = 0; i < cold->tries; i++) {
        if (!word_get(&cold->busy) && word_swap(&cold->busy, 0, 1))
            return true;
        if (i + COLD_YIELDS < cold->tries)
            arch_pause();
        else if (i + 1 < cold->tries)
            sys_yield();
    }
    return false;
}

INLINE void cold_leave(struct cold *cold)
{
    word_publish(&cold->busy, 0);
}

/* Runs the function on the cold stack. False: another thread is in there. */
INLINE bool cold_run_inlined(struct cold *cold, void (*function)(void *), void *argument)
{
    struct sys_signals signals;
    sys_block_signals(&signals);
    bool inside = cold_enter(cold);
    if (inside) {
        arch_on_stack(function, argument, cold->top);
        cold_leave(cold);
    }
    sys_restore_signals(&signals);
    return inside;
}

/* The same, where some more of the caller's stack may be used. */
static __attribute__((cold, unused)) bool cold_run(struct cold *cold, void (*function)(void *), void *argument)
{
    return cold_run_inlined(cold, function, argument);
}

/* The same, for which the one inside is waited for. Context: as cold_run. */
static __attribute__((cold, unused)) bool cold_run_in_turn(struct cold *cold, void (*function)(void *), void *argument)
{
    struct sys_wait wait = {0};
    bool done;
    do {
        done = cold_run(cold, function, argument);
    } while (!done && sys_wait(&wait, SYS_WAIT_MS));
    return done;
}

/* In a fork child whoever was inside is not there. */
INLINE void cold_open_all(void)
{
    extern struct cold __start_cold_doors[] __attribute__((visibility("hidden")));
    extern struct cold __stop_cold_doors[] __attribute__((visibility("hidden")));
    for (struct cold *cold = __start_cold_doors; cold < __stop_cold_doors; cold++)
        cold_leave(cold);
}

#endif
