/* SPDX-License-Identifier: MIT */
/* unwind.S for riscv64: what the observers (src/inspect) need of the CPU; see src/arch/x86_64/unwind.S. */
        .text
        .globl  rn__unwind_ctx
        .hidden rn__unwind_ctx
        .type   rn__unwind_ctx, @function
        .p2align 2
rn__unwind_ctx:
        .cfi_startproc
        addi    sp, sp, -16
        .cfi_adjust_cfa_offset 16
        sd      ra, 8(sp)
        .cfi_rel_offset ra, 8
        sd      s1, 0(sp)
        .cfi_rel_offset s1, 0
        mv      s1, a0
        mv      a0, a1
        mv      a1, a2
        .cfi_remember_state
        /* CFA = ctx->sp: def_cfa_expression { breg9 (s1) 0; deref } */
        .cfi_escape 0x0f, 0x03, 0x79, 0x00, 0x06
        /* s0 (x8) is at ctx + 8, the return address (x1) at ctx + 16: expression { breg9 n } */
        .cfi_escape 0x10, 0x08, 0x02, 0x79, 0x08
        .cfi_escape 0x10, 0x01, 0x02, 0x79, 0x10
        .cfi_same_value s1
        call    _Unwind_Backtrace@plt
        nop
        .cfi_restore_state
        ld      s1, 0(sp)
        .cfi_restore s1
        ld      ra, 8(sp)
        .cfi_restore ra
        addi    sp, sp, 16
        .cfi_adjust_cfa_offset -16
        ret
        .cfi_endproc
        .size   rn__unwind_ctx, . - rn__unwind_ctx

        .globl  rn__spill
        .hidden rn__spill
        .type   rn__spill, @function
        .p2align 2
rn__spill:
        .cfi_startproc
        sd      s0, 0(a0)
        sd      s1, 8(a0)
        sd      s2, 16(a0)
        sd      s3, 24(a0)
        sd      s4, 32(a0)
        sd      s5, 40(a0)
        sd      s6, 48(a0)
        sd      s7, 56(a0)
        sd      s8, 64(a0)
        sd      s9, 72(a0)
        sd      s10, 80(a0)
        sd      s11, 88(a0)
        sd      zero, 96(a0)
        sd      zero, 104(a0)
        sd      zero, 112(a0)
        sd      zero, 120(a0)
        ret
        .cfi_endproc
        .size   rn__spill, . - rn__spill

        .globl  rn__hop_entry
        .hidden rn__hop_entry
        .type   rn__hop_entry, @function
        .p2align 2
        .cfi_startproc
        .cfi_undefined ra
        nop
rn__hop_entry:
        mv      s0, zero
        call    rn__hop_main
        unimp
        .cfi_endproc
        .size   rn__hop_entry, . - rn__hop_entry

        .section .note.GNU-stack, "", @progbits
