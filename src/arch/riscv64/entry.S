/* SPDX-License-Identifier: MIT */
/* entry.S for riscv64; see src/arch/x86_64/entry.S. */
        .text
        .globl  rn__go_capture
        .type   rn__go_capture, @function
        .p2align 2
rn__go_capture:
        .cfi_startproc
        la.tls.ie t0, rn__go_regs
        add     t0, t0, tp
        sd      a0, 0(t0)
        sd      a1, 8(t0)
        sd      a2, 16(t0)
        sd      a3, 24(t0)
        sd      a4, 32(t0)
        sd      a5, 40(t0)
        fsd     fa0, 48(t0)
        fsd     fa1, 56(t0)
        fsd     fa2, 64(t0)
        fsd     fa3, 72(t0)
        fsd     fa4, 80(t0)
        fsd     fa5, 88(t0)
        fsd     fa6, 96(t0)
        fsd     fa7, 104(t0)
        ret
        .cfi_endproc
        .size   rn__go_capture, . - rn__go_capture

        .globl  rn__go_entry
        .hidden rn__go_entry
        .type   rn__go_entry, @function
        .p2align 2
        .cfi_startproc
        .cfi_undefined ra
        nop
rn__go_entry:
        call    rn__go_begin
        ld      a0, 0(sp)
        ld      a1, 8(sp)
        ld      a2, 16(sp)
        ld      a3, 24(sp)
        ld      a4, 32(sp)
        ld      a5, 40(sp)
        fld     fa0, 48(sp)
        fld     fa1, 56(sp)
        fld     fa2, 64(sp)
        fld     fa3, 72(sp)
        fld     fa4, 80(sp)
        fld     fa5, 88(sp)
        fld     fa6, 96(sp)
        fld     fa7, 104(sp)
        ld      t0, 112(sp)
        jalr    t0
        call    rn__go_end
        ebreak
        .cfi_endproc
        .size   rn__go_entry, . - rn__go_entry

        .section .note.GNU-stack, "", @progbits
