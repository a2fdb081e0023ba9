/* What the programs say in a processor's own language, under one name each. */
#ifndef PROCESSOR_H
#define PROCESSOR_H

#ifdef __x86_64__

/* An instruction that raises SIGILL, and how a handler steps over it. */
#define UNDEFINED "ud2\n"
#define STEP_OVER(context) ((context)->uc_mcontext.gregs[REG_RIP] += 2)

/* Where handlers return to, as a word of an expectation. */
#define TRAMPOLINE "@libc.so.6"

/* push rbp; mov rsp, rbp; call rdi; pop rbp; ret */
#define CODE_THAT_CALLS 0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3

/* A function that is interrupted at its very first instruction (pc - 1 would be in another function), three times before its frame is whole,
 * and in its epilogue. */
#define IN_PROLOGUE                                                                                                    \
    "in_prologue:\n"                                                                                                   \
    ".cfi_startproc\n" UNDEFINED "push %rbp\n"                                                                         \
    ".cfi_adjust_cfa_offset 8\n.cfi_rel_offset rbp,0\n" UNDEFINED "mov %rsp,%rbp\n"                                    \
    ".cfi_def_cfa_register rbp\n" UNDEFINED "sub $80,%rsp\n" UNDEFINED "leave\n"                                       \
    ".cfi_def_cfa rsp,8\n.cfi_restore rbp\n" UNDEFINED "ret\n"                                                         \
    ".cfi_endproc\n"

#elif defined(__aarch64__)

#define UNDEFINED "udf #0\n"
#define UNDEFINED_CODE 0u
#define STEP_OVER(context) ((context)->uc_mcontext.pc += 4)

/* The kernel's, or an emulator's. */
#define TRAMPOLINE "%"

/* stp x29, x30, [sp, #-16]!; mov x29, sp; blr x0; ldp x29, x30, [sp], #16; ret */
#define CODE_THAT_CALLS                                                                                                \
    0xfd, 0x7b, 0xbf, 0xa9, 0xfd, 0x03, 0x00, 0x91, 0x00, 0x00, 0x3f, 0xd6, 0xfd, 0x7b, 0xc1, 0xa8, 0xc0, 0x03, 0x5f,  \
        0xd6

/* The return address is signed from the second instruction on, where the processor can do that. */
#define IN_PROLOGUE                                                                                                    \
    "in_prologue:\n"                                                                                                   \
    ".cfi_startproc\n" UNDEFINED "hint #25\n"                                                                          \
    ".cfi_window_save\n" UNDEFINED "stp x29, x30, [sp, #-96]!\n"                                                       \
    ".cfi_def_cfa_offset 96\n.cfi_offset x29, -96\n.cfi_offset x30, -88\n"                                             \
    "mov x29, sp\n" UNDEFINED "ldp x29, x30, [sp], #96\n"                                                              \
    ".cfi_def_cfa_offset 0\n.cfi_restore x29\n.cfi_restore x30\n" UNDEFINED "hint #29\n"                               \
    ".cfi_window_save\n" UNDEFINED "ret\n"                                                                             \
    ".cfi_endproc\n"

#endif

#endif
