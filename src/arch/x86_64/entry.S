/* SPDX-License-Identifier: MIT */
/*
 * entry.S for x86_64: catching the arguments of rn_go in their registers, and handing them to the
 * goroutine's function.
 *
 * rn__go_capture is called by the macro rn_go in the place, and with the type, of the
 * goroutine's function: the compiler has checked and converted the arguments and put them into the
 * registers of the ABI. We store these in the thread's rn__go_regs, from where
 * rn__go_captured, called next, takes them.
 */
        .text
        .globl  rn__go_capture
        .type   rn__go_capture, @function
        .p2align 4
rn__go_capture:
        .cfi_startproc
        movq    rn__go_regs@gottpoff(%rip), %rax
        movq    %rdi, %fs:0(%rax)
        movq    %rsi, %fs:8(%rax)
        movq    %rdx, %fs:16(%rax)
        movq    %rcx, %fs:24(%rax)
        movq    %r8, %fs:32(%rax)
        movq    %r9, %fs:40(%rax)
        movq    %xmm0, %fs:48(%rax)
        movq    %xmm1, %fs:56(%rax)
        movq    %xmm2, %fs:64(%rax)
        movq    %xmm3, %fs:72(%rax)
        movq    %xmm4, %fs:80(%rax)
        movq    %xmm5, %fs:88(%rax)
        movq    %xmm6, %fs:96(%rax)
        movq    %xmm7, %fs:104(%rax)
        ret
        .cfi_endproc
        .size   rn__go_capture, . - rn__go_capture

/*
 * The first instruction of a new context: %rsp points to a struct rn__start, 16-byte aligned,
 * %rbp is 0. Unwinders end here: the return address is declared undefined; the nop is
 * for those that look up the address before the one they return to.
 */
        .globl  rn__go_entry
        .hidden rn__go_entry
        .type   rn__go_entry, @function
        .p2align 4
        .cfi_startproc
        .cfi_undefined rip
        nop
rn__go_entry:
        call    rn__go_begin
        movq    0(%rsp), %rdi
        movq    8(%rsp), %rsi
        movq    16(%rsp), %rdx
        movq    24(%rsp), %rcx
        movq    32(%rsp), %r8
        movq    40(%rsp), %r9
        movq    48(%rsp), %xmm0
        movq    56(%rsp), %xmm1
        movq    64(%rsp), %xmm2
        movq    72(%rsp), %xmm3
        movq    80(%rsp), %xmm4
        movq    88(%rsp), %xmm5
        movq    96(%rsp), %xmm6
        movq    104(%rsp), %xmm7
        call    *112(%rsp)
        call    rn__go_end
        ud2
        .cfi_endproc
        .size   rn__go_entry, . - rn__go_entry

        .section .note.GNU-stack, "", @progbits
