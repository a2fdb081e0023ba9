/*
 * A processor that the shim does not know yet. What both processes share builds and is tested there (the format, counters, the reader);
 * the shim itself needs a file of its own beside this one. See arch.h for what each name means.
 */
#if defined(__mips__)
#define ARCH_ELF_MACHINE 8
#elif defined(__aarch64__)
#define ARCH_ELF_MACHINE 183
#elif defined(__arm__)
#define ARCH_ELF_MACHINE 40
#elif defined(__riscv)
#define ARCH_ELF_MACHINE 243
#elif defined(__i386__)
#define ARCH_ELF_MACHINE 3
#else
#define ARCH_ELF_MACHINE 0
#endif
#define ARCH_SYSCALLS 0

INLINE void arch_pause(void)
{
}

INLINE uintptr_t arch_pc(uintptr_t raw)
{
    return raw;
}

INLINE uintptr_t arch_address(uintptr_t address)
{
    return address;
}
