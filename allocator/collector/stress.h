/*
 * For tests: random delays at the edges of a collection's phases, so that threads meet in orders
 * that are rare otherwise, and small work buffers, so that every exchange of one happens often.
 */
#ifndef SPANHEAP_STRESS_H
#define SPANHEAP_STRESS_H

#include "heap/base.h"

/** In debug builds alone (-DSH_DEBUG): called at each edge, in stops too, by the thread that does
 * the collection; NULL: nothing. It must not use the heap. */
extern void (*stress_at_edge)(void);
extern uint64_t stress_delay_max_ns; /* 0: none (SH_STRESS_DELAY) */
void stress_delay_slow(void);

static inline bool
stress_is_on(void)
{
    return unlikely(stress_delay_max_ns > 0);
}

/** At a phase edge. May sleep; any thread, in a stop too. */
static inline void
stress_edge(void)
{
#ifdef SH_DEBUG
    if (stress_at_edge != NULL)
        stress_at_edge();
#endif
    if (stress_is_on())
        stress_delay_slow();
}

#endif
