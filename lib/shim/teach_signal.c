/*
 * Signal frames by the code that handlers return to, as libgcc's unwinder and gdb know them: AArch64's vdso says nothing about it, and under
 * qemu-user it lies in no module at all.
 */
#include "sys.h"
#include "teach.h"

typedef uint64_t __attribute__((aligned(4), may_alias)) code;
_Static_assert(sizeof(code) == 8, "as much as sys_readable asks for");

bool teach_signal(uintptr_t pc, struct rule *rule)
{
    static const struct rule frame = {.kind = RULE_STEP,
                                      .flags = RULE_CFA_LOADED | RULE_SIGNAL,
                                      .cfa_offset = ARCH_SIGNAL_SP * (int32_t)sizeof(uintptr_t),
                                      .ra = ARCH_SIGNAL_PC,
                                      .ra_base = BASE_SP,
                                      .saved = ARCH_SIGNAL_SAVED,
                                      .saved_base = BASE_SP};
    if (!ARCH_SIGRETURN || pc % 4 || !sys_readable((const void *)pc) || *(const code *)pc != ARCH_SIGRETURN)
        return false;
    *rule = frame;
    return true;
}
