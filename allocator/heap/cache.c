#include "heap/cache.h"

#include "heap/central.h"
#include "heap/os.h"

_Thread_local struct cache *cache_self;
_Atomic uint32_t cache_fork_pending SH_STATE;
struct span cache_empty_span SH_STATE;

void
cache_init(struct cache *c)
{
    for (unsigned row = 0; row < NROWS; row++)
        c->spans[row] = &cache_empty_span;
    c->tiny = 0;
    c->tiny_used = 0;
}

void
cache_flush(struct cache *c)
{
    for (unsigned row = 0; row < NROWS; row++) {
        struct span *s = c->spans[row];
        c->spans[row] = &cache_empty_span;
        if (s != &cache_empty_span)
            central_put(c, s);
    }
    c->tiny = 0;
    c->tiny_used = 0;
}

/* Dekker's protocol with fork: whoever comes second sees the other. */
void
cache_slow_enter(struct cache *c)
{
    atomic_store(&c->in_slow, 1);
    while (unlikely(atomic_load(&cache_fork_pending))) {
        atomic_store(&c->in_slow, 0);
        os_futex_wait(&cache_fork_pending, 1, 0);
        atomic_store(&c->in_slow, 1);
    }
}

void
cache_slow_leave(struct cache *c)
{
    atomic_store_explicit(&c->in_slow, 0, memory_order_release);
}

/* The cached span of the row, if it has a free slot after all: in a later word of its bitmap, or
   by sh_free. A full one goes back. Inside the slow section. */
static bool
find_in_cached(struct cache *c, unsigned row)
{
    struct span *s = c->spans[row];
    if (s == &cache_empty_span)
        return false;
    if (span_next_cache(s))
        return true;
    bool marking = atomic_load_explicit(&heap_marking, memory_order_relaxed);
    if (!marking && span_reclaim_freed(s) > 0 && span_next_cache(s))
        return true;
    c->spans[row] = &cache_empty_span;
    central_put(c, s);
    return false;
}

/* A slow section although only this thread's span changes: fork must not see it half changed. */
static bool
next_word_has_slot(struct cache *c, unsigned row)
{
    struct span *s = c->spans[row];
    if (s == &cache_empty_span)
        return false;
    cache_slow_enter(c);
    bool found = span_next_cache(s);
    cache_slow_leave(c);
    return found;
}

bool
cache_refill(struct cache *c, unsigned row)
{
    if (next_word_has_slot(c, row))
        return true;
    hook_allocation_point(c, class_size_b[row_class(row)]);
    for (;;) {
        cache_slow_enter(c);
        bool ready = find_in_cached(c, row);
        struct span *fresh = ready ? NULL : central_take(c, row);
        if (fresh != NULL) {
            ready = span_next_cache(fresh);
            if (ready)
                c->spans[row] = fresh;
            else
                central_put(c, fresh);
        }
        cache_slow_leave(c);
        if (ready)
            return true;
        if (atomic_load(&c->stop_pending))
            hook_stop_here(c);
        else if (fresh == NULL)
            return false;
    }
}

void
counts_move(struct counts *dst, struct counts *src)
{
    for (unsigned class = 0; class < NCLASSES; class ++) {
        dst->mallocs[class] += src->mallocs[class];
        dst->frees[class] += src->frees[class];
    }
    dst->tiny_allocs += src->tiny_allocs;
    dst->large_alloc_b += src->large_alloc_b;
    dst->large_free_b += src->large_free_b;
    *src = (struct counts){0};
}
