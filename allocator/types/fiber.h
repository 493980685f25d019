/*
 * What tools want to be told of stacks. Sanitizers, of each switch from one to another, where the
 * program is built with one (the library need not be): the functions are weak, and absent without
 * it. Valgrind sees switches by itself once it knows where the stacks lie; its requests are a few
 * instructions that do nothing elsewhere, and are left out where its header is not installed.
 */
#ifndef SPANHEAP_FIBER_H
#define SPANHEAP_FIBER_H

#include "heap/base.h"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_STACK_REGISTER(first, last) ((void)(first), (void)(last))
#define VALGRIND_MAKE_MEM_UNDEFINED(start, size) ((void)(start), (void)(size))
#endif

void __sanitizer_start_switch_fiber(void **save, const void *low, size_t size)
    __attribute__((weak));
void __sanitizer_finish_switch_fiber(void *saved, const void **low, size_t *size)
    __attribute__((weak));
void *__tsan_get_current_fiber(void) __attribute__((weak));
void *__tsan_create_fiber(unsigned flags) __attribute__((weak));
void __tsan_destroy_fiber(void *fiber) __attribute__((weak));
void __tsan_switch_to_fiber(void *fiber, unsigned flags) __attribute__((weak));

struct fiber {
    void *asan, *tsan;
};

/** Of a stack that has just been made, and stays. */
static inline void
fiber_announce_stack(uintptr_t low, uintptr_t high)
{
    (void)VALGRIND_STACK_REGISTER(low, high - 1);
}

/** Nobody runs on the stack: all of it may be written to. To valgrind it ends where the task before
 * has left it. */
static inline void
fiber_clear_stack(uintptr_t low, uintptr_t high)
{
    (void)VALGRIND_MAKE_MEM_UNDEFINED(low, high - low);
}

/** Of the stack that the caller runs on. */
static inline void
fiber_adopt(struct fiber *f)
{
    if (__tsan_get_current_fiber != NULL)
        f->tsan = __tsan_get_current_fiber();
}

static inline void
fiber_create(struct fiber *f)
{
    if (__tsan_create_fiber != NULL && f->tsan == NULL)
        f->tsan = __tsan_create_fiber(0);
}

/** Before the switch, with the bounds of the stack that it leads to. Nothing may return on the old
 * stack until it is switched to again. */
static inline __attribute__((always_inline)) void
fiber_leave(struct fiber *from, const struct fiber *to, uintptr_t low, uintptr_t high)
{
    if (__sanitizer_start_switch_fiber != NULL)
        __sanitizer_start_switch_fiber(&from->asan, (const void *)low, high - low);
    if (__tsan_switch_to_fiber != NULL)
        __tsan_switch_to_fiber(to->tsan, 0);
}

/** After it, on the new stack. */
static inline __attribute__((always_inline)) void
fiber_arrive(const struct fiber *self)
{
    if (__sanitizer_finish_switch_fiber != NULL)
        __sanitizer_finish_switch_fiber(self->asan, NULL, NULL);
}

#endif
