/*
 * The thread cache: one span a row to allocate from without a lock, and the tiny block. The page a
 * thread allocates on is its own.
 *
 * "depth" marks the short stretches in which a thread must not be stopped: the stop signal's
 * handler finds it above 0, notes stop_pending and returns; the thread stops on its way out.
 * "in_slow" marks the stretches in which shared structures are being changed: fork waits for them.
 */
#ifndef SPANHEAP_CACHE_H
#define SPANHEAP_CACHE_H

#include "heap/hooks.h"
#include "heap/span.h"

/* Objects and bytes that a thread has allocated and freed (swept, or by sh_free). */
struct counts {
    uint64_t mallocs[NCLASSES], frees[NCLASSES];
    uint64_t tiny_allocs;
    uint64_t large_alloc_b, large_free_b;
};

struct cache {
    struct span *spans[NROWS]; /* never NULL: cache_empty_span has no free slot */
    uintptr_t tiny;            /* the current tiny block, 0: none */
    uint32_t tiny_used;        /* bytes taken of it */
    int64_t unpaid_b; /* taken while a collection marks and not yet paid for; negative: credit */
    _Atomic uint32_t depth;
    _Atomic uint32_t stop_pending;
    _Atomic uint32_t in_slow;
    struct counts counts;
};

extern _Thread_local struct cache *cache_self __attribute__((tls_model("initial-exec")));
extern struct span cache_empty_span;

void cache_init(struct cache *c);
/** Returns all cached spans to the central lists and forgets the tiny block. */
void cache_flush(struct cache *c);
/** Fetches a span with a free slot for a row. False: no memory. Depth is held; may stop and
 * collect. */
bool cache_refill(struct cache *c, unsigned row);
/** Adds src to dst and clears src. */
void counts_move(struct counts *dst, struct counts *src);

/* Set while a thread forks: slow paths wait at their entrance. */
extern _Atomic uint32_t cache_fork_pending;
void cache_slow_enter(struct cache *c);
void cache_slow_leave(struct cache *c);

static inline void
cache_enter(struct cache *c)
{
    uint32_t depth = atomic_load_explicit(&c->depth, memory_order_relaxed);
    atomic_store_explicit(&c->depth, depth + 1, memory_order_relaxed);
    signal_fence();
}

static inline void
cache_leave(struct cache *c)
{
    signal_fence();
    uint32_t depth = atomic_load_explicit(&c->depth, memory_order_relaxed);
    atomic_store_explicit(&c->depth, depth - 1, memory_order_relaxed);
    signal_fence();
    if (unlikely(atomic_load_explicit(&c->stop_pending, memory_order_relaxed)) && depth == 1)
        hook_stop_here(c);
}

#endif
