/* Stacks with the frame of a signal handler in them. */
#include "capture_stage.h"

#include <sys/mman.h>

/* A handler on a stack of its own, and the interrupted code with a red zone and all registers in its context. */
START_TEST(signal_frames)
{
    begin(100);
    push_plain(1, 4);
    push_with_frame_pointer(2, 6);
    struct regs interrupted = now;
    uintptr_t *other = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(other != MAP_FAILED);
    other += 900; /* the context: where the CFA, the return address and the frame register lie */
    other[10] = interrupted.reg[0];
    other[11] = interrupted.pc;
    other[12] = interrupted.reg[1];
    set_rule(3, (struct rule){.flags = RULE_CFA_LOADED | RULE_SIGNAL,
                              .cfa_offset = 10 * WORD,
                              .ra = 11,
                              .ra_base = BASE_SP,
                              .saved = {12},
                              .saved_base = BASE_SP});
    now.pc = pc_of(3);
    now.reg[0] = (uintptr_t)other;
    now.reg[1] = 99;
    push_plain(4, 5);
    for (int i = 0; i < 3; i++)
        CHECK_STACK(0, 4, 3, 2, 1, 0);
    /* The program goes on and is interrupted elsewhere: nothing of the other stack is taken for granted. */
    now = interrupted;
    push_plain(5, 5);
    CHECK_STACK(0, 5, 2, 1, 0);
    other[10] = now.reg[0];
    other[11] = now.pc;
    other[12] = now.reg[1];
    now.pc = pc_of(3);
    now.reg[0] = (uintptr_t)other;
    push_plain(4, 5);
    for (int i = 0; i < 3; i++)
        CHECK_STACK(0, 4, 3, 5, 2, 1, 0);
}
END_TEST

/* The stack that a handler interrupted is gone when the handler's own is walked again: nothing of it is read any more. */
START_TEST(an_interrupted_stack_that_goes_away)
{
    begin(100);
    uintptr_t *other[2] = {memory, memory + 1024},
              *context = top - 100; /* what may be read is known upwards: it lies below */
    set_rule(1, (struct rule){
                    .flags = RULE_CFA_LOADED | RULE_SIGNAL, .cfa_offset = 10 * WORD, .ra = 11, .ra_base = BASE_SP});
    for (uint32_t i = 0; i < 2; i++) {
        set_rule(2 + i, (struct rule){.cfa_offset = 4 * WORD, .ra = -1});
        other[i][103] = pc_of(0);
    }
    now.pc = pc_of(1);
    now.reg[0] = (uintptr_t)context;
    context[10] = (uintptr_t)(other[0] + 100);
    context[11] = pc_of(2);
    CHECK_STACK(0, 1, 2, 0);
    ck_assert_int_eq(mprotect(other[0], 4096, PROT_NONE), 0);
    CHECK_STACK(HT_CUT_MEMORY, 1);
    context[10] = (uintptr_t)(other[1] + 100);
    context[11] = pc_of(3);
    CHECK_STACK(0, 1, 3, 0);
}
END_TEST

START_TEST(a_ring_of_signal_frames_ends)
{
    begin(100);
    uintptr_t *frame = top - 100;
    frame[0] = (uintptr_t)frame;
    frame[1] = pc_of(1);
    set_rule(1, (struct rule){.flags = RULE_CFA_LOADED | RULE_SIGNAL, .ra = 1, .ra_base = BASE_SP});
    now.pc = pc_of(1);
    now.reg[0] = (uintptr_t)frame;
    enum ht_cut cut;
    capture_now(&cut);
    ck_assert_int_eq(cut, HT_CUT_DEPTH);
}
END_TEST

SUITE("capture_signals", signal_frames, an_interrupted_stack_that_goes_away, a_ring_of_signal_frames_ends)
