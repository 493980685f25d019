/*
 * void sh_store(void *slot, const void *value)
 *
 * Load the barrier's flag, test it, store. A thread must not be stopped between the test and the
 * store, or it would store past a barrier that was switched on meanwhile. Instead of guarding every
 * store, the stop signal's handler moves a program counter found in [begin, commit] back to begin:
 * nothing has been stored yet, and the arguments are still in their registers.
 */
	.text
	.globl	sh_store
	.type	sh_store, %function
	.globl	sh_store_begin
	.hidden	sh_store_begin
	.globl	sh_store_commit
	.hidden	sh_store_commit
	.hidden	barrier_enabled
	.hidden	barrier_store_slow
	.p2align 4
sh_store:
	.cfi_startproc
#if defined(__x86_64__)
sh_store_begin:
	cmpl	$0, barrier_enabled(%rip)
	jne	1f
sh_store_commit:
	movq	%rsi, (%rdi)
	ret
1:	jmp	barrier_store_slow
#elif defined(__aarch64__)
sh_store_begin:
	adrp	x9, barrier_enabled
	ldr	w9, [x9, :lo12:barrier_enabled]
	cbnz	w9, 1f
sh_store_commit:
	str	x1, [x0]
	ret
1:	b	barrier_store_slow
#endif
	.cfi_endproc
	.size	sh_store, . - sh_store
	.section .note.GNU-stack, "", %progbits
