#include "collector/verify.h"

#include "collector/world.h"
#include "heap/central.h"

struct recount {
    size_t spans, pages, free_pages;
    size_t in_lists;
    const char *error;
};

static bool
expect(struct recount *w, bool condition, const char *error)
{
    if (!condition && w->error == NULL)
        w->error = error;
    return condition;
}

static bool
has_layout(const struct span *s)
{
    bool in_mask =
        s->class != 0 && s->elem_b <= BITMAP_MAX_B && atomic_load(&s->slot_mask) != MIXED;
    return s->kind != KIND_TYPED || in_mask || s->layout.pointer_bits != NULL;
}

static void
check_span(struct recount *w, const struct span *s)
{
    uint32_t generation = atomic_load(&heap_sweepgen), own = atomic_load(&s->sweepgen);
    expect(w, s->state != SPAN_UNUSED, "a page leads to an unused span");
    expect(w, own == generation || own == generation - 2, "a span is being swept in a stop");
    expect(w, s->cached || s->list != NULL, "a span is in no list and no cache");
    expect(w, span_count_freed(s) <= s->alloc_count, "more slots are freed than in use");
    expect(w, has_layout(s), "a typed span has no layout");
    if (s->class != 0)
        expect(w, s->alloc_count == s->nelems - span_free_ahead(s),
               "a span's slots are miscounted");
    /* While marking, what a cache has at hand is marked too. */
    expect(w, s->cached || span_count_marked(s) <= s->alloc_count,
           "more slots are marked than in use");
    expect(w, atomic_load(&s->free_index) <= s->nelems, "a free index is past the end");
}

static size_t
walk_page(struct recount *w, size_t page)
{
    struct span *s = atomic_load(&pageheap.page_span[page]);
    bool is_free = pageheap.pages.free[page / 64] >> (page % 64) & 1;
    if (s == NULL) {
        w->free_pages += is_free;
        return 1;
    }
    size_t first = (s->base - pageheap.base) / PAGE_B;
    if (!expect(w, first == page, "a span's first page is not where its pages begin"))
        return 1;
    for (size_t i = 0; i < s->npages; i++) {
        bool free_too = pageheap.pages.free[(page + i) / 64] >> ((page + i) % 64) & 1;
        expect(w, !free_too, "a span's page is free");
        expect(w, atomic_load(&pageheap.page_span[page + i]) == s, "a span's page leads elsewhere");
    }
    check_span(w, s);
    w->spans++;
    w->pages += s->npages;
    return s->npages;
}

static size_t
spans_in_lists(void)
{
    size_t n = 0;
    for (unsigned row = 0; row < NROWS; row++) {
        struct central_counts c = central_count(row);
        n += c.swept_partial + c.swept_full + c.unswept_partial + c.unswept_full;
    }
    return n;
}

static size_t
spans_in_caches(void)
{
    size_t n = 0;
    for (struct thread *t = world.threads; t != NULL; t = t->next)
        n += cache_count(&t->cache);
    return n;
}

const char *
verify_heap(void)
{
    struct recount w = {0};
    size_t pages = atomic_load(&pageheap.used_b) / PAGE_B;
    for (size_t page = 0; page < pages && w.error == NULL;)
        page += walk_page(&w, page);
    if (w.error != NULL)
        return w.error;
    expect(&w, w.pages == pageheap.inuse_pages, "pages in spans are miscounted");
    expect(&w, w.spans == pageheap.nspans, "spans are miscounted");
    expect(&w, w.free_pages == pageheap.pages.free_pages, "free pages are miscounted");
    expect(&w, w.spans == spans_in_lists() + spans_in_caches(), "spans are lost from the lists");
    expect(&w, pages == w.pages + w.free_pages + atomic_load(&pageheap.transit_pages),
           "pages are neither free nor in a span");
    return w.error;
}

void
verify_or_die(void)
{
    const char *error = verify_heap();
    sh_require(error == NULL, "heap check: %s", error);
}

static void
stop_and_verify(void *arg)
{
    (void)arg;
    lock_take(&world.cycle_lock);
    world_stop();
    verify_or_die();
    world_start();
    lock_drop(&world.cycle_lock);
}

void
verify_now(void)
{
    world_safe_call(stop_and_verify, NULL);
}
