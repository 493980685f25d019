/*
 * The roots: what the program can reach without going through the heap. They are read all at once,
 * while the world is stopped: a snapshot. See the head of spanheap.h for what is covered.
 */
#ifndef SPANHEAP_ROOTS_H
#define SPANHEAP_ROOTS_H

#include "collector/mark.h"

struct root_bytes {
    size_t stacks; /* stacks and registers */
    size_t data;   /* data segments, thread-local storage, registered ranges */
};

void roots_init(void);
/** Marks from every root. The world is stopped, and segments.h's table is up to date. */
struct root_bytes roots_mark(struct marker *m);
/** Registered ranges together, bytes. */
size_t roots_registered_b(void);

#endif
