/*
 * The roots: what the program can reach without going through the heap. They are read all at once,
 * while the world is stopped: a snapshot. See the head of spanheap.h for what is covered.
 *
 * Reading copies the words that may point into the heap, and no more: to find their objects is
 * work for the markers, so that the stop costs little more than reading the memory.
 */
#ifndef SPANHEAP_ROOTS_H
#define SPANHEAP_ROOTS_H

#include "collector/workbuf.h"

struct root_bytes {
    size_t stacks; /* stacks and registers */
    size_t data;   /* data segments, thread-local storage, registered ranges */
};

void roots_init(void);
enum root_set {
    ROOTS_ALL,
    ROOTS_SHARED, /* without what a thread alone can write: stack, registers, thread-local storage
                   */
};

enum root_kind {
    ROOT_STACK,     /* a thread's, from the stack pointer up, and its signal stack in use */
    ROOT_REGISTERS, /* saved by sh_blocking_begin */
    ROOT_THREAD_LOCAL,
    ROOT_KEYS,     /* values of pthread keys */
    ROOT_ARGUMENT, /* of a thread that has not begun, ... */
    ROOT_RESULT,   /* ... or that nobody has joined */
    ROOT_DATA,     /* of the program or a library */
    ROOT_RANGE,    /* sh_roots_add() */
};

struct thread;

/* Memory whose words may be pointers. */
struct root_range {
    enum root_kind kind;
    uintptr_t start, end;
    const struct thread *thread; /* NULL: nobody's */
    size_t number;               /* the loader's, of the module whose thread-local storage it is, or
                                    of the first pthread key */
};
typedef void (*roots_visit)(void *arg, const struct root_range *range);

/** Whether a word of such memory keeps the object that it ends, too. */
static inline bool
root_has_frames(enum root_kind kind)
{
    return kind == ROOT_STACK || kind == ROOT_REGISTERS;
}

/** Visits all ranges; not parked stacks, nor what the collector keeps by itself (finalizer.h). The
 * world is stopped, and segments.h's table is up to date. */
void roots_each(enum root_set set, roots_visit visit, void *arg);

/** Before the stop: has the processor fetch the variables that it will read, as far as they fit
 * into its cache. Under segments.h's lock. */
void roots_fetch(void);
/** Reads the roots, and hands their words to the markers. The world is stopped, and segments.h's
 * table is up to date. */
struct root_bytes roots_read(enum root_set set);
/**
 * Appends the words in [start, end) that may point into the heap to the caller's open buffer of the
 * kind. Each will mark the object that contains it; one of WORK_FRAMES also the object that
 * contains the byte before it: a compiler may keep only the end of an array that a loop runs
 * through. Returns the bytes read.
 */
size_t roots_read_range(struct workbuf **open, enum work_kind kind, uintptr_t start, uintptr_t end);

#endif
