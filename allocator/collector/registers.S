/* See registers.h. Some functions start here: a C function might already have moved one of the
   caller's registers into its own frame. That of sh_blocking_begin() is gone when it returns; those
   of sh_explain() and sh_explain_print() are not to be scanned, as they hold what is asked for. */
	.text
	.globl	registers_spill_call
	.hidden	registers_spill_call
	.type	registers_spill_call, %function
	.globl	sh_blocking_begin
	.type	sh_blocking_begin, %function
	.globl	sh_explain
	.type	sh_explain, %function
	.globl	sh_explain_print
	.type	sh_explain_print, %function

#if defined(__x86_64__)
	.p2align 4
sh_blocking_begin:
	.cfi_startproc
	leaq	blocking_begin_spilled(%rip), %rdi
	jmp	registers_spill_call
	.cfi_endproc
	.size	sh_blocking_begin, . - sh_blocking_begin

	.p2align 4
sh_explain:
	.cfi_startproc
	movq	%r8, %r9
	movq	%rcx, %r8
	movq	%rdx, %rcx
	movq	%rsi, %rdx
	movq	%rdi, %rsi
	leaq	explain_spilled(%rip), %rdi
	jmp	registers_spill_call
	.cfi_endproc
	.size	sh_explain, . - sh_explain

	.p2align 4
sh_explain_print:
	.cfi_startproc
	movq	%rsi, %rdx
	movq	%rdi, %rsi
	leaq	explain_print_spilled(%rip), %rdi
	jmp	registers_spill_call
	.cfi_endproc
	.size	sh_explain_print, . - sh_explain_print

	.p2align 4
registers_spill_call:
	.cfi_startproc
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r12, 0
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r13, 0
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r14, 0
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r15, 0
	movq	%rdi, %rax
	movq	%rsp, %rdi
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	*%rax
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	popq	%r15
	.cfi_adjust_cfa_offset -8
	popq	%r14
	.cfi_adjust_cfa_offset -8
	popq	%r13
	.cfi_adjust_cfa_offset -8
	popq	%r12
	.cfi_adjust_cfa_offset -8
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	ret
	.cfi_endproc
	.size	registers_spill_call, . - registers_spill_call

#elif defined(__aarch64__)
#include "collector/arm64_frame.inc"

	.p2align 4
sh_blocking_begin:
	.cfi_startproc
	adrp	x0, blocking_begin_spilled
	add	x0, x0, :lo12:blocking_begin_spilled
	b	registers_spill_call
	.cfi_endproc
	.size	sh_blocking_begin, . - sh_blocking_begin

	.p2align 4
sh_explain:
	.cfi_startproc
	mov	x5, x4
	mov	x4, x3
	mov	x3, x2
	mov	x2, x1
	mov	x1, x0
	adrp	x0, explain_spilled
	add	x0, x0, :lo12:explain_spilled
	b	registers_spill_call
	.cfi_endproc
	.size	sh_explain, . - sh_explain

	.p2align 4
sh_explain_print:
	.cfi_startproc
	mov	x2, x1
	mov	x1, x0
	adrp	x0, explain_print_spilled
	add	x0, x0, :lo12:explain_print_spilled
	b	registers_spill_call
	.cfi_endproc
	.size	sh_explain_print, . - sh_explain_print

	.p2align 4
registers_spill_call:
	.cfi_startproc
	stp	x29, x30, [sp, #-160]!
	.cfi_def_cfa_offset 160
	.cfi_offset x29, -160
	.cfi_offset x30, -152
	save_others
	mov	x9, x0
	mov	x0, sp
	blr	x9
	restore_all
	ret
	.cfi_endproc
	.size	registers_spill_call, . - registers_spill_call
#endif
	.section .note.GNU-stack, "", %progbits
