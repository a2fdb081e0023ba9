/*
 * How one frame is unwound: a rule, keyed by the address in the caller. It never changes while the module stays mapped.
 *
 * With r[] the registers of the frame (r[0] its stack pointer):
 *   CFA = r[cfa_reg] + cfa_offset,  or with RULE_CFA_LOADED: word at (r[cfa_reg] + cfa_offset), + cfa_add
 *   caller's pc = word at base(ra_base) + ra * word size        (RULE_RA_IN_REGISTER: in the link register; innermost frame only)
 *   caller's r[i] = word at base(saved_base) + saved[i - 1] * word size, or at CFA + the same when bit i - 1 of saved_at_cfa is set,
 *                   or unchanged when saved[i - 1] is SAVED_NONE
 *   caller's r[0] = CFA
 *
 * On AArch64, where compilers keep frame records by default, rules are walked all the same. Both ways were tried under qemu-user against backtrace():
 * code with records comes out right either way (73,343 stacks of jq, sqlite3, python3 and openssl). But a chain of records leaves out, and nothing tells,
 * what a signal interrupted (1,130 of 4,160 stacks of known/signals and known/jumps wrong) and what was built with -fomit-frame-pointer (400 of 400);
 * rules: none wrong. Nor are records cheaper, with the same comparison with the last stack: each record is two words, and a rule mostly reads one. Where there is no table, nothing says that records are kept: the stack is cut.
 */
#ifndef HEAPTAP_RULE_H
#define HEAPTAP_RULE_H

#include <common/arch.h>

enum rule_kind {
    RULE_NONE,      /* not a rule yet */
    RULE_STEP,      /* there is a caller; the fields below say where */
    RULE_OUTERMOST, /* the table says that nothing called this frame: the stack is complete */
    RULE_NO_TABLE,  /* the code has no unwind table: the stack is cut, HT_CUT_NO_TABLE */
    RULE_REFUSED,   /* the table says something that a rule cannot hold: HT_CUT_REFUSED */
    RULE_NO_PLACE   /* there is no room for the place: HT_CUT_FULL */
};

enum rule_base { BASE_CFA, BASE_FP, BASE_SP }; /* CFA, r[1], r[0] */

#define RULE_CFA_LOADED 0x1u
#define RULE_SIGNAL 0x2u /* the caller was interrupted here: its pc is exact, and its stack may be another one */
#define RULE_RA_IN_REGISTER 0x4u
#define RULE_FULL 0x8u /* cfa_reg >= ARCH_REGS_FAST: needs the full walk */
/* What follows from the fields; set by rule_classify. */
#define RULE_USES_FP 0x10u  /* reads r[1] */
#define RULE_SAVES_FP 0x20u /* restores r[1] */
#define RULE_PLAIN                                                                                                     \
    0x40u /* nothing but: CFA = r[0] or r[1] + cfa_offset; the return address, and r[1] if it is restored, at offsets from it */

#define SAVED_NONE ((arch_saved)((arch_saved)1 << (8 * sizeof(arch_saved) - 1)))

#if ARCH_SYSCALLS
struct rule {
    /* Set by rules.c. */
    uint32_t pc_lo; /* publishes */
    uint16_t pc_hi; /* a bit of the two says that the address is exact, not a return address */
    uint16_t generation;
    uint32_t place; /* set by rules.c */
    int32_t cfa_offset;
    int16_t cfa_add;
    int16_t ra; /* words */
    uint8_t kind : 4, cfa_reg : 4;
    uint8_t ra_base : 4, saved_base : 4;
    uint8_t saved_at_cfa;
    uint8_t flags;
    arch_saved saved[8 / sizeof(arch_saved)];
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct rule) == 32, "two rules to a cache line");

/* The two parts of an address, and whether it is exact, which takes a bit that no instruction's address has. */
INLINE uint32_t rule_pc_lo(uintptr_t pc, bool exact)
{
    return (uint32_t)pc | (ARCH_CODE_ALIGN > 1 && exact);
}

INLINE uint16_t rule_pc_hi(uintptr_t pc, bool exact)
{
    return (uint16_t)((uint64_t)pc >> 32 & (ARCH_CODE_ALIGN > 1 ? 0xffff : 0x7fff)) |
           (ARCH_CODE_ALIGN == 1 && exact ? 0x8000u : 0);
}

/* Hashes the pc of a rule: the upper bits are the mixed ones. */
INLINE uint32_t rule_hash(uintptr_t pc)
{
    return (uint32_t)pc * 0x9e3779b1u;
}

INLINE void rule_classify(struct rule *rule)
{
    rule->flags &= (uint8_t) ~(RULE_USES_FP | RULE_SAVES_FP | RULE_PLAIN);
    if (rule->kind != RULE_STEP)
        return;
    bool saves_fp = rule->saved[0] != SAVED_NONE, fp_at_cfa = rule->saved_base == BASE_CFA || (rule->saved_at_cfa & 1);
    if (rule->cfa_reg == 1 || rule->ra_base == BASE_FP || rule->saved_base == BASE_FP)
        rule->flags |= RULE_USES_FP;
    if (saves_fp)
        rule->flags |= RULE_SAVES_FP;
    if (rule->cfa_reg < 2 && ARCH_REGS_FAST == 2 && rule->ra_base == BASE_CFA && (fp_at_cfa || !saves_fp) &&
        !(rule->flags & (RULE_CFA_LOADED | RULE_SIGNAL | RULE_RA_IN_REGISTER)))
        rule->flags |= RULE_PLAIN;
}
#endif

#endif
