/* For reload.c. PREFIX is a_ or b_, SIZE what it allocates, ROOM the size of its frames: everything lies at the same offset in both. */
#define JOIN2(a, b) a##b
#define JOIN(a, b)  JOIN2(a, b)
#define LEAF        JOIN(PREFIX, leaf)
#define ENTER       JOIN(PREFIX, enter)
        .text
        .globl LEAF
        .type LEAF, @function
LEAF:
        .cfi_startproc
        sub $ROOM, %rsp
        .cfi_adjust_cfa_offset ROOM
        mov $SIZE, %edi
        call malloc@plt
        mov %rax, %rdi
        call free@plt
        add $ROOM, %rsp
        .cfi_adjust_cfa_offset -ROOM
        ret
        .cfi_endproc
        .size LEAF, .-LEAF

        .globl ENTER
        .type ENTER, @function
ENTER:
        .cfi_startproc
        sub $(ROOM + 16), %rsp
        .cfi_adjust_cfa_offset ROOM + 16
        call LEAF@plt
        add $(ROOM + 16), %rsp
        .cfi_adjust_cfa_offset -(ROOM + 16)
        ret
        .cfi_endproc
        .size ENTER, .-ENTER
        .section .note.GNU-stack, "", @progbits
