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
        ld      t1, 0(sp)
        sd      t1, 0(t0)
        ld      t1, 8(sp)
        sd      t1, 8(t0)
        ld      t1, 16(sp)
        sd      t1, 16(t0)
        ld      t1, 24(sp)
        sd      t1, 24(t0)
        ld      t1, 32(sp)
        sd      t1, 32(t0)
        ld      t1, 40(sp)
        sd      t1, 40(t0)
        ld      t1, 48(sp)
        sd      t1, 48(t0)
        ld      t1, 56(sp)
        sd      t1, 56(t0)
        ld      t1, 64(sp)
        sd      t1, 64(t0)
        ld      t1, 72(sp)
        sd      t1, 72(t0)
        ld      t1, 80(sp)
        sd      t1, 80(t0)
        ld      t1, 88(sp)
        sd      t1, 88(t0)
        sd      a0, 96(t0)
        sd      a1, 104(t0)
        sd      a2, 112(t0)
        sd      a3, 120(t0)
        sd      a4, 128(t0)
        sd      a5, 136(t0)
        sd      a6, 144(t0)
        sd      a7, 152(t0)
        fsd     fa0, 160(t0)
        fsd     fa1, 168(t0)
        fsd     fa2, 176(t0)
        fsd     fa3, 184(t0)
        fsd     fa4, 192(t0)
        fsd     fa5, 200(t0)
        fsd     fa6, 208(t0)
        fsd     fa7, 216(t0)
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
        ld      a0, 96(sp)
        ld      a1, 104(sp)
        ld      a2, 112(sp)
        ld      a3, 120(sp)
        ld      a4, 128(sp)
        ld      a5, 136(sp)
        ld      a6, 144(sp)
        ld      a7, 152(sp)
        fld     fa0, 160(sp)
        fld     fa1, 168(sp)
        fld     fa2, 176(sp)
        fld     fa3, 184(sp)
        fld     fa4, 192(sp)
        fld     fa5, 200(sp)
        fld     fa6, 208(sp)
        fld     fa7, 216(sp)
        ld      t0, 224(sp)
        jalr    t0
        call    rn__go_end
        ebreak
        .cfi_endproc
        .size   rn__go_entry, . - rn__go_entry

        .section .note.GNU-stack, "", @progbits
