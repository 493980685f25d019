#include "heap/central.h"

#include "heap/meta.h"
#include "heap/os.h"
#include "heap/watch.h"

#define SWEEP_TRIES 100               /* spans swept in search of one slot, as in Go's mcentral */
#define STOCK_PAGES_MAX 16u           /* of the spans that are fetched at once, unless it is one */
#define POPULATE_B ((size_t)32 << 10) /* of memory that is fetched between two looks at a stop */

struct central {
    struct lock lock;
    uint32_t generation;                  /* of the sweep that `taken` is about */
    uint32_t taken, taken_before;         /* spans that threads fetched in it; in the one before */
    struct span_list partial[2], full[2]; /* [generation/2 % 2] swept, the other one unswept */
} __attribute__((aligned(CACHE_LINE_B)));

static struct central *centrals[SHARDS_MAX] SH_STATE; /* a row each */
static unsigned nshards SH_STATE;
static _Atomic uint32_t shard_users[SHARDS_MAX] SH_STATE;

bool
central_init(unsigned shards)
{
    nshards = shards;
    for (unsigned shard = 0; shard < nshards; shard++) {
        centrals[shard] = meta_alloc(NROWS * sizeof *centrals[shard]);
        if (centrals[shard] == NULL)
            return false;
        for (unsigned row = 0; row < NROWS; row++)
            centrals[shard][row].lock.rank = RANK_CENTRAL;
    }
    return true;
}

unsigned
central_shards(void)
{
    return nshards;
}

/* The one with the fewest threads. Two threads that choose at once may choose the same. */
unsigned
central_join_shard(void)
{
    unsigned best = 0;
    for (unsigned i = 1; i < nshards; i++)
        if (atomic_load(&shard_users[i]) < atomic_load(&shard_users[best]))
            best = i;
    atomic_fetch_add(&shard_users[best], 1);
    return best;
}

void
central_leave_shard(unsigned shard)
{
    atomic_fetch_sub(&shard_users[shard], 1);
}

static struct central *
central_at(unsigned shard, unsigned row)
{
    return &centrals[shard][row];
}

static unsigned
swept_side(void)
{
    return atomic_load(&heap_sweepgen) / 2 % 2;
}

static struct central *
central_of(const struct span *s)
{
    return central_at(atomic_load(&s->shard), span_row(s->class, s->kind));
}

/* Who moves the generation from "not swept" to "being swept" sweeps. Central lock is held. */
static bool
acquire(struct span *s)
{
    uint32_t gen = atomic_load(&heap_sweepgen), expected = gen - 2;
    return atomic_compare_exchange_strong(&s->sweepgen, &expected, gen - 1);
}

static bool
has_free_slot(const struct span *s)
{
    return span_free_ahead(s) > 0 || (!heap_is_marking() && span_count_freed(s) > 0);
}

/* The central lock is held. */
static void
file_locked(struct central *central, struct span *s)
{
    unsigned side = swept_side();
    sh_invariant(atomic_load(&s->sweepgen) == atomic_load(&heap_sweepgen));
    span_list_push(has_free_slot(s) ? &central->partial[side] : &central->full[side], s);
}

static void
file_all_locked(struct central *central, struct span **first)
{
    struct span *s;
    while ((s = *first) != NULL) {
        *first = s->next;
        s->next = NULL;
        s->cached = 0;
        file_locked(central, s);
    }
}

static void
count_taken_locked(struct central *central, uint32_t n)
{
    uint32_t generation = atomic_load(&heap_sweepgen);
    if (central->generation != generation) {
        central->taken_before = central->generation == generation - 2 ? central->taken : 0;
        central->generation = generation;
        central->taken = 0;
    }
    central->taken += n;
}

/* From here on the span belongs to the shard of the stock's owner. */
static void
put(const struct cache *c, struct span **stock, struct span *s)
{
    s->cached = 1;
    atomic_store(&s->shard, c->shard);
    s->next = *stock;
    *stock = s;
}

/* Without the lock: an old answer does no harm, then another span is found, or made. */
static bool
is_empty(const struct span_list *list)
{
    return atomic_load_explicit(&list->first, memory_order_relaxed) == NULL;
}

