#include "collector/sweep.h"

#include "collector/finalizer.h"
#include "collector/pacing.h"
#include "heap/central.h"
#include "heap/watch.h"
#include "observe/events.h"

#include <sched.h>

#define SWEEP_AT_ONCE 16        /* spans between two looks at anything else: a few microseconds */
#define RECLAIM_SPANS_MIN 100   /* most spans that one request for pages sweeps, ... */
#define RECLAIM_SPANS_A_PAGE 16 /* ... and for each page asked for */

static struct {
    _Atomic size_t left; /* spans that are not swept, or being swept */
    _Atomic uint64_t swept_pages;
    _Atomic uint64_t dead_b;                /* in objects that sweeping has not come to */
    _Atomic uint32_t next_step[SHARDS_MAX]; /* where the search for unswept spans goes on */
    _Atomic uint64_t began_ns;              /* 0: no events are kept */
    bool clobber;
} sweep SH_STATE;

void
sweep_set_clobber(bool on)
{
    sweep.clobber = on;
}

static void
search_from_start(void)
{
    for (unsigned shard = 0; shard < central_shards(); shard++)
        atomic_store(&sweep.next_step[shard], 0);
}

void
sweep_begin(uint64_t dead_b)
{
    atomic_store(&sweep.dead_b, dead_b);
    search_from_start();
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
    atomic_store(&sweep.dead_b, 0); /* it is, but for what finalizers have brought back */
    pacing_sweep_done();
}

bool
hook_sweep_span(struct cache *c, struct span *s)
{
    uint32_t generation = atomic_load(&heap_sweepgen), marked_but_freed = 0;
    sh_invariant(atomic_load(&s->sweepgen) == generation - 1);
    if (unlikely(atomic_load_explicit(&s->has_specials, memory_order_acquire)))
        finalizer_sweep(s);
    if (unlikely(heap_watch.on))
        watch_before_sweep(s, sweep.clobber);
    else if (unlikely(sweep.clobber))
        clobber_dead(s);
    uint32_t before = s->alloc_count, died = span_commit_sweep(s, &marked_but_freed);
    c->swept_dead_b += (before - s->alloc_count - marked_but_freed) * s->elem_b;
    c->counts.frees[s->class] += died;
    if (s->class == 0)
        c->counts.large_free_b += died * s->elem_b;
    if (marked_but_freed > 0)
        atomic_fetch_sub(&heap_size.live_b, marked_but_freed * s->elem_b);
    if (unlikely(heap_watch.on))
        watch_after_sweep(s);
    atomic_store_explicit(&s->sweepgen, generation, memory_order_release);
    c->swept_spans++;
    c->swept_pages += (uint32_t)s->npages;
    return s->alloc_count == 0;
}

void
hook_sweep_settle(struct cache *c)
{
    uint32_t spans = c->swept_spans;
    if (spans == 0)
        return;
    atomic_fetch_add(&sweep.swept_pages, c->swept_pages);
    atomic_fetch_sub(&sweep.dead_b, c->swept_dead_b);
    c->swept_spans = c->swept_pages = 0;
    c->swept_dead_b = 0;
    if (atomic_fetch_sub(&sweep.left, spans) == spans)
        sweep_end();
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

/* Some unswept spans of a shard; NULL: there are none. A row that has none will have none until the
   next cycle. */
static struct span *
take_from(unsigned shard, unsigned *empty_wanted)
{
    for (;;) {
        unsigned step = atomic_load(&sweep.next_step[shard]);
        if (step >= STEPS)
            return NULL;
        struct span *s = central_take_unswept(shard, row_at(step), SWEEP_AT_ONCE, empty_wanted);
        if (s != NULL)
            return s;
        atomic_compare_exchange_strong(&sweep.next_step[shard], &step, step + 1);
    }
}

/* For this thread to sweep: the spans of its own shard first. */
static struct span *
take_next(const struct cache *c, unsigned *empty_wanted)
{
    struct span *s = NULL;
    unsigned shards = central_shards();
    for (unsigned i = 0; i < shards && s == NULL; i++)
        s = take_from((c->shard + i) % shards, empty_wanted);
    return s;
}

/* Empty spans that are not kept give their pages back. */
enum empty_spans { EMPTY_GO, EMPTY_STAY_IF_WANTED };
struct swept {
    size_t spans, pages, freed_pages;
};

/* Sweeps some spans and adds to the figures. False: none was left. */
static bool
sweep_some(struct cache *c, enum empty_spans empty, struct swept *figures)
{
    unsigned wanted;
    struct span *s = take_next(c, &wanted), *next, *keep = NULL;
    if (s == NULL)
        return false;
    if (empty == EMPTY_GO)
        wanted = 0;
    for (; s != NULL; s = next) {
        next = s->next;
        s->next = NULL;
        figures->spans++;
        figures->pages += s->npages;
        bool is_empty = hook_sweep_span(c, s);
        if (is_empty && wanted == 0) {
            figures->freed_pages += s->npages;
            pageheap_free_span(s);
            continue;
        }
        wanted -= is_empty;
        s->next = keep;
        keep = s;
    }
    central_file_swept(keep);
    hook_sweep_settle(c);
    return true;
}

void
hook_reclaim_pages(struct cache *c, size_t npages)
{
    struct swept done = {0};
    size_t budget = RECLAIM_SPANS_MIN + RECLAIM_SPANS_A_PAGE * npages;
    while (sweep_is_pending() && done.freed_pages < npages && done.spans < budget &&
           !atomic_load(&c->stop_pending) && sweep_some(c, EMPTY_GO, &done)) {
    }
}

static void
note_sweep(uint64_t start_ns, const struct swept *done)
{
    if (done->spans > 0)
        events_end(EVENT_SWEEP, start_ns, done->spans, done->freed_pages);
}

void
sweep_finish(struct cache *c)
{
    uint64_t start_ns = events_begin();
    struct swept done = {0};
    while (sweep_some(c, EMPTY_STAY_IF_WANTED, &done)) {
    }
    note_sweep(start_ns, &done);
}

/* As a slow section. */
static bool
sweep_some_stoppable(struct cache *c, struct swept *done)
{
    cache_enter(c);
    cache_slow_enter(c);
    bool swept = sweep_some(c, EMPTY_GO, done);
    cache_slow_leave(c);
    cache_leave(c);
    return swept;
}

void
sweep_all(struct cache *c)
{
    uint64_t start_ns = events_begin();
    struct swept done = {0};
    while (sweep_is_pending()) {
        while (sweep_some_stoppable(c, &done)) {
        }
        if (sweep_is_pending())
            sched_yield(); /* another thread has the last one */
    }
    note_sweep(start_ns, &done);
}

uint64_t
sweep_dead_b(void)
{
    return atomic_load(&sweep.dead_b);
}

uint64_t
sweep_swept_pages(void)
{
    return atomic_load(&sweep.swept_pages);
}

void
sweep_pay(struct cache *c, uint64_t npages)
{
    struct swept done = {0};
    cache_slow_enter(c);
    while (done.pages < npages && !atomic_load(&c->stop_pending) &&
           sweep_some(c, EMPTY_STAY_IF_WANTED, &done)) {
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
    search_from_start();
}
