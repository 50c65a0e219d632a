/* SPDX-License-Identifier: MIT */
/* entry.S for aarch64; see src/arch/x86_64/entry.S. */
        .text
        .globl  rn__go_capture
        .type   rn__go_capture, %function
        .p2align 4
rn__go_capture:
        .cfi_startproc
        hint    #34             /* bti c */
        mrs     x9, tpidr_el0
        adrp    x10, :gottprel:rn__go_regs
        ldr     x10, [x10, #:gottprel_lo12:rn__go_regs]
        add     x9, x9, x10
        stp     x0, x1, [x9, #0]
        stp     x2, x3, [x9, #16]
        stp     x4, x5, [x9, #32]
        stp     d0, d1, [x9, #48]
        stp     d2, d3, [x9, #64]
        stp     d4, d5, [x9, #80]
        stp     d6, d7, [x9, #96]
        ret
        .cfi_endproc
        .size   rn__go_capture, . - rn__go_capture

        .globl  rn__go_entry
        .hidden rn__go_entry
        .type   rn__go_entry, %function
        .p2align 4
        .cfi_startproc
        .cfi_undefined x30
        nop
rn__go_entry:
        hint    #36             /* bti j */
        bl      rn__go_begin
        ldp     x0, x1, [sp, #0]
        ldp     x2, x3, [sp, #16]
        ldp     x4, x5, [sp, #32]
        ldp     d0, d1, [sp, #48]
        ldp     d2, d3, [sp, #64]
        ldp     d4, d5, [sp, #80]
        ldp     d6, d7, [sp, #96]
        ldr     x9, [sp, #112]
        blr     x9
        bl      rn__go_end
        brk     #1
        .cfi_endproc
        .size   rn__go_entry, . - rn__go_entry

        .section .note.GNU-stack, "", %progbits
