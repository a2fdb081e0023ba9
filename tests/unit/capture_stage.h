/*
 * Stacks made by hand, with rules made by hand, for the programs that look at capture. What must come out is known from how the stack was made. What capture
 * asks (rules, nodes) is in here, too.
 */
#ifndef HEAPTAP_TESTS_CAPTURE_STAGE_H
#define HEAPTAP_TESTS_CAPTURE_STAGE_H

#include "stage.h"

#include <shim/capture.h>
#include <shim/memo.h>
#include <shim/tree.h>

#define WORDS 8192u
#define CODE ((uintptr_t)0x400000) /* the pc of rule i is CODE + 16 * i */
#define RULES 4096u
#define NODES (1u << 18)

/* ---- What capture asks ---- */

extern struct rule rules[RULES];
extern enum ht_cut no_rule;       /* why a rule cannot be had, of pc 0 in the table */
extern bool remembered;           /* a thread may keep rules: they do not change */
extern uint32_t asked;            /* for rules */
extern const struct rule *bridge; /* for any pc that is not in the table: heaptap's own code */

extern bool
    again; /* a node that is asked for twice is the same one, and stacks are remembered, as record.c does it; else each is new */

extern struct thread *t;
extern struct ht_node node[NODES];
extern uint32_t nodes, nodes_max;

/* ---- The stack, and how a frame is put on it ---- */

extern uintptr_t *memory, *top; /* all of it, and its end */
extern struct regs now;         /* of the innermost frame */
extern uintptr_t written;       /* seeds what the program leaves in its frames */

uintptr_t pc_of(uint32_t rule);
/* Every rule has its own number, plus one, as place. */
void set_rule(uint32_t i, struct rule rule);
void begin(uint32_t depth);
uintptr_t *word_at(uintptr_t address);
/* A call from where the program is: what the call itself stores. Returns the callee's CFA. */
uintptr_t call(void);

/* Frames of `words` words. The rule is that of the call that the new frame is about to make. */
void push_plain(uint32_t rule, uint32_t words);
/* push rbp; mov rsp, rbp */
void push_with_frame_pointer(uint32_t rule, uint32_t words);
/* push rbp, which then holds something else */
void push_saving(uint32_t rule, uint32_t words);
/* lea 8(rsp), r10; and $-32, rsp; push -8(r10); push rbp; mov rsp, rbp; push r10 */
void push_realigned(uint32_t rule, uint32_t words);

/* Captures; returns the node. */
uint32_t capture_now(enum ht_cut *cut);
/* The places of a node, innermost first, against rules; the root of it all is `root`. */
void check_node(uint32_t at, const uint32_t *expected, uint32_t count, uint32_t root);

#define CHECK_STACK(why, ...)                                                                                          \
    do {                                                                                                               \
        static const uint32_t expected_[] = {__VA_ARGS__};                                                             \
        enum ht_cut cut_;                                                                                              \
        uint32_t node_ = capture_now(&cut_);                                                                           \
        ck_assert_int_eq(cut_, why);                                                                                   \
        check_node(node_, expected_, ARRAY_LEN(expected_), why);                                                       \
    } while (0)

#endif
