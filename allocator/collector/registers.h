/* Assembly: bringing registers to where a conservative scan can see them. */
#ifndef SPANHEAP_REGISTERS_H
#define SPANHEAP_REGISTERS_H

#include "heap/base.h"

/* Words that registers_spill_call() stores: at least every register a function must preserve. */
#if defined(__x86_64__)
#define SPILLED_WORDS 6
#elif defined(__aarch64__)
#define SPILLED_WORDS 20
#else
#error "spanheap knows x86-64 and arm64"
#endif

/**
 * Stores the callee-saved registers on the stack, calls call(sp, arg) with sp at the lowest of
 * them, and restores them. The caller's frame and all its values lie at or above sp. setjmp would
 * not do: the C library mangles the frame pointer in it. The third to sixth argument registers
 * reach call() as they are: sh_explain() in registers.S hands on its arguments in them, and its
 * result is that of call().
 */
void registers_spill_call(void (*call)(void *sp, void *arg), void *arg);

/* The store of sh_store() as a restartable section: from _begin up to _commit, the address of the
   store itself. A thread stopped in it begins again, so it never stores on an old answer of the
   barrier's flag. See store.S. */
extern const char sh_store_begin[], sh_store_commit[];

#endif
