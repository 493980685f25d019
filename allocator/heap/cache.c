#include "heap/cache.h"

#include "heap/central.h"
#include "heap/os.h"

#define UNTOLD_MAX_B ((int64_t)32 << 10)

_Thread_local struct cache *cache_self;
_Thread_local _Atomic(struct cache *) cache_fast;
_Atomic uint32_t cache_sampling SH_STATE;
_Atomic uint32_t cache_fork_pending SH_STATE;
bool cache_fences_others SH_STATE;
struct span cache_empty_span SH_STATE;

void
cache_init(struct cache *c)
{
    for (unsigned row = 0; row < NROWS; row++) {
        c->spans[row] = &cache_empty_span;
        c->stock[row] = (struct stock){.batch = 1};
    }
    c->shard = central_join_shard();
    c->tiny = 0;
    c->tiny_used = 0;
}

void
cache_tell(struct cache *c)
{
    atomic_fetch_add(&heap_size.live_b, (size_t)c->untold_b);
    atomic_fetch_add(&heap_size.scannable_b, (size_t)c->untold_scannable_b);
    c->untold_b = c->untold_scannable_b = 0;
}

/* ---- One span ---- */

static bool
is_born_black(void)
{
    return atomic_load_explicit(&span_allocate_black, memory_order_relaxed);
}

/* Charges a span's free slots to the live heap, and to the thread, which pays for them by marking
   (hook_pay). False: it has none, now that a collection marks. */
static bool
begin_span(struct cache *c, unsigned row, struct span *s)
{
    uint32_t returned = heap_is_marking() ? 0 : span_reclaim_freed(s);
    size_t ahead_b = span_free_ahead(s) * s->elem_b;
    s->alloc_count_cached = s->alloc_count;
    c->untold_b += (int64_t)ahead_b - (int64_t)(returned * s->elem_b);
    if (kind_is_scannable(s->kind))
        c->untold_scannable_b += (int64_t)ahead_b;
    c->unpaid_b += (int64_t)ahead_b;
    if (is_born_black())
        span_blacken(s);
    if (!span_next_cache(s))
        return false;
    c->spans[row] = s;
    return true;
}

/* Nothing more is allocated from it. */
static void
end_span(struct cache *c, unsigned row, struct span *s)
{
    c->spans[row] = &cache_empty_span;
    c->counts.mallocs[s->class] += s->alloc_count - s->alloc_count_cached;
    s->alloc_count_cached = s->alloc_count;
    c->untold_b -= (int64_t)(span_free_ahead(s) * s->elem_b);
    if (is_born_black())
        span_whiten(s);
    s->next = c->stock[row].spent;
    c->stock[row].spent = s;
}

void
cache_flush(struct cache *c)
{
    for (unsigned row = 0; row < NROWS; row++) {
        if (c->spans[row] != &cache_empty_span)
            end_span(c, row, c->spans[row]);
        central_unstock(c, row);
    }
    cache_tell(c);
    c->tiny = 0;
    c->tiny_used = 0;
}

static size_t
count_linked(const struct span *s)
{
    size_t n = 0;
    for (; s != NULL; s = s->next)
        n++;
    return n;
}

size_t
cache_count(const struct cache *c)
{
    size_t n = 0;
    for (unsigned row = 0; row < NROWS; row++)
        n += (c->spans[row] != &cache_empty_span) + count_linked(c->stock[row].ready) +
             count_linked(c->stock[row].spent);
    return n;
}

/* ---- Fork ---- */

void
cache_fork_init(void)
{
    cache_fences_others = os_fence_init();
}

void
cache_fork_begin(void)
{
    atomic_store(&cache_fork_pending, 1);
    if (cache_fences_others)
        os_fence_others();
}

void
cache_fork_end(void)
{
    atomic_store(&cache_fork_pending, 0);
    os_futex_wake_all(&cache_fork_pending);
}

void
cache_slow_wait(struct cache *c)
{
    do {
        atomic_store(&c->in_slow, 0);
        os_futex_wait(&cache_fork_pending, 1, 0);
        atomic_store(&c->in_slow, 1);
    } while (atomic_load(&cache_fork_pending));
}

/* ---- Refill ---- */

/* The cached span of the row, if it has a free slot after all: in a later word of its bitmap, or
   by sh_free. A full one is spent. Inside the slow section. */
static bool
find_in_cached(struct cache *c, unsigned row)
{
    struct span *s = c->spans[row];
    if (s == &cache_empty_span)
        return false;
    if (span_next_cache(s))
        return true;
    if (!heap_is_marking() && span_reclaim_freed(s) > 0 && span_next_cache(s))
        return true;
    end_span(c, row, s);
    return false;
}

static bool
find_in_stock(struct cache *c, unsigned row)
{
    struct stock *stock = &c->stock[row];
    struct span *s;
    while ((s = stock->ready) != NULL) {
        stock->ready = s->next;
        if (begin_span(c, row, s))
            return true;
        end_span(c, row, s);
    }
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
    if (c->untold_b >= UNTOLD_MAX_B || c->stock[row].ready == NULL || heap_is_marking()) {
        cache_tell(c);
        hook_trigger(0);
        hook_pay(c);
    }
    for (;;) {
        cache_slow_enter(c);
        bool ready = find_in_cached(c, row) || find_in_stock(c, row);
        bool stocked = !ready && central_restock(c, row);
        ready = ready || (stocked && find_in_stock(c, row));
        cache_slow_leave(c);
        if (ready)
            return true;
        if (atomic_load(&c->stop_pending))
            hook_stop_here(c);
        else if (!stocked)
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
