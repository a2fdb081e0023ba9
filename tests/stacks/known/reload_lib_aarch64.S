/* For reload.c: as reload_lib_x86_64.S. ROOM is a multiple of 16 here, and one frame signs its return address. */
#define JOIN2(a, b) a##b
#define JOIN(a, b)  JOIN2(a, b)
#define LEAF        JOIN(PREFIX, leaf)
#define ENTER       JOIN(PREFIX, enter)
        .text
        .globl LEAF
        .type LEAF, %function
LEAF:
        .cfi_startproc
        sub sp, sp, #ROOM
        .cfi_def_cfa_offset ROOM
        str x30, [sp, #8]
        .cfi_offset x30, 8 - ROOM
        ldr x0, =SIZE
        bl malloc
        bl free
        ldr x30, [sp, #8]
        .cfi_restore x30
        add sp, sp, #ROOM
        .cfi_def_cfa_offset 0
        ret
        .cfi_endproc
        .size LEAF, .-LEAF

        .globl ENTER
        .type ENTER, %function
ENTER:
        .cfi_startproc
        hint #25
        .cfi_window_save
        sub sp, sp, #(ROOM + 16)
        .cfi_def_cfa_offset ROOM + 16
        stp x29, x30, [sp, #16]
        .cfi_offset x29, -ROOM
        .cfi_offset x30, 8 - ROOM
        bl LEAF
        ldp x29, x30, [sp, #16]
        .cfi_restore x29
        .cfi_restore x30
        add sp, sp, #(ROOM + 16)
        .cfi_def_cfa_offset 0
        hint #29
        .cfi_window_save
        ret
        .cfi_endproc
        .size ENTER, .-ENTER
        .section .note.GNU-stack, "", %progbits
