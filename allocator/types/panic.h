/* Panics of the types themselves. */
#ifndef SPANHEAP_TYPES_PANIC_H
#define SPANHEAP_TYPES_PANIC_H

#include <spanheap/panic.h>

/** Panics with "runtime error: " and what the format says, as Go's runtime does. */
_Noreturn void panic_runtime(const char *format, ...)
    __attribute__((format(printf, 1, 2), cold, noinline));
/** Panics with Go's words for what is no runtime error there, such as a closed channel. */
_Noreturn void panic_plain(const char *format, ...)
    __attribute__((format(printf, 1, 2), cold, noinline));

#endif
