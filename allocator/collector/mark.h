/* Marking: from a word to an object, and from a grey object to a black one. */
#ifndef SPANHEAP_MARK_H
#define SPANHEAP_MARK_H

#include "collector/workbuf.h"

/* One marking thread. White: mark bit clear; grey: set, and in a queue; black: set, not in a queue.
 */
struct marker {
    struct workqueue queue;
    uint64_t marked_b; /* of the objects that it turned grey */
    uint64_t scanned_b;
};

/**
 * Marks from memory that may hold anything: each aligned word in [start, end) marks the object that
 * contains it. In frames and registers it also marks the one that contains the byte before it: a
 * compiler may keep only the end of an array that a loop runs through.
 */
enum mark_ends { MARK_WITHOUT_ENDS, MARK_WITH_ENDS };
void mark_conservative(struct marker *m, uintptr_t start, uintptr_t end, enum mark_ends ends);
/** Marks the object that contains an address, if it is in an allocated one. */
void mark_address(struct marker *m, uintptr_t address);
/** Scans grey objects until none is left anywhere. */
void mark_drain(struct marker *m);

#endif
