/* AArch64, AAPCS64, little-endian Linux. See arch.h for what each name means. */
#define ARCH_ELF_MACHINE 183
#define ARCH_SYSCALLS 1

INLINE long arch_syscall(long n, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = n;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory", "cc");
    return x0;
}

INLINE void arch_pause(void)
{
    __asm__ volatile("yield");
}

/*
 * sp, x29 and the link register. No table of Debian's arm64 libraries and programs that was looked at builds a CFA on another one at a place that
 * can be on a stack (tests/cross/test_aarch64_programs looks through those of its programs), so the walk with all registers has nothing to follow but these.
 */
#define ARCH_REGS 3
#define ARCH_REGS_FAST 2
#define ARCH_CODE_ALIGN 4
#define ARCH_LINK 2
#define ARCH_RETURN 0
#define ARCH_DWARF                                                                                                     \
    {                                                                                                                  \
        31, 29, 30                                                                                                     \
    }
#define ARCH_DWARF_PC 32
#define ARCH_DWARF_RA 30
typedef int8_t arch_saved;

/* movz x8, #__NR_rt_sigreturn; svc #0: as in the kernel's vdso and in musl. Neither has a table row for it (the vdso had one before Linux 5.8). */
#define ARCH_SIGRETURN 0xd4000001d2801168u
/* struct rt_sigframe: 128 bytes of siginfo, 176 of ucontext before its sigcontext, whose registers begin in its second word. */
#define ARCH_SIGNAL_REGISTERS ((128 + 176) / 8 + 1)
#define ARCH_SIGNAL_SP (ARCH_SIGNAL_REGISTERS + 31)
#define ARCH_SIGNAL_PC (ARCH_SIGNAL_REGISTERS + 32)
#define ARCH_SIGNAL_SAVED                                                                                              \
    {                                                                                                                  \
        ARCH_SIGNAL_REGISTERS + 29, ARCH_SIGNAL_REGISTERS + 30                                                         \
    }

/* The frame record lies anywhere in the frame; only the compiler knows how far below the CFA. */
#define arch_caller(regs)                                                                                              \
    do {                                                                                                               \
        const uintptr_t *record_ = __builtin_frame_address(0);                                                         \
        (regs)->pc = record_[1];                                                                                       \
        (regs)->reg[0] = (uintptr_t)__builtin_dwarf_cfa();                                                             \
        (regs)->reg[1] = record_[0];                                                                                   \
    } while (0)

#define arch_here(regs)                                                                                                \
    __asm__ volatile("adr x9, .\n\t"                                                                                   \
                     "mov x10, sp\n\t"                                                                                 \
                     "stp x9, x10, [%0]\n\t"                                                                           \
                     "stp x29, x30, [%0, #16]"                                                                         \
                     :                                                                                                 \
                     : "r"(regs)                                                                                       \
                     : "x9", "x10", "memory")

INLINE void arch_on_stack(void (*function)(void *), void *argument, void *top)
{
    /* x19 keeps the old stack pointer over the call. */
    register void *x0 __asm__("x0") = argument;
    __asm__ volatile("mov x19, sp\n\t"
                     "mov sp, %[top]\n\t"
                     "blr %[function]\n\t"
                     "mov sp, x19"
                     : "+r"(x0)
                     : [function] "r"(function), [top] "r"(top)
                     : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
                       "x16", "x17", "x18", "x19", "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9",
                       "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",
                       "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory", "cc");
}

typedef uint32_t arch_vector __attribute__((vector_size(16), aligned(4)));

/* In assembly: the loads are ones that the compiler can neither split nor take for ordinary ones, since other threads store to the words. */
INLINE arch_vector arch_load4(const uint32_t *words)
{
    arch_vector loaded;
    __asm__("ldr %q0, %1" : "=w"(loaded) : "m"(*(const arch_vector *)(const void *)words));
    return loaded;
}

INLINE unsigned arch_equal4(const uint32_t *words, uint32_t value)
{
    arch_vector have = arch_load4(words), want = {value, value, value, value};
    arch_vector bits = (arch_vector)(have == want) & (arch_vector){1, 2, 4, 8};
    __asm__("addv %s0, %0.4s" : "+w"(bits));
    return bits[0];
}

typedef uint8_t arch_bytes __attribute__((vector_size(8), aligned(1)));

INLINE unsigned arch_equal8(const uint8_t *a, const uint8_t *b, uint8_t value)
{
    arch_bytes in_a, in_b, bit = {1, 2, 4, 8, 16, 32, 64, 128}, want = value - (arch_bytes){0};
    __asm__("ldr %d0, %1" : "=w"(in_a) : "m"(*(const arch_bytes *)(const void *)a));
    __asm__("ldr %d0, %1" : "=w"(in_b) : "m"(*(const arch_bytes *)(const void *)b));
    in_a = (arch_bytes)(in_a == want) & bit;
    in_b = (arch_bytes)(in_b == want) & bit;
    __asm__("addv %b0, %0.8b" : "+w"(in_a));
    __asm__("addv %b0, %0.8b" : "+w"(in_b));
    return in_a[0] | (unsigned)in_b[0] << 8;
}

INLINE unsigned arch_zero8(const uint16_t *a, const uint16_t *b)
{
    typedef uint16_t halves __attribute__((vector_size(16), aligned(2)));
    halves in_a, in_b, bit = {1, 2, 4, 8, 16, 32, 64, 128};
    __asm__("ldr %q0, %1" : "=w"(in_a) : "m"(*(const halves *)(const void *)a));
    __asm__("ldr %q0, %1" : "=w"(in_b) : "m"(*(const halves *)(const void *)b));
    in_a = ((halves)(in_a == 0) & bit) | ((halves)(in_b == 0) & bit << 8);
    __asm__("addv %h0, %0.8h" : "+w"(in_a));
    return in_a[0];
}

/*
 * xpaclri takes the signature off x30, wherever the address space ends on this machine; processors without pointer authentication do nothing there. What is
 * no signed address stays as it is.
 */
INLINE uintptr_t arch_pc(uintptr_t raw)
{
    register uintptr_t x30 __asm__("x30") = raw;
    __asm__("hint #7" : "+r"(x30));
    return x30;
}

/* The top byte is ignored by loads and stores (tagged memory, sanitizers). */
INLINE uintptr_t arch_address(uintptr_t address)
{
    return address & (UINTPTR_MAX >> 8);
}
