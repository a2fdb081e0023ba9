/*
 * Assembly: frames whose x29 is saved in an odd place and then used for something else, or is not a frame pointer at all (a chain of frame records would
 * go wrong there, or leave frames out); a return address signed with the other key; a call that is the last
 * instruction of its function; a CFA built on x19, which heaptap does not follow; and code without CFI, where a stack must end and say so.
 */
#include "known.h"
#include <setjmp.h>

void x29_elsewhere(void (*)(void)), no_record(void (*)(void)), other_key(void (*)(void));
void last_call(void (*)(void)), after_last_call(void), by_x19(void (*)(void)), no_cfi(void (*)(void));

#define FUNCTION(name) ".globl " #name "\n.type " #name ",%function\n" #name ":\n"
#define END(name) ".size " #name ",.-" #name "\n"

/* clang-format off */
__asm__(".text\n"
        FUNCTION(x29_elsewhere)
        ".cfi_startproc\n"
        "sub sp, sp, #496\n"
        ".cfi_def_cfa_offset 496\n"
        "str x30, [sp, #8]\n"
        ".cfi_offset x30, -488\n"
        "str x29, [sp, #40]\n"
        ".cfi_offset x29, -456\n"
        "mov x29, #1\n"
        "blr x0\n"
        "ldr x29, [sp, #40]\n"
        ".cfi_restore x29\n"
        "ldr x30, [sp, #8]\n"
        ".cfi_restore x30\n"
        "add sp, sp, #496\n"
        ".cfi_def_cfa_offset 0\n"
        "ret\n"
        ".cfi_endproc\n"
        END(x29_elsewhere)

        /* As with -fomit-frame-pointer. */
        FUNCTION(no_record)
        ".cfi_startproc\n"
        "str x30, [sp, #-32]!\n"
        ".cfi_def_cfa_offset 32\n.cfi_offset x30, -32\n"
        "blr x0\n"
        "ldr x30, [sp], #32\n"
        ".cfi_restore x30\n.cfi_def_cfa_offset 0\n"
        "ret\n"
        ".cfi_endproc\n"
        END(no_record)

        FUNCTION(other_key)
        ".cfi_startproc\n"
        ".cfi_b_key_frame\n"
        "hint #27\n" /* pacibsp */
        ".cfi_negate_ra_state\n"
        "stp x29, x30, [sp, #-32]!\n"
        ".cfi_def_cfa_offset 32\n.cfi_offset x29, -32\n.cfi_offset x30, -24\n"
        "mov x29, sp\n"
        "blr x0\n"
        "ldp x29, x30, [sp], #32\n"
        ".cfi_restore x29\n.cfi_restore x30\n.cfi_def_cfa_offset 0\n"
        "hint #31\n"
        ".cfi_negate_ra_state\n"
        "ret\n"
        ".cfi_endproc\n"
        END(other_key)

        FUNCTION(last_call)
        ".cfi_startproc\n"
        "str x30, [sp, #-208]!\n"
        ".cfi_def_cfa_offset 208\n.cfi_offset x30, -208\n"
        "blr x0\n"
        ".cfi_endproc\n"
        END(last_call)
        FUNCTION(after_last_call)
        ".cfi_startproc\n"
        "ret\n"
        ".cfi_endproc\n"
        END(after_last_call)

        FUNCTION(by_x19)
        ".cfi_startproc\n"
        "stp x19, x30, [sp, #-16]!\n"
        ".cfi_def_cfa_offset 16\n.cfi_offset x19, -16\n.cfi_offset x30, -8\n"
        "mov x19, sp\n"
        ".cfi_def_cfa_register x19\n"
        "sub x1, sp, #1000\n"
        "and sp, x1, #-256\n"
        "blr x0\n"
        "mov sp, x19\n"
        ".cfi_def_cfa_register sp\n"
        "ldp x19, x30, [sp], #16\n"
        ".cfi_restore x19\n.cfi_restore x30\n.cfi_def_cfa_offset 0\n"
        "ret\n"
        ".cfi_endproc\n"
        END(by_x19)

        /* Keeps a frame record and everything: but no table says so. */
        FUNCTION(no_cfi)
        "stp x29, x30, [sp, #-32]!\n"
        "mov x29, sp\n"
        "blr x0\n"
        "ldp x29, x30, [sp], #32\n"
        "ret\n"
        END(no_cfi));
/* clang-format on */

FRAME static void innermost(void)
{
    ALLOCATE(1300001);
}

FRAME static void calls_without_record(void)
{
    no_record(innermost);
    ALLOCATE(1300002);
}

FRAME static void elsewhere(void)
{
    ALLOCATE(1300003);
    no_record(calls_without_record);
}

FRAME static void signed_too(void)
{
    x29_elsewhere(elsewhere);
    ALLOCATE(1300004);
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

FRAME static void refused(void)
{
    ALLOCATE(1300007);
}

int main(void)
{
    for (int i = 0; i < 10; i++) {
        other_key(signed_too);
        if (!setjmp(back))
            last_call(leave);
        no_cfi(cut);
        by_x19(refused);
    }
    return expect(
        "expect 1300001 10 innermost no_record calls_without_record no_record elsewhere x29_elsewhere signed_too "
        "other_key main *\n"
        "expect 1300002 10 calls_without_record no_record elsewhere x29_elsewhere signed_too other_key main *\n"
        "expect 1300003 10 elsewhere x29_elsewhere signed_too other_key main *\n"
        "expect 1300004 10 signed_too other_key main *\n"
        "expect 1300005 10 leave last_call main *\n"
        "expect 1300006 10 cut no_cfi [no-table]\n"
        "expect 1300007 10 refused by_x19 [refused]\n");
}
