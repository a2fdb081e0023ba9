/*
 * Rows that compilers do not write and tables may hold: each function is one row, there to be held exactly or to be refused.
 * Assembled by test_aarch64_programs, never run.
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
    .cfi_register x29, x19
    nop
    row saved_register_lost
    .cfi_undefined x29
    nop
    row outermost
    .cfi_undefined x30
    nop
    row return_address_in_another_register
    .cfi_register x30, x9
    nop
    row nothing_but_a_call_before
    .cfi_same_value x30
    nop
    row signed
    .cfi_negate_ra_state
    .cfi_def_cfa_offset 32
    .cfi_offset x29, -32
    .cfi_offset x30, -24
    nop
    .cfi_negate_ra_state
    nop
    row signed_with_the_other_key
    .cfi_b_key_frame
    .cfi_negate_ra_state
    .cfi_def_cfa_offset 16
    .cfi_offset x30, -16
    nop
    row signed_states_in_states
    .cfi_negate_ra_state
    .rept 20
    .cfi_remember_state
    .cfi_adjust_cfa_offset 16
    .cfi_negate_ra_state
    nop
    .endr
    .rept 20
    .cfi_restore_state
    nop
    .endr
    row frame_pointer
    .cfi_def_cfa x29, 96
    .cfi_offset x29, -96
    .cfi_offset x30, -88
    nop
    row masked_stack_pointer /* breg31 24; lit16; neg; and */
    .cfi_escape 0x0f, 5, 0x8f, 24, 0x40, 0x1f, 0x1a
    .cfi_offset x30, -16
    nop
    row sum_of_two_registers /* breg29 0; breg31 0; plus */
    .cfi_escape 0x0f, 5, 0x8d, 0, 0x8f, 0, 0x22
    .cfi_offset x30, -16
    nop
    row loaded /* breg29 -24; deref */
    .cfi_escape 0x0f, 3, 0x8d, 0x68, 0x06
    .cfi_offset x30, -8
    nop
    row on_a_callee_saved_register
    .cfi_def_cfa x19, 16
    .cfi_offset x19, -16
    .cfi_offset x30, -8
    nop
    row large_frame
    .cfi_def_cfa_offset 300016
    .cfi_offset x29, -300016
    .cfi_offset x30, -300008
    nop
    row record_at_the_top
    .cfi_def_cfa_offset 300016
    .cfi_offset x29, -16
    .cfi_offset x30, -8
    nop
    row record_too_far_from_both
    .cfi_def_cfa_offset 40000
    .cfi_offset x29, -20000
    .cfi_offset x30, -19992
    nop
    row what_the_plt_pushed
    .cfi_def_cfa_offset 208
    .cfi_offset x30, 8
    nop
    row return_address_further_outside
    .cfi_def_cfa_offset 208
    .cfi_offset x30, 24
    nop
    .cfi_endproc
    .section .note.GNU-stack, "", %progbits
