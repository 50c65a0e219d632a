/* SPDX-License-Identifier: MIT */
/*
 * unwind.S for x86_64: what the observers (src/inspect) need of the CPU.
 *
 *   rn__unwind_ctx(ctx, fn, arg)  _Unwind_Backtrace(fn, arg) over a context that does not run. Its unwind
 *                                 information says: my caller stands where ctx says. So any unwinder walks from here
 *                                 straight into the parked stack, of which it needs to know nothing.
 *   rn__spill(to)                 store the registers that a callee preserves: 16 words, unused ones 0
 *   rn__hop_entry                 where a context starts that calls rn__hop_main and never returns
 */
        .text
        .globl  rn__unwind_ctx
        .hidden rn__unwind_ctx
        .type   rn__unwind_ctx, @function
        .p2align 4
rn__unwind_ctx:
        .cfi_startproc
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbx, 0
        movq    %rdi, %rbx
        movq    %rsi, %rdi
        movq    %rdx, %rsi
        .cfi_remember_state
        /* CFA = ctx->sp: def_cfa_expression { breg3 (rbx) 0; deref } */
        .cfi_escape 0x0f, 0x03, 0x73, 0x00, 0x06
        /* rbp (6) is at ctx + 8, the return address (16) at ctx + 16: expression { breg3 n } */
        .cfi_escape 0x10, 0x06, 0x02, 0x73, 0x08
        .cfi_escape 0x10, 0x10, 0x02, 0x73, 0x10
        .cfi_same_value rbx
        call    _Unwind_Backtrace@PLT
        nop
        .cfi_restore_state
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbx
        ret
        .cfi_endproc
        .size   rn__unwind_ctx, . - rn__unwind_ctx

        .globl  rn__spill
        .hidden rn__spill
        .type   rn__spill, @function
        .p2align 4
rn__spill:
        .cfi_startproc
        movq    %rbx, 0(%rdi)
        movq    %rbp, 8(%rdi)
        movq    %r12, 16(%rdi)
        movq    %r13, 24(%rdi)
        movq    %r14, 32(%rdi)
        movq    %r15, 40(%rdi)
        leaq    48(%rdi), %rdx
        xorl    %eax, %eax
1:      movq    %rax, (%rdx)
        addq    $8, %rdx
        leaq    128(%rdi), %rcx
        cmpq    %rcx, %rdx
        jb      1b
        ret
        .cfi_endproc
        .size   rn__spill, . - rn__spill

        .globl  rn__hop_entry
        .hidden rn__hop_entry
        .type   rn__hop_entry, @function
        .p2align 4
        .cfi_startproc
        .cfi_undefined rip
        nop
rn__hop_entry:
        call    rn__hop_main
        ud2
        .cfi_endproc
        .size   rn__hop_entry, . - rn__hop_entry

        .section .note.GNU-stack, "", @progbits
