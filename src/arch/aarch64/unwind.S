/* SPDX-License-Identifier: MIT */
/* unwind.S for aarch64: what the observers (src/inspect) need of the CPU; see src/arch/x86_64/unwind.S. */
        .text
        .globl  rn__unwind_ctx
        .hidden rn__unwind_ctx
        .type   rn__unwind_ctx, %function
        .p2align 4
rn__unwind_ctx:
        .cfi_startproc
        stp     x29, x30, [sp, #-32]!
        .cfi_adjust_cfa_offset 32
        .cfi_rel_offset x29, 0
        .cfi_rel_offset x30, 8
        str     x19, [sp, #16]
        .cfi_rel_offset x19, 16
        mov     x29, sp
        mov     x19, x0
        mov     x0, x1
        mov     x1, x2
        .cfi_remember_state
        /* CFA = ctx->sp: def_cfa_expression { breg19 0; deref } */
        .cfi_escape 0x0f, 0x03, 0x83, 0x00, 0x06
        /* x29 is at ctx + 8, the return address (x30) at ctx + 16: expression { breg19 n } */
        .cfi_escape 0x10, 0x1d, 0x02, 0x83, 0x08
        .cfi_escape 0x10, 0x1e, 0x02, 0x83, 0x10
        .cfi_same_value x19
        bl      _Unwind_Backtrace
        nop
        .cfi_restore_state
        ldr     x19, [sp, #16]
        ldp     x29, x30, [sp], #32
        .cfi_adjust_cfa_offset -32
        .cfi_restore x19
        .cfi_restore x29
        .cfi_restore x30
        ret
        .cfi_endproc
        .size   rn__unwind_ctx, . - rn__unwind_ctx

        .globl  rn__spill
        .hidden rn__spill
        .type   rn__spill, %function
        .p2align 4
rn__spill:
        .cfi_startproc
        stp     x19, x20, [x0]
        stp     x21, x22, [x0, #16]
        stp     x23, x24, [x0, #32]
        stp     x25, x26, [x0, #48]
        stp     x27, x28, [x0, #64]
        stp     x29, xzr, [x0, #80]
        stp     xzr, xzr, [x0, #96]
        stp     xzr, xzr, [x0, #112]
        ret
        .cfi_endproc
        .size   rn__spill, . - rn__spill

        .globl  rn__hop_entry
        .hidden rn__hop_entry
        .type   rn__hop_entry, %function
        .p2align 4
        .cfi_startproc
        .cfi_undefined x30
        nop
rn__hop_entry:
        mov     x29, xzr
        bl      rn__hop_main
        brk     #0
        .cfi_endproc
        .size   rn__hop_entry, . - rn__hop_entry

        .section .note.GNU-stack, "", %progbits
