/*
 * Sweeping: what marking did not reach becomes free. Lazy: a span is swept when a thread needs a
 * slot of its class (central_take), when pages are needed, or at the latest before the next cycle.
 */
#ifndef SPANHEAP_SWEEP_H
#define SPANHEAP_SWEEP_H

#include "heap/cache.h"

/** All spans are unswept from now on: called when the generation has moved. */
void sweep_begin(void);
/** Sweeps all that is left. Not while the world is stopped: it takes time with the heap's size. */
void sweep_finish(struct cache *c);
/** Fill dead objects with 0xdeadbeef (SH_CLOBBER). */
void sweep_set_clobber(bool on);

#endif
