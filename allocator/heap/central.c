#include "heap/central.h"

#include "heap/meta.h"

#define SWEEP_TRIES 100 /* spans swept in search of one slot, as in Go's mcentral */

struct central {
    struct lock lock;
    struct span_list partial[2], full[2]; /* [generation/2 % 2] swept, the other one unswept */
} __attribute__((aligned(CACHE_LINE_B)));

static struct central *centrals SH_STATE;

bool
central_init(void)
{
    centrals = meta_alloc(NROWS * sizeof *centrals);
    for (unsigned row = 0; centrals != NULL && row < NROWS; row++)
        centrals[row].lock.rank = RANK_CENTRAL;
    return centrals != NULL;
}

static unsigned
swept_side(void)
{
    return atomic_load(&heap_sweepgen) / 2 % 2;
}

static struct central *
central_of(const struct span *s)
{
    return &centrals[span_row(s->class, s->kind)];
}

/* Who moves the generation from "not swept" to "being swept" sweeps. Central lock is held. */
static bool
acquire(struct span *s)
{
    uint32_t gen = atomic_load(&heap_sweepgen), expected = gen - 2;
    return atomic_compare_exchange_strong(&s->sweepgen, &expected, gen - 1);
}

static bool
is_marking(void)
{
    return atomic_load_explicit(&heap_marking, memory_order_relaxed);
}

static bool
has_free_slot(const struct span *s)
{
    return span_free_ahead(s) > 0 || (!is_marking() && span_count_freed(s) > 0);
}

/* Takes a span out of the central's reach: charges its free slots to the live heap, and to the
   thread, which pays for them by marking (hook_allocation_point). */
static void
enter_cache(struct cache *c, struct span *s)
{
    uint32_t returned = is_marking() ? 0 : span_reclaim_freed(s);
    s->alloc_count_cached = s->alloc_count;
    s->cached = 1;
    if (atomic_load_explicit(&span_allocate_black, memory_order_relaxed))
        span_blacken(s);
    size_t ahead_b = span_free_ahead(s) * s->elem_b, returned_b = returned * s->elem_b;
    atomic_fetch_add(&heap_live_b, ahead_b - returned_b);
    if (kind_is_scannable(s->kind))
        atomic_fetch_add(&heap_scannable_b, ahead_b);
    c->unpaid_b += ahead_b;
    sh_invariant(ahead_b > 0);
}

static struct span *
pop(struct central *central, struct span_list *list, bool unswept)
{
    if (atomic_load_explicit(&list->first, memory_order_relaxed) == NULL)
        return NULL; /* an old answer does no harm: then another span is found, or made */
    lock_take(&central->lock);
    struct span *s = span_list_pop(list);
    if (s != NULL && unswept) {
        bool mine = acquire(s);
        sh_invariant(mine);
        (void)mine;
    } else if (s != NULL) {
        s->cached = 1;
    }
    lock_drop(&central->lock);
    return s;
}

static void file_locked(struct central *central, struct span *s);

/* A swept span with a free slot. While a collection marks, what sh_free gave back is none. */
static struct span *
take_partial(struct central *central)
{
    struct span *s;
    while ((s = pop(central, &central->partial[swept_side()], false)) != NULL &&
           unlikely(!has_free_slot(s))) {
        lock_take(&central->lock);
        s->cached = 0;
        file_locked(central, s);
        lock_drop(&central->lock);
    }
    return s;
}

static struct span *
take_by_sweeping(struct cache *c, struct central *central)
{
    for (int i = 0; i < SWEEP_TRIES; i++) {
        if (atomic_load(&c->stop_pending))
            return NULL;
        unsigned unswept = 1 - swept_side();
        struct span *s = pop(central, &central->partial[unswept], true);
        if (s == NULL)
            s = pop(central, &central->full[unswept], true);
        if (s == NULL)
            return NULL;
        hook_sweep_span(c, s, EMPTY_KEEP); /* an empty one is as good as a new one, and cheaper */
        if (has_free_slot(s)) {
            s->cached = 1;
            return s;
        }
        central_file_swept(s);
    }
    return NULL;
}

