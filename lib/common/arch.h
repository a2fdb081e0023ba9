/*
 * The seam between processors. arch/<cpu>.h defines, under the same names on each:
 *
 *   ARCH_ELF_MACHINE      e_machine of this build
 *   ARCH_SYSCALLS         1 if arch_syscall is there (a file without it serves the tool only)
 *   arch_syscall(n, a..f) a raw system call: result or -errno; leaves errno alone
 *   arch_pause()          a hint inside a bounded spin
 *   arch_add(w, n)        *w += n of a word that one thread writes and others may read: one instruction where there is one (ARCH_ADDS)
 *   arch_add_turns(w, n)  the same for n < 2^31; true: bit 31 has changed
 *   ARCH_REGS             registers that a walk follows; index 0 is the stack pointer, 1 the first frame register
 *   ARCH_REGS_FAST        how many of them the fast walk follows; rules that need another one use the full walk
 *   ARCH_DWARF            their DWARF numbers, in that order, as an initializer
 *   ARCH_DWARF_PC         DWARF number of the program counter
 *   ARCH_DWARF_RA         DWARF number of the return address column
 *   ARCH_CODE_ALIGN       instructions lie at multiples of this; 1: anywhere, and then their addresses have at most 47 bits, else 48
 *   ARCH_LINK             register in which a call leaves the return address (0: it is pushed); at least ARCH_REGS_FAST
 *   ARCH_RETURN           where calls leave the return address, in words from the caller's stack pointer, the CFA (0: wherever the callee likes)
 *   ARCH_SIGRETURN        the eight bytes of code that handlers return to, where no table describes the frame there (0: one does); the four
 *                         names that begin with ARCH_SIGNAL_ say in which words of that frame the registers are
 *   arch_saved            type of a save slot's offset in struct rule; sizeof(arch_saved) * (ARCH_REGS - 1) <= 8
 *   arch_caller(regs)     state of the caller of the function that expands it, which must keep a frame pointer
 *   ARCH_CALLER_PC, ARCH_CALLER_SP  two of it, for which no frame pointer is needed
 *   arch_here(regs)       state at this very place, all ARCH_REGS of it
 *   arch_on_stack(f, a, top)  calls f(a) on another stack that ends at `top`, 16-byte aligned
 *   arch_equal4(w, v)     bit i is set where w[i] == v: four words, compared without a branch
 *   arch_equal8(a, b, v)  bit i is set where a[i] == v, bit 8 + i where b[i] == v: eight bytes each
 *   arch_zero8(a, b)      bit i is set where a[i] == 0, bit 8 + i where b[i] == 0: eight halfwords each
 *   arch_pc(raw)          return address without what the processor adds to it (pointer authentication)
 *   arch_address(p)       address without its tag bits
 */
#ifndef HEAPTAP_ARCH_H
#define HEAPTAP_ARCH_H

#include "base.h"

#if defined(__x86_64__) && defined(__LP64__)
#include "arch/x86_64.h"
#elif defined(__aarch64__) && defined(__LP64__) && defined(__AARCH64EL__)
#include "arch/aarch64.h"
#else
#include "arch/generic.h"
#endif

#ifndef ARCH_ADDS
INLINE void arch_add(uint32_t *word, uint32_t n)
{
    word_set(word, *word + n);
}

INLINE bool arch_add_turns(uint32_t *word, uint32_t n)
{
    uint32_t old = *word;
    word_set(word, old + n);
    return (int32_t)(old ^ (old + n)) < 0;
}
#endif

#define ARCH_CALLER_PC ((uintptr_t)__builtin_return_address(0))
#define ARCH_CALLER_SP ((uintptr_t)__builtin_dwarf_cfa())

#if ARCH_SYSCALLS
/* Where a walk stands: the address of the next instruction (a return address, or an interrupted one) and registers. */
struct regs {
    uintptr_t pc;
    uintptr_t reg[ARCH_REGS];
};
#endif

#endif