static bool
has_nothing(const struct central *central)
{
    return is_empty(&central->partial[0]) && is_empty(&central->partial[1]) &&
           is_empty(&central->full[1 - swept_side()]);
}

/* The next unswept span, for this thread to sweep. The lock is held. */
static struct span *
acquire_locked(struct central *central)
{
    unsigned unswept = 1 - swept_side();
    struct span *s = span_list_pop(&central->partial[unswept]);
    if (s == NULL)
        s = span_list_pop(&central->full[unswept]);
    if (s != NULL) {
        bool mine = acquire(s);
        sh_invariant(mine);
        (void)mine;
    }
    return s;
}

/* How many empty spans are worth keeping. */
static unsigned
empty_wanted_locked(struct central *central)
{
    count_taken_locked(central, 0);
    size_t have = central->partial[swept_side()].count + central->taken;
    return have < central->taken_before ? central->taken_before - (unsigned)have : 0;
}

/* The next unswept spans, at most *n, linked, for this thread to sweep; lowers *n by their number.
   The lock is held. */
static struct span *
acquire_some_locked(struct central *central, unsigned *n)
{
    struct span *first = NULL, *s;
    for (; *n > 0 && (s = acquire_locked(central)) != NULL; (*n)--) {
        s->next = first;
        first = s;
    }
    return first;
}

/* Exchanges the spent spans for up to n others of one shard: swept ones with a free slot go to the
   stock, unswept ones are returned for sweeping. While a collection marks, what sh_free gave back
   is no free slot. */
static struct span *
exchange(struct cache *c, unsigned row, unsigned shard, unsigned n)
{
    struct central *central = central_at(shard, row);
    struct stock *stock = &c->stock[row];
    struct span *s;
    bool own = shard == c->shard;
    unsigned wanted = n;
    if (!(own && stock->spent != NULL) && has_nothing(central))
        return NULL;
    lock_take(&central->lock);
    if (own)
        file_all_locked(central, &stock->spent);
    while (n > 0 && (s = span_list_pop(&central->partial[swept_side()])) != NULL) {
        if (!has_free_slot(s)) {
            file_locked(central, s);
            continue;
        }
        put(c, &stock->ready, s);
        n--;
    }
    struct span *unswept = acquire_some_locked(central, &n);
    count_taken_locked(central, wanted - n);
    lock_drop(&central->lock);
    return unswept;
}

/* An empty span is as good as a new one, and cheaper. Returns how many were swept. */
static unsigned
sweep_into(struct cache *c, struct stock *stock, struct span *unswept)
{
    unsigned n = 0;
    for (struct span *s; (s = unswept) != NULL; n++) {
        unswept = s->next;
        s->next = NULL;
        hook_sweep_span(c, s);
        put(c, has_free_slot(s) ? &stock->ready : &stock->spent, s);
    }
    hook_sweep_settle(c);
    return n;
}

/* Every slot will be used. In pieces, so that a stop need not wait for it: what is left when one is
   asked for comes when it is touched. */
static void
populate(const struct cache *c, uintptr_t base, size_t size)
{
    for (size_t at = 0; at < size && !atomic_load(&c->stop_pending); at += POPULATE_B)
        os_populate((void *)(base + at), size_min(POPULATE_B, size - at));
}

/*
 * Up to n new spans, side by side. Spans of two threads should not alternate in memory: processors
 * fetch ahead of what they write, beyond a page's end too, and take each other's lines away. (Two
 * threads that write blocks of 8 KiB in turn took 2.6 times as long as with 128 KiB.)
 */
static void
make_spans(struct cache *c, unsigned row, size_t n)
{
    unsigned class = row_class(row);
    size_t npages = class_pages[class];
    bool needzero = true;
    hook_reclaim_pages(c, npages);
    uintptr_t base = pageheap_take_run(npages, &n, &needzero);
    if (base == 0)
        return;
    hook_pages_taken(c);
    if (!needzero)
        populate(c, base, n * npages * PAGE_B);
    if (unlikely(heap_watch.on))
        watch_close(base, n * npages * PAGE_B);
    /* from the end, so that the lowest is at hand first */
    for (size_t i = n; i-- > 0;) {
        uintptr_t at = base + i * npages * PAGE_B;
        struct span *s = pageheap_make_span(at, npages, class, row_kind(row), needzero);
        if (s == NULL)
            pageheap_return_pages(at, npages);
        else
            put(c, &c->stock[row].ready, s);
    }
    struct central *central = central_at(c->shard, row);
    lock_take(&central->lock);
    count_taken_locked(central, (uint32_t)n);
    lock_drop(&central->lock);
}

