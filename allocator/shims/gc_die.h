/* The end of a program, for the reasons that Boehm's collector ends it for. */
#ifndef SPANHEAP_GC_DIE_H
#define SPANHEAP_GC_DIE_H

/** Calls the program's abort procedure, prints "spanheap: fatal: ..." and aborts. */
_Noreturn void gc_die(const char *format, ...) __attribute__((format(printf, 1, 2), cold));

#endif
