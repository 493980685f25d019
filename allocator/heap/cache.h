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
    uint32_t number;    /* of its thread among those there are, from 0: see threads_numbers() */
    uintptr_t tiny;     /* the current tiny block, 0: none */
    uint32_t tiny_used; /* bytes taken of it */
    int64_t unpaid_b;   /* taken while a collection marks and not yet paid for; negative: credit */
    int64_t untold_b, untold_scannable_b; /* not yet in heap_size.live_b, heap_size.scannable_b */
    uint32_t swept_spans, swept_pages;    /* not yet told to the collector (hook_sweep_settle) */
    uint64_t swept_dead_b;                /* the same */
    _Atomic uint32_t depth;
    _Atomic uint32_t stop_pending;
    _Atomic uint32_t in_slow;
    /* Of the heap profile, see observe/profile.c. */
    uint32_t sample_epoch;  /* the cache_sampling that the rest belongs to */
    uint64_t sample_left_b; /* until the next sample */
    uint64_t sample_random;
    struct counts counts;
};

extern _Thread_local struct cache *cache_self __attribute__((tls_model("initial-exec")));
/* The same for the fast path. NULL while a heap profile is kept, too, so that each object goes the
   longer way, where it is charged to the profile; whoever sets the rate changes it for all threads.
   NULL as well while the types of small objects are kept (span_keep_types). */
extern _Thread_local _Atomic(struct cache *) cache_fast __attribute__((tls_model("initial-exec")));
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

/* 0: no heap profile is kept. Else another number each time that its rate is set. */
extern _Atomic uint32_t cache_sampling;

/*
 * Slow sections against fork, by Dekker's protocol: each sets its flag and then looks at the
 * other's, so whoever comes second sees the other. Between the two belongs a barrier, which waits
 * for all stores that are under way: those that have just zeroed memory which is in no cache. Slow
 * sections are frequent and forks are not, so the forking thread makes all others pass the barrier
 * (cache_fork_begin), and a slow section has none; unless the kernel cannot do that.
 */
extern _Atomic uint32_t cache_fork_pending;
extern bool cache_fences_others; /* fork does it for all */
void cache_fork_init(void);
/** From here on nobody enters a slow section; those inside are seen by their in_slow. */
void cache_fork_begin(void);
void cache_fork_end(void);
/** Waits until the fork is over, and enters then. */
void cache_slow_wait(struct cache *c);

static inline void
cache_slow_enter(struct cache *c)
{
    if (likely(cache_fences_others)) {
        atomic_store_explicit(&c->in_slow, 1, memory_order_relaxed);
        signal_fence();
    } else {
        atomic_store(&c->in_slow, 1);
    }
    if (unlikely(atomic_load(&cache_fork_pending)))
        cache_slow_wait(c);
}

static inline void
cache_slow_leave(struct cache *c)
{
    atomic_store_explicit(&c->in_slow, 0, memory_order_release);
}

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
