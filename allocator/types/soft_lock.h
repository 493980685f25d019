/*
 * The lock of a channel and the like: a word that is 0 or 1, in an object of the program's. Nobody
 * is stopped while holding it, so waiting for it is short; who waits can be stopped in between.
 * Several may be held at once (in the order of their addresses), and one that a task holds when it
 * parks is dropped by whoever runs next on the thread.
 */
#ifndef SPANHEAP_SOFT_LOCK_H
#define SPANHEAP_SOFT_LOCK_H

#include "heap/cache.h"

#include <sched.h>

#define SOFT_SPINS 100

static inline void
soft_lock(uint32_t *lock)
{
    struct cache *c = cache_of_caller();
    cache_enter(c);
    for (unsigned i = 1;; i++) {
        if (__atomic_load_n(lock, __ATOMIC_RELAXED) == 0 &&
            __atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE) == 0)
            return;
        pause_processor();
        if (i % SOFT_SPINS == 0) { /* the holder may have lost its processor */
            cache_leave(c);
            sched_yield();
            cache_enter(c);
        }
    }
}

static inline void
soft_unlock(uint32_t *lock)
{
    __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
    cache_leave(cache_self);
}

#endif
