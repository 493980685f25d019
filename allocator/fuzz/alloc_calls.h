/*
 * For the target of the heap: calls that are wrong and end with a message, and questions about the
 * heap.
 */
#ifndef SPANHEAP_FUZZ_ALLOC_CALLS_H
#define SPANHEAP_FUZZ_ALLOC_CALLS_H

#include "objects.h"

/** An object has just been freed that did not share its block. */
void check_freed(void *p);
/** Some wrong call, of an object that is in use. alone: it shares no block. */
void call_wrongly(struct input *in, size_t i, bool typed, bool alone);
/** Of a range that is not registered. */
void call_range_wrongly(void *start);
/** Asks why the object lives, or what the heap is full of; or sets what changes nothing for it. */
void ask(struct input *in, size_t i);

#endif
