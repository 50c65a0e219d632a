/* SPDX-License-Identifier: MIT */
/*
 * entry.S for x86_64: catching the arguments of rn_go in their registers, and handing them to the
 * goroutine's function.
 *
 * rn__go_capture is called by the macro rn_go in the place, and with the type, of the
 * goroutine's function: the compiler has checked and converted the arguments and put them into the
 * registers of the ABI, and onto the stack what goes there (long double, and what is too much for
 * the registers: six arguments of 16 bytes are 96). We store all in the thread's rn__go_regs, from where
 * rn__go_captured, called next, takes them. Less may lie on the stack: then we copy what else there is.
 */
        .text
        .globl  rn__go_capture
        .type   rn__go_capture, @function
        .p2align 4
rn__go_capture:
        .cfi_startproc
        movq    rn__go_regs@gottpoff(%rip), %rax
        movups  8(%rsp), %xmm8
        movups  24(%rsp), %xmm9
        movups  40(%rsp), %xmm10
        movups  56(%rsp), %xmm11
        movups  72(%rsp), %xmm12
        movups  88(%rsp), %xmm13
        movups  %xmm8, %fs:0(%rax)
        movups  %xmm9, %fs:16(%rax)
        movups  %xmm10, %fs:32(%rax)
        movups  %xmm11, %fs:48(%rax)
        movups  %xmm12, %fs:64(%rax)
        movups  %xmm13, %fs:80(%rax)
        movq    %rdi, %fs:96(%rax)
        movq    %rsi, %fs:104(%rax)
        movq    %rdx, %fs:112(%rax)
        movq    %rcx, %fs:120(%rax)
        movq    %r8, %fs:128(%rax)
        movq    %r9, %fs:136(%rax)
        movq    %xmm0, %fs:144(%rax)
        movq    %xmm1, %fs:152(%rax)
        movq    %xmm2, %fs:160(%rax)
        movq    %xmm3, %fs:168(%rax)
        movq    %xmm4, %fs:176(%rax)
        movq    %xmm5, %fs:184(%rax)
        movq    %xmm6, %fs:192(%rax)
        movq    %xmm7, %fs:200(%rax)
        ret
        .cfi_endproc
        .size   rn__go_capture, . - rn__go_capture

/*
 * The first instruction of a new context: %rsp points to a struct rn__start, 16-byte aligned,
 * which begins with the arguments on the stack, where the function expects them; %rbp is 0. Unwinders end here: the return address is declared undefined; the nop is
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
        movq    96(%rsp), %rdi
        movq    104(%rsp), %rsi
        movq    112(%rsp), %rdx
        movq    120(%rsp), %rcx
        movq    128(%rsp), %r8
        movq    136(%rsp), %r9
        movq    144(%rsp), %xmm0
        movq    152(%rsp), %xmm1
        movq    160(%rsp), %xmm2
        movq    168(%rsp), %xmm3
        movq    176(%rsp), %xmm4
        movq    184(%rsp), %xmm5
        movq    192(%rsp), %xmm6
        movq    200(%rsp), %xmm7
        call    *208(%rsp)
        call    rn__go_end
        ud2
        .cfi_endproc
        .size   rn__go_entry, . - rn__go_entry

        .section .note.GNU-stack, "", @progbits