static struct span *
new_span(struct cache *c, unsigned row)
{
    unsigned class = row_class(row);
    size_t npages = class_pages[class];
    bool needzero = true;
    hook_reclaim_pages(c, npages);
    uintptr_t base = pageheap_take_pages(npages, &needzero);
    if (base == 0)
        return NULL;
    struct span *s = pageheap_make_span(base, npages, class, row_kind(row), needzero);
    if (s == NULL)
        pageheap_return_pages(base, npages);
    return s;
}

struct span *
central_take(struct cache *c, unsigned row)
{
    struct central *central = &centrals[row];
    struct span *s = take_partial(central);
    if (s == NULL)
        s = take_by_sweeping(c, central);
    if (s == NULL && atomic_load(&c->stop_pending))
        return NULL;
    if (s == NULL)
        s = new_span(c, row);
    if (s != NULL)
        enter_cache(c, s);
    return s;
}

/* The central lock is held. */
static void
file_locked(struct central *central, struct span *s)
{
    unsigned side = swept_side();
    sh_invariant(atomic_load(&s->sweepgen) == atomic_load(&heap_sweepgen));
    span_list_push(has_free_slot(s) ? &central->partial[side] : &central->full[side], s);
}

void
central_put(struct cache *c, struct span *s)
{
    struct central *central = central_of(s);
    c->counts.mallocs[s->class] += s->alloc_count - s->alloc_count_cached;
    s->alloc_count_cached = s->alloc_count;
    atomic_fetch_sub(&heap_live_b, span_free_ahead(s) * s->elem_b);
    if (atomic_load_explicit(&span_allocate_black, memory_order_relaxed))
        span_whiten(s);
    lock_take(&central->lock);
    s->cached = 0;
    file_locked(central, s);
    lock_drop(&central->lock);
}

void
central_add_large(struct span *s)
{
    struct central *central = central_of(s);
    lock_take(&central->lock);
    span_list_push(&central->full[swept_side()], s);
    lock_drop(&central->lock);
}

struct span *
central_take_unswept(unsigned row)
{
    struct central *central = &centrals[row];
    unsigned unswept = 1 - swept_side();
    struct span *s = pop(central, &central->partial[unswept], true);
    return s != NULL ? s : pop(central, &central->full[unswept], true);
}

void
central_file_swept(struct span *s)
{
    struct central *central = central_of(s);
    lock_take(&central->lock);
    file_locked(central, s);
    lock_drop(&central->lock);
}

/*
 * The span is found again under the lock: between the freeing of the slot and here it may have been
 * emptied by another thread and its record reused. Whatever it is now, what follows suits it.
 */
void
central_note_free(struct span *s)
{
    struct central *central = central_of(s);
    bool empty = false;
    if (is_marking())
        return; /* left to the sweep */
    lock_take(&central->lock);
    unsigned side = swept_side();
    if (!s->cached && (s->list == &central->full[side] || s->list == &central->partial[side])) {
        empty = span_count_freed(s) == s->alloc_count;
        if (empty || s->list == &central->full[side]) {
            span_list_remove(s);
            if (!empty)
                file_locked(central, s);
        }
    }
    lock_drop(&central->lock);
    if (!empty)
        return;
    uint32_t returned = span_reclaim_freed(s);
    atomic_fetch_sub(&heap_live_b, returned * s->elem_b);
    pageheap_free_span(s);
}

struct central_counts
central_count(unsigned row)
{
    struct central *central = &centrals[row];
    unsigned swept = swept_side();
    lock_take(&central->lock);
    struct central_counts n = {
        .swept_partial = central->partial[swept].count,
        .swept_full = central->full[swept].count,
        .unswept_partial = central->partial[1 - swept].count,
        .unswept_full = central->full[1 - swept].count,
    };
    lock_drop(&central->lock);
    return n;
}
