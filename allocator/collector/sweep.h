/*
 * Sweeping: what marking did not reach becomes free. A span is swept in the background, or when a
 * thread needs a slot of its class (central_take), when pages are needed, or at the latest before
 * the next cycle.
 */
#ifndef SPANHEAP_SWEEP_H
#define SPANHEAP_SWEEP_H

#include "heap/cache.h"

/** All spans are unswept from now on: called when the generation has moved. dead_b: in objects that
 * were not marked. */
void sweep_begin(uint64_t dead_b);
/** Sweeps all that is left. Not while the world is stopped: it takes time with the heap's size. In
 * the safe state, under the cycle lock. A span that another thread is sweeping may be left. */
void sweep_finish(struct cache *c);
/** The same for a running thread, which may be stopped between two spans. Returns when every span
 * is swept, by whomever. */
void sweep_all(struct cache *c);
bool sweep_is_pending(void);
/** Pages swept since the last sweep_begin(). */
uint64_t sweep_swept_pages(void);
/** Bytes in dead objects that sweeping has not come to. */
uint64_t sweep_dead_b(void);
/** Sweeps npages pages, or what is left, or until a stop is asked for. Depth is held. */
void sweep_pay(struct cache *c, uint64_t npages);
/** In the child of a fork: nobody else is sweeping. */
void sweep_recount(void);
/** When the sweep under way began; 0: there is none, or no events were kept then. */
uint64_t sweep_began_ns(void);
/** Fill dead objects with 0xdeadbeef (SH_CLOBBER). */
void sweep_set_clobber(bool on);

#endif
