/* task_switch(save, stack): puts the registers that a call keeps on the stack, stores the stack
   pointer in *save, and goes on with what was saved on the other stack. Control words of the
   floating-point unit belong to the thread. task_begin: where a new stack's frame returns to. */
	.text
	.globl	task_switch
	.hidden	task_switch
	.type	task_switch, %function
	.globl	task_begin
	.hidden	task_begin
	.type	task_begin, %function

#if defined(__x86_64__)
	.p2align 4
task_switch:
	.cfi_startproc
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.cfi_endproc
	.size	task_switch, . - task_switch

	.p2align 4
task_begin:
	.cfi_startproc
	.cfi_undefined %rip
	xorl	%ebp, %ebp
	call	task_main
	ud2
	.cfi_endproc
	.size	task_begin, . - task_begin

#elif defined(__aarch64__)
#include "collector/arm64_frame.inc"

	.p2align 4
task_switch:
	.cfi_startproc
	stp	x29, x30, [sp, #-160]!
	save_others
	mov	x9, sp
	str	x9, [x0]
	mov	sp, x1
	restore_all
	ret
	.cfi_endproc
	.size	task_switch, . - task_switch

	.p2align 4
task_begin:
	.cfi_startproc
	.cfi_undefined x30
	mov	x29, #0
	bl	task_main
	brk	#0
	.cfi_endproc
	.size	task_begin, . - task_begin
#endif
	.section .note.GNU-stack, "", %progbits
