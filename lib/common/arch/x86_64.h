/* x86-64, System V ABI. See arch.h for what each name means. */
#define ARCH_ELF_MACHINE 62
#define ARCH_SYSCALLS 1

INLINE long arch_syscall(long n, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

INLINE void arch_pause(void)
{
    __asm__ volatile("pause");
}

#if __GNUC__ >= 11 /* asm goto with outputs */
#define ARCH_ADDS 1
INLINE void arch_add(uint32_t *word, uint32_t n)
{
    __asm__ volatile("addl %1, %0" : "+m"(*word) : "ri"(n) : "cc");
}

/* Bit 31 comes up with a signed overflow and goes down with a carry. */
INLINE bool arch_add_turns(uint32_t *word, uint32_t n)
{
    __asm__ volatile goto("addl %[n], %[word]\n\t"
                          "jo %l[turned]\n\t"
                          "jc %l[turned]"
                          : [word] "+m"(*word)
                          : [n] "r"(n)
                          : "cc"
                          : turned);
    return false;
turned:
    return true;
}
#endif

/* rsp, rbp, then the other callee-saved registers, which only hand-written code and some realigned frames build a CFA on. */
#define ARCH_REGS 7
#define ARCH_REGS_FAST 2
#define ARCH_DWARF                                                                                                     \
    {                                                                                                                  \
        7, 6, 3, 12, 13, 14, 15                                                                                        \
    }
#define ARCH_DWARF_PC 16
#define ARCH_DWARF_RA 16
#define ARCH_CODE_ALIGN 1
#define ARCH_LINK 0
#define ARCH_RETURN (-1)
typedef int8_t arch_saved;

/* libc's own code, and its tables describe it. */
#define ARCH_SIGRETURN 0
#define ARCH_SIGNAL_SP 0
#define ARCH_SIGNAL_PC 0
#define ARCH_SIGNAL_SAVED                                                                                              \
    {                                                                                                                  \
        SAVED_NONE                                                                                                     \
    }

#define arch_caller(regs)                                                                                              \
    do {                                                                                                               \
        const uintptr_t *frame_ = __builtin_frame_address(0);                                                          \
        (regs)->pc = frame_[1];                                                                                        \
        (regs)->reg[0] = (uintptr_t)(frame_ + 2);                                                                      \
        (regs)->reg[1] = frame_[0];                                                                                    \
    } while (0)

#define arch_here(regs)                                                                                                \
    __asm__ volatile("lea 0f(%%rip), %%rax\n\t"                                                                        \
                     "0: mov %%rax, 0(%0)\n\t"                                                                         \
                     "mov %%rsp, 8(%0)\n\t"                                                                            \
                     "mov %%rbp, 16(%0)\n\t"                                                                           \
                     "mov %%rbx, 24(%0)\n\t"                                                                           \
                     "mov %%r12, 32(%0)\n\t"                                                                           \
                     "mov %%r13, 40(%0)\n\t"                                                                           \
                     "mov %%r14, 48(%0)\n\t"                                                                           \
                     "mov %%r15, 56(%0)"                                                                               \
                     :                                                                                                 \
                     : "r"(regs)                                                                                       \
                     : "rax", "memory")

INLINE void arch_on_stack(void (*function)(void *), void *argument, void *top)
{
    /* rbx keeps the old stack pointer over the call; the CFI lets debuggers walk through. The red zone is stepped over. */
    __asm__ volatile("mov %%rsp, %%rbx\n\t"
                     "mov %[top], %%rsp\n\t"
                     "call *%[function]\n\t"
                     "mov %%rbx, %%rsp"
                     : "+D"(argument)
                     : [function] "r"(function), [top] "r"(top)
                     : "rbx", "rax", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2", "xmm3",
                       "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                       "xmm15", "memory", "cc");
}

typedef int arch_vector __attribute__((vector_size(16), aligned(4)));

/* In assembly: the loads are ones that the compiler can neither split nor take for ordinary ones, since other threads store to the words. */
INLINE arch_vector arch_load4(const uint32_t *words)
{
    arch_vector loaded;
    __asm__("movdqu %1, %0" : "=x"(loaded) : "m"(*(const arch_vector *)(const void *)words));
    return loaded;
}

INLINE arch_vector arch_four(uint32_t value)
{
    arch_vector four;
    __asm__("movd %1, %0\n\t"
            "pshufd $0, %0, %0"
            : "=x"(four)
            : "r"(value));
    return four;
}

INLINE unsigned arch_equal4(const uint32_t *words, uint32_t value)
{
    arch_vector have = arch_load4(words);
    unsigned mask;
    __asm__("pcmpeqd %1, %0" : "+x"(have) : "x"(arch_four(value)));
    __asm__("movmskps %1, %0" : "=r"(mask) : "x"(have));
    return mask;
}

INLINE unsigned arch_equal8(const uint8_t *a, const uint8_t *b, uint8_t value)
{
    typedef uint8_t eight[8];
    arch_vector have, want;
    unsigned mask;
    __asm__("movq %1, %0\n\t"
            "movhps %2, %0"
            : "=&x"(have)
            : "m"(*(const eight *)a), "m"(*(const eight *)b));
    __asm__("movq %1, %0\n\t"
            "punpcklqdq %0, %0"
            : "=x"(want)
            : "r"(value * UINT64_C(0x0101010101010101)));
    __asm__("pcmpeqb %1, %0" : "+x"(have) : "x"(want));
    __asm__("pmovmskb %1, %0" : "=r"(mask) : "x"(have));
    return mask;
}

INLINE unsigned arch_zero8(const uint16_t *a, const uint16_t *b)
{
    typedef uint16_t eight[8];
    arch_vector in_a, in_b, zero;
    unsigned mask;
    __asm__("movdqu %1, %0" : "=x"(in_a) : "m"(*(const eight *)a));
    __asm__("movdqu %1, %0" : "=x"(in_b) : "m"(*(const eight *)b));
    __asm__("pxor %2, %2\n\t"
            "pcmpeqw %2, %0\n\t"
            "pcmpeqw %2, %1\n\t"
            "packsswb %1, %0"
            : "+x"(in_a), "+x"(in_b), "=&x"(zero));
    __asm__("pmovmskb %1, %0" : "=r"(mask) : "x"(in_a));
    return mask;
}

INLINE uintptr_t arch_pc(uintptr_t raw)
{
    return raw;
}

INLINE uintptr_t arch_address(uintptr_t address)
{
    return address;
}
