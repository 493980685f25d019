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
	.p2align 4
task_switch:
	.cfi_startproc
	stp	x29, x30, [sp, #-160]!
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	mov	x9, sp
	str	x9, [x0]
	mov	sp, x1
	ldp	d14, d15, [sp, #144]
	ldp	d12, d13, [sp, #128]
	ldp	d10, d11, [sp, #112]
	ldp	d8, d9, [sp, #96]
	ldp	x27, x28, [sp, #80]
	ldp	x25, x26, [sp, #64]
	ldp	x23, x24, [sp, #48]
	ldp	x21, x22, [sp, #32]
	ldp	x19, x20, [sp, #16]
	ldp	x29, x30, [sp], #160
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
