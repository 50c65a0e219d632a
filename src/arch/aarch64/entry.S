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
        ldp     q16, q17, [sp, #0]
        ldp     q18, q19, [sp, #32]
        ldp     q20, q21, [sp, #64]
        stp     q16, q17, [x9, #0]
        stp     q18, q19, [x9, #32]
        stp     q20, q21, [x9, #64]
        stp     q0, q1, [x9, #96]
        stp     q2, q3, [x9, #128]
        stp     q4, q5, [x9, #160]
        stp     q6, q7, [x9, #192]
        stp     x0, x1, [x9, #224]
        stp     x2, x3, [x9, #240]
        stp     x4, x5, [x9, #256]
        stp     x6, x7, [x9, #272]
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
        ldp     q0, q1, [sp, #96]
        ldp     q2, q3, [sp, #128]
        ldp     q4, q5, [sp, #160]
        ldp     q6, q7, [sp, #192]
        ldp     x0, x1, [sp, #224]
        ldp     x2, x3, [sp, #240]
        ldp     x4, x5, [sp, #256]
        ldp     x6, x7, [sp, #272]
        ldr     x9, [sp, #288]
        blr     x9
        bl      rn__go_end
        brk     #1
        .cfi_endproc
        .size   rn__go_entry, . - rn__go_entry

        .section .note.GNU-stack, "", %progbits
