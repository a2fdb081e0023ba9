/*
 * Rows that compilers do not write and tables may hold: each function is one row, there to be held exactly or to be refused.
 * Assembled by test_teacher, never run.
 */
    .text
    .macro row name:vararg
    .cfi_endproc
    nop
    .cfi_startproc
    nop
    .endm

    .cfi_startproc
    nop

    row saved_in_another_register
    .cfi_register %rbp, %rbx
    nop
    row saved_register_lost
    .cfi_undefined %rbp
    nop
    row lost_with_the_return_address
    .cfi_undefined %rip
    .cfi_undefined %rbp
    nop
    row return_address_in_a_register
    .cfi_register %rip, %rdx
    nop
    row return_address_deeper
    .cfi_offset %rip, -24
    nop
    row register_is_said_to_be_the_same
    .cfi_same_value %rbx
    .cfi_offset %rbp, -16
    nop
    row masked_stack_pointer /* breg7 24; lit16; neg; and */
    .cfi_escape 0x0f, 5, 0x77, 24, 0x40, 0x1f, 0x1a
    nop
    row sum_of_two_registers /* breg6 0; breg7 0; plus */
    .cfi_escape 0x0f, 5, 0x76, 0, 0x77, 0, 0x22
    nop
    row which_of_two_registers_is_larger /* breg7 8; breg6 0; breg7 0; ge; lit3; shl; plus */
    .cfi_escape 0x0f, 10, 0x77, 8, 0x76, 0, 0x77, 0, 0x2a, 0x33, 0x24, 0x22
    nop
    row loaded_and_added /* breg6 -24; deref; plus_uconst 16 */
    .cfi_escape 0x0f, 5, 0x76, 0x68, 0x06, 0x23, 16
    nop
    row loaded_twice /* breg6 -24; deref; deref */
    .cfi_escape 0x0f, 4, 0x76, 0x68, 0x06, 0x06
    nop
    row loaded_in_half /* breg6 -24; deref_size 4 */
    .cfi_escape 0x0f, 4, 0x76, 0x68, 0x94, 4
    nop
    row loaded_with_slots_from_two_bases /* CFA breg6 -24; deref. rbp at breg6 0, rbx at the CFA - 24 */
    .cfi_escape 0x0f, 3, 0x76, 0x68, 0x06
    .cfi_escape 0x10, 6, 2, 0x76, 0
    .cfi_offset %rbx, -24
    nop
    row on_a_callee_saved_register
    .cfi_def_cfa %r13, 16
    .cfi_offset %r13, -16
    .cfi_offset %r15, -24
    nop
    row on_a_register_that_calls_change
    .cfi_def_cfa %r10, 0
    nop
    row large_frame
    .cfi_def_cfa_offset 300008
    .cfi_offset %rbx, -16
    .cfi_offset %rbp, -24
    nop
    row slot_near_the_stack_pointer
    .cfi_def_cfa_offset 2016
    .cfi_offset %rbx, -2000
    nop
    row slots_at_both_ends
    .cfi_def_cfa_offset 4000
    .cfi_offset %rbx, -3992
    .cfi_offset %rbp, -16
    nop
    row slot_too_far_from_both
    .cfi_def_cfa_offset 4000
    .cfi_offset %rbx, -2000
    .cfi_offset %rbp, -16
    nop
    row signal_frame_without_context
    .cfi_signal_frame
    nop
    row states_in_states
    .rept 20
    .cfi_remember_state
    .cfi_adjust_cfa_offset 8
    nop
    .endr
    .rept 20
    .cfi_restore_state
    nop
    .endr
    row expression_that_never_ends /* breg7 8; skip -3 */
    .cfi_escape 0x0f, 5, 0x77, 8, 0x2f, 0xfd, 0xff
    nop
    .cfi_endproc
    .section .note.GNU-stack, "", @progbits
