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

/** Reads the roots, and hands their words to the markers. The world is stopped, and segments.h's
 * table is up to date. */
struct root_bytes roots_read(enum root_set set);

#endif
