#include "collector/sweep.h"

#include "collector/finalizer.h"
#include "collector/pacing.h"
#include "heap/central.h"
#include "observe/events.h"

#include <sched.h>

#define RECLAIM_SPANS_MIN 100   /* most spans that one request for pages sweeps, ... */
#define RECLAIM_SPANS_A_PAGE 16 /* ... and for each page asked for */

static struct {
    _Atomic size_t left; /* spans that are not swept, or being swept */
    _Atomic uint64_t swept_pages;
    _Atomic uint32_t next_row; /* where the search for pages goes on */
    _Atomic uint64_t began_ns; /* 0: no events are kept */
    bool clobber;
} sweep SH_STATE;

void
sweep_set_clobber(bool on)
{
    sweep.clobber = on;
}

void
sweep_begin(void)
{
    atomic_store(&sweep.next_row, 0);
    atomic_store(&sweep.began_ns, events_begin());
    atomic_store(&sweep.swept_pages, 0);
    atomic_store(&sweep.left, pageheap.nspans);
}

uint64_t
sweep_began_ns(void)
{
    return sweep_is_pending() ? atomic_load(&sweep.began_ns) : 0;
}

bool
sweep_is_pending(void)
{
    return atomic_load_explicit(&sweep.left, memory_order_acquire) > 0;
}

static void
clobber_dead(struct span *s)
{
    for (uint32_t i = 0; i < s->nelems; i++) {
        if (span_is_marked(s, i) || !span_is_allocated(s, i))
            continue;
        uint32_t *words = (uint32_t *)span_slot(s, i);
        for (size_t w = 0; w < s->elem_b / sizeof *words; w++)
            words[w] = 0xdeadbeef;
    }
}

static void
sweep_end(void)
{
    events_end(EVENT_SWEEP_PHASE, atomic_load(&sweep.began_ns), 0, 0);
    pacing_sweep_done();
}

bool
hook_sweep_span(struct cache *c, struct span *s, enum sweep_empty what)
{
    uint32_t generation = atomic_load(&heap_sweepgen), marked_but_freed = 0;
    sh_invariant(atomic_load(&s->sweepgen) == generation - 1);
    if (unlikely(atomic_load_explicit(&s->has_specials, memory_order_acquire)))
        finalizer_sweep(s);
    if (unlikely(sweep.clobber))
        clobber_dead(s);
    uint32_t died = span_commit_sweep(s, &marked_but_freed);
    c->counts.frees[s->class] += died;
    if (s->class == 0)
        c->counts.large_free_b += died * s->elem_b;
    if (marked_but_freed > 0)
        atomic_fetch_sub(&heap_live_b, marked_but_freed * s->elem_b);
    atomic_store_explicit(&s->sweepgen, generation, memory_order_release);
    bool empty = s->alloc_count == 0 && what == EMPTY_FREE;
    atomic_fetch_add(&sweep.swept_pages, s->npages);
    if (empty)
        pageheap_free_span(s);
    if (atomic_fetch_sub(&sweep.left, 1) == 1)
        sweep_end();
    return empty;
}

/* Sweeps one span of a row. False: none was left. *pages: pages that came free. */
static bool
sweep_one(struct cache *c, unsigned row, size_t *pages)
{
    struct span *s = central_take_unswept(row);
    if (s == NULL)
        return false;
    size_t npages = s->npages;
    if (hook_sweep_span(c, s, EMPTY_FREE))
        *pages += npages;
    else
        central_file_swept(s);
    return true;
}

/* Large objects come first: they are few and give whole runs of pages. */
static unsigned
row_at(unsigned step)
{
    unsigned kinds = TINY_ROW / NCLASSES;
    if (step < kinds)
        return span_row(0, (enum span_kind)step);
    return step - kinds;
}

#define STEPS (NROWS + TINY_ROW / NCLASSES)

void
hook_reclaim_pages(struct cache *c, size_t npages)
{
    size_t pages = 0, budget = RECLAIM_SPANS_MIN + RECLAIM_SPANS_A_PAGE * npages;
    while (sweep_is_pending() && pages < npages) {
        unsigned step = atomic_load(&sweep.next_row);
        if (step >= STEPS)
            return;
        if (budget-- == 0 || atomic_load(&c->stop_pending))
            return;
        if (!sweep_one(c, row_at(step), &pages))
            atomic_compare_exchange_strong(&sweep.next_row, &step, step + 1);
    }
}

void
sweep_finish(struct cache *c)
{
    uint64_t start_ns = events_begin();
    size_t spans = 0, pages = 0;
    for (unsigned row = 0; row < NROWS && sweep_is_pending(); row++)
        while (sweep_one(c, row, &pages))
            spans++;
    if (spans > 0)
        events_end(EVENT_SWEEP, start_ns, spans, pages);
}

/* One span, as a slow section. False: the row has none left. */
static bool
sweep_one_stoppable(struct cache *c, unsigned row, size_t *pages)
{
    cache_enter(c);
    cache_slow_enter(c);
    bool swept = sweep_one(c, row, pages);
    cache_slow_leave(c);
    cache_leave(c);
    return swept;
}

void
sweep_all(struct cache *c)
{
    uint64_t start_ns = events_begin();
    size_t spans = 0, pages = 0;
    while (sweep_is_pending()) {
        for (unsigned row = 0; row < NROWS; row++)
            while (sweep_one_stoppable(c, row, &pages))
                spans++;
        if (sweep_is_pending())
            sched_yield(); /* another thread has the last one */
    }
    if (spans > 0)
        events_end(EVENT_SWEEP, start_ns, spans, pages);
}

uint64_t
sweep_swept_pages(void)
{
    return atomic_load(&sweep.swept_pages);
}

void
sweep_pay(struct cache *c, uint64_t npages)
{
    uint64_t until = sweep_swept_pages() + npages;
    size_t pages = 0;
    cache_slow_enter(c);
    for (unsigned row = 0; row < NROWS && sweep_is_pending(); row++)
        while (sweep_swept_pages() < until && !atomic_load(&c->stop_pending) &&
               sweep_one(c, row, &pages)) {
        }
    cache_slow_leave(c);
}

void
sweep_recount(void)
{
    size_t left = 0;
    for (unsigned row = 0; row < NROWS; row++) {
        struct central_counts n = central_count(row);
        left += n.unswept_partial + n.unswept_full;
    }
    atomic_store(&sweep.left, left);
}
