/*
 * Where the pure pacer meets the running program: what it is told, and what follows from its
 * answers. Everything here is under the cycle lock, but for the figures that allocating threads
 * read.
 */
#ifndef SPANHEAP_PACING_H
#define SPANHEAP_PACING_H

#include "heap/base.h"

struct marker_figures;

/** Goal and trigger from what was marked last. */
void pacing_set_goal(void);
/** In the first stop, when the roots are known. */
void pacing_begin(void);
/** Adapts the rate of assists to what has been marked and allocated. Any thread. */
void pacing_revise(void);
/** Scan work, bytes, that a byte of allocation costs now. */
double pacing_work_per_byte(void);
/** The heap is beyond its goal: allocation waits for marking. */
bool pacing_heap_is_over(void);
/** In the last stop, before the goal is set. mark_ns: how long marking took. */
void pacing_end(const struct marker_figures *figures, uint64_t mark_ns);

#endif
