/* Panics of the types themselves. */
#ifndef SPANHEAP_TYPES_PANIC_H
#define SPANHEAP_TYPES_PANIC_H

#include "heap/base.h"

#include <spanheap/panic.h>

/** Panics with "runtime error: " and what the format says, as Go's runtime does. */
_Noreturn void panic_runtime(const char *format, ...)
    __attribute__((format(printf, 1, 2), cold, noinline));
/** Panics with Go's words for what is no runtime error there, such as a closed channel. */
_Noreturn void panic_plain(const char *format, ...)
    __attribute__((format(printf, 1, 2), cold, noinline));
/** Panics as Go does where a nil pointer is followed; `what` is the function and its argument. */
_Noreturn void panic_nil(const char *what) __attribute__((cold, noinline));

/* A test and a branch that is never taken, before the pointer is followed. */
#define refuse_nil(pointer, what)                                                                  \
    do {                                                                                           \
        if (unlikely((pointer) == NULL))                                                           \
            panic_nil(what);                                                                       \
    } while (0)

#endif
