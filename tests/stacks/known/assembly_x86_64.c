/*
 * Assembly: a CFA built on rbx, r12 and r13, as hand-written code has it; a call that is the last instruction of its function (the return address is
 * in the next one); an odd place for the saved rbp; a realigned frame that saves r13 at the CFA and the rest at rbp; and code without CFI, where a stack must end and say so.
 */
#include "known.h"
#include <alloca.h>
#include <setjmp.h>

void call_by_rbx(void (*)(void)), call_by_r12(void (*)(void)), call_by_r13(void (*)(void));
void rbp_elsewhere(void (*)(void)), no_cfi(void (*)(void)), last_call(void (*)(void)), after_last_call(void);

/* clang-format off */
#define CALL_BY(register)                                                                                              \
    ".globl call_by_" #register "\n.type call_by_" #register ",@function\n"                                            \
    "call_by_" #register ":\n"                                                                                         \
    ".cfi_startproc\n"                                                                                                 \
    "push %" #register "\n"                                                                                            \
    ".cfi_adjust_cfa_offset 8\n.cfi_rel_offset " #register ",0\n"                                                      \
    "mov %rsp,%" #register "\n"                                                                                        \
    ".cfi_def_cfa_register " #register "\n"                                                                            \
    "sub $1000,%rsp\n"                                                                                                 \
    "and $-256,%rsp\n"                                                                                                 \
    "call *%rdi\n"                                                                                                     \
    "mov %" #register ",%rsp\n"                                                                                        \
    ".cfi_def_cfa_register rsp\n"                                                                                      \
    "pop %" #register "\n"                                                                                             \
    ".cfi_adjust_cfa_offset -8\n.cfi_restore " #register "\n"                                                          \
    "ret\n"                                                                                                            \
    ".cfi_endproc\n"                                                                                                   \
    ".size call_by_" #register ",.-call_by_" #register "\n"

__asm__(".text\n"
        CALL_BY(rbx) CALL_BY(r12) CALL_BY(r13)

        /* rbp is saved far from where a push would put it, and is used for something else. */
        ".globl rbp_elsewhere\n.type rbp_elsewhere,@function\n"
        "rbp_elsewhere:\n"
        ".cfi_startproc\n"
        "sub $488,%rsp\n"
        ".cfi_adjust_cfa_offset 488\n"
        "mov %rbp,16(%rsp)\n"
        ".cfi_rel_offset rbp,16\n"
        "mov $1,%ebp\n"
        "call *%rdi\n"
        "mov 16(%rsp),%rbp\n"
        ".cfi_restore rbp\n"
        "add $488,%rsp\n"
        ".cfi_adjust_cfa_offset -488\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size rbp_elsewhere,.-rbp_elsewhere\n"

        ".globl last_call\n.type last_call,@function\n"
        "last_call:\n"
        ".cfi_startproc\n"
        "sub $264,%rsp\n"
        ".cfi_adjust_cfa_offset 264\n"
        "call *%rdi\n"
        ".cfi_endproc\n"
        ".size last_call,.-last_call\n"
        ".globl after_last_call\n.type after_last_call,@function\n"
        "after_last_call:\n"
        ".cfi_startproc\n"
        "ret\n"
        ".cfi_endproc\n"
        ".size after_last_call,.-after_last_call\n"

        /* Keeps a frame pointer and everything: but no table says so. */
        ".globl no_cfi\n.type no_cfi,@function\n"
        "no_cfi:\n"
        "push %rbp\n"
        "mov %rsp,%rbp\n"
        "sub $32,%rsp\n"
        "call *%rdi\n"
        "leave\n"
        "ret\n"
        ".size no_cfi,.-no_cfi\n");
/* clang-format on */

FRAME static void by_rbx(void)
{
    ALLOCATE(1300001);
}

FRAME static void by_r12(void)
{
    ALLOCATE(1300002);
    call_by_rbx(by_rbx);
}

FRAME static void by_r13(void)
{
    ALLOCATE(1300003);
    call_by_r12(by_r12);
}

FRAME static void elsewhere(void)
{
    ALLOCATE(1300004);
    call_by_r13(by_r13);
}

struct wide {
    _Alignas(64) char byte[64];
};

/* gcc keeps the old stack pointer of a function that has a static chain in r13, not in r10. */
FRAME static void has_nested(void)
{
    volatile size_t bytes = 100;
    __attribute__((noinline, noclone)) void nested(void)
    {
        volatile struct wide wide;
        volatile char *room = alloca(bytes++);
        wide.byte[bytes & 63] = room[0] = 1;
        ALLOCATE(1300007);
        wide.byte[bytes & 31] = room[0] = 1;
    }
    nested();
    bytes = 0;
}

static jmp_buf back;

FRAME static void leave(void)
{
    ALLOCATE(1300005);
    longjmp(back, 1);
}

FRAME static void cut(void)
{
    ALLOCATE(1300006);
}

int main(void)
{
    for (int i = 0; i < 10; i++) {
        rbp_elsewhere(elsewhere);
        if (!setjmp(back))
            last_call(leave);
        no_cfi(cut);
        call_by_r13(has_nested);
    }
    return expect(
        "expect 1300001 10 by_rbx call_by_rbx by_r12 call_by_r12 by_r13 call_by_r13 elsewhere rbp_elsewhere main *\n"
        "expect 1300002 10 by_r12 call_by_r12 by_r13 call_by_r13 elsewhere rbp_elsewhere main *\n"
        "expect 1300003 10 by_r13 call_by_r13 elsewhere rbp_elsewhere main *\n"
        "expect 1300004 10 elsewhere rbp_elsewhere main *\n"
        "expect 1300005 10 leave last_call main *\n"
        "expect 1300007 10 nested has_nested call_by_r13 main *\n"
        "expect 1300006 10 cut no_cfi [no-table]\n");
}