static unsigned
next_batch(struct stock *stock, unsigned row)
{
    size_t n = stock->batch, most = STOCK_PAGES_MAX / class_pages[row_class(row)];
    stock->batch = most == 0 ? 1 : (uint32_t)size_min(2 * n, most);
    return (unsigned)n;
}

/* From one shard. Returns how many spans were swept in search of a slot. */
static unsigned
restock_from(struct cache *c, unsigned row, unsigned shard, unsigned batch)
{
    struct stock *stock = &c->stock[row];
    unsigned tried = 0, swept;
    do {
        swept = sweep_into(c, stock, exchange(c, row, shard, batch));
        tried += swept;
    } while (stock->ready == NULL && swept > 0 && tried < SWEEP_TRIES &&
             !atomic_load(&c->stop_pending));
    return tried;
}

bool
central_restock(struct cache *c, unsigned row)
{
    struct stock *stock = &c->stock[row];
    unsigned batch = next_batch(stock, row), tried = 0;
    for (unsigned i = 0; i < nshards && stock->ready == NULL && tried < SWEEP_TRIES; i++)
        tried += restock_from(c, row, (c->shard + i) % nshards, batch);
    if (stock->ready != NULL)
        return true;
    if (atomic_load(&c->stop_pending))
        return false;
    make_spans(c, row, batch);
    return stock->ready != NULL;
}

void
central_unstock(struct cache *c, unsigned row)
{
    struct central *central = central_at(c->shard, row);
    struct stock *stock = &c->stock[row];
    stock->batch = 1;
    if (stock->ready == NULL && stock->spent == NULL)
        return;
    lock_take(&central->lock);
    file_all_locked(central, &stock->ready);
    file_all_locked(central, &stock->spent);
    lock_drop(&central->lock);
}

void
central_add_large(struct cache *c, struct span *s)
{
    atomic_store(&s->shard, c->shard);
    struct central *central = central_of(s);
    lock_take(&central->lock);
    span_list_push(&central->full[swept_side()], s);
    lock_drop(&central->lock);
}

struct span *
central_take_unswept(unsigned shard, unsigned row, unsigned most, unsigned *empty_wanted)
{
    struct central *central = central_at(shard, row);
    unsigned unswept = 1 - swept_side();
    if (is_empty(&central->partial[unswept]) && is_empty(&central->full[unswept]))
        return NULL;
    lock_take(&central->lock);
    struct span *s = acquire_some_locked(central, &most);
    *empty_wanted = empty_wanted_locked(central);
    lock_drop(&central->lock);
    return s;
}

void
central_file_swept(struct span *first)
{
    if (first == NULL)
        return;
    struct central *central = central_of(first);
    lock_take(&central->lock);
    file_all_locked(central, &first);
    lock_drop(&central->lock);
}

static struct central *
lock_central_of(struct span *s)
{
    for (;;) {
        struct central *central = central_of(s);
        lock_take(&central->lock);
        if (central_of(s) == central)
            return central;
        lock_drop(&central->lock);
    }
}

/*
 * The span is found again under the lock: between the freeing of the slot and here it may have been
 * emptied by another thread and its record reused. Whatever it is now, what follows suits it.
 */
void
central_note_free(struct span *s)
{
    bool empty = false;
    if (heap_is_marking())
        return; /* left to the sweep */
    struct central *central = lock_central_of(s);
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
    atomic_fetch_sub(&heap_size.live_b, returned * s->elem_b);
    pageheap_free_span(s);
}

struct central_counts
central_count(unsigned row)
{
    struct central_counts n = {0};
    unsigned swept = swept_side();
    for (unsigned shard = 0; shard < nshards; shard++) {
        struct central *central = central_at(shard, row);
        lock_take(&central->lock);
        n.swept_partial += central->partial[swept].count;
        n.swept_full += central->full[swept].count;
        n.unswept_partial += central->partial[1 - swept].count;
        n.unswept_full += central->full[1 - swept].count;
        lock_drop(&central->lock);
    }
    return n;
}
