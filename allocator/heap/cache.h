/*
 * The thread cache: one span a row to allocate from without a lock, a few more in stock, and the
 * tiny block. The page a thread allocates on is its own.
 *
 * Spans come from the central lists and go back there several at a time, so that threads which
 * allocate in the same row meet at its lock seldom.
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

/* Spans that a thread has taken for a row and does not allocate from: not yet, or no longer. */
struct stock {
    struct span *ready; /* swept; linked by next */
    struct span *spent; /* without a free slot when they came here */
    uint32_t batch;     /* spans to fetch the next time */
};

struct cache {
    struct span *spans[NROWS]; /* never NULL: cache_empty_span has no free slot */
    struct stock stock[NROWS];
    uint32_t shard;     /* of the central lists, see central.h */
    uintptr_t tiny;     /* the current tiny block, 0: none */
    uint32_t tiny_used; /* bytes taken of it */
    int64_t unpaid_b;   /* taken while a collection marks and not yet paid for; negative: credit */
    int64_t untold_b, untold_scannable_b; /* not yet in heap_size.live_b, heap_size.scannable_b */
    uint32_t swept_spans, swept_pages;    /* not yet told to the collector (hook_sweep_settle) */
    uint64_t swept_dead_b;                /* the same */
    _Atomic uint32_t depth;
    _Atomic uint32_t stop_pending;
    _Atomic uint32_t in_slow;
    struct counts counts;
};

extern _Thread_local struct cache *cache_self __attribute__((tls_model("initial-exec")));
extern struct span cache_empty_span;

/** The calling thread's cache, made for it if it has none. */
static inline struct cache *
cache_of_caller(void)
{
    struct cache *c = cache_self;
    return likely(c != NULL) ? c : hook_attach_caller();
}

void cache_init(struct cache *c);
/** Returns all spans to the central lists and forgets the tiny block. */
void cache_flush(struct cache *c);
/** How many spans it has, for the heap walker. */
size_t cache_count(const struct cache *c);
/** Brings heap_size.live_b and heap_size.scannable_b up to date. */
void cache_tell(struct cache *c);
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
