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
