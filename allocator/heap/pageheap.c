#include "heap/pageheap.h"

#include "heap/meta.h"
#include "heap/os.h"

#define RESERVE_DEFAULT_B ((size_t)256 << 30)
#define RECORD_BATCH_B ((size_t)16 << 10)

struct pageheap pageheap SH_STATE = {.lock = {.rank = RANK_PAGEHEAP}, .most_pages = SIZE_MAX};
_Atomic uint32_t heap_sweepgen SH_STATE = 2;
_Atomic uint32_t heap_marking SH_STATE = 0;
struct heap_size heap_size SH_STATE;

/* Address space for at least one arena more than asked, so that the base can be aligned. */
static uintptr_t
reserve_aligned(size_t size)
{
    void *p = os_reserve(size + ARENA_B);
    if (p == NULL)
        return 0;
    uintptr_t start = (uintptr_t)p, base = round_up(start, ARENA_B);
    if (base > start)
        os_unreserve(p, base - start);
    size_t tail = start + ARENA_B - base;
    if (tail > 0)
        os_unreserve((void *)(base + size), tail);
    return base;
}

/* The range and the tables over it, or nothing. */
static bool
reserve(size_t size)
{
    size_t npages = size / PAGE_B;
    uintptr_t base = reserve_aligned(size);
    if (base == 0)
        return false;
    pageheap.base = base;
    pageheap.reserved_b = size;
    pageheap.page_span = os_map_sparse(npages * sizeof(struct span *));
    if (pageheap.page_span != NULL && pages_init(&pageheap.pages, npages))
        return true;
    if (pageheap.page_span != NULL) {
        pages_discard(&pageheap.pages);
        os_unreserve((void *)pageheap.page_span, npages * sizeof(struct span *));
    }
    os_unreserve((void *)base, size);
    return false;
}

static size_t
half(size_t size)
{
    return size / 2 / ARENA_B * ARENA_B;
}

/* Where address space is short, half of what could be had is left to the rest of the program. */
bool
pageheap_init(size_t reserve_b, enum huge_pages huge_pages)
{
    pageheap.huge_pages = huge_pages;
    size_t wanted = round_up(reserve_b == 0 ? RESERVE_DEFAULT_B : reserve_b, ARENA_B),
           size = wanted;
    while (size >= ARENA_B && !reserve(size))
        size = half(size);
    if (size < ARENA_B)
        return false;
    if (size < wanted && half(size) >= ARENA_B) {
        pages_discard(&pageheap.pages);
        os_unreserve((void *)pageheap.page_span, size / PAGE_B * sizeof(struct span *));
        os_unreserve((void *)pageheap.base, size);
        return reserve(half(size));
    }
    return true;
}

/* Commits arenas for at least npages more pages. The lock is held. */
static bool
grow_heap(size_t npages)
{
    size_t used = atomic_load(&pageheap.used_b);
    size_t joined =
        pages_free_before(&pageheap.pages, used / PAGE_B); /* what is free at the top counts */
    size_t size = round_up((npages - size_min(joined, npages - 1)) * PAGE_B, ARENA_B);
    void *start = (void *)(pageheap.base + used);
    if (size > pageheap.reserved_b - used || !os_commit(start, size))
        return false;
    if (pageheap.huge_pages != HUGE_PAGES_BY_SYSTEM)
        os_advise_huge_pages(start, size, pageheap.huge_pages == HUGE_PAGES_WANTED);
    pages_add(&pageheap.pages, used / PAGE_B, size / PAGE_B);
    atomic_store(&pageheap.used_b, used + size);
    return true;
}

void
pageheap_set_most(size_t most_b)
{
    lock_take(&pageheap.lock);
    pageheap.most_pages = most_b == SIZE_MAX ? SIZE_MAX : most_b / PAGE_B;
    lock_drop(&pageheap.lock);
}

/* Up to the limit. The lock is held. */
static size_t
pages_left(void)
{
    size_t taken = pageheap.inuse_pages + atomic_load(&pageheap.transit_pages);
    return taken < pageheap.most_pages ? pageheap.most_pages - taken : 0;
}

size_t
pageheap_left_b(void)
{
    lock_take(&pageheap.lock);
    size_t left = pages_left();
    lock_drop(&pageheap.lock);
    return left > SIZE_MAX / PAGE_B ? SIZE_MAX : left * PAGE_B;
}

uintptr_t
pageheap_take_pages(size_t npages, bool *needzero)
{
    size_t n = 1;
    return pageheap_take_run(npages, &n, needzero);
}

uintptr_t
pageheap_take_run(size_t npages, size_t *n, bool *needzero)
{
    struct pages *pages = &pageheap.pages;
    size_t first = 0, fresh = 0;
    if (npages == 0 || npages > pageheap.reserved_b / PAGE_B)
        return 0;
    lock_take(&pageheap.lock);
    size_t left = pages_left();
    *n = size_min(*n, left / npages);
    bool found = left >= npages &&
                 (pages_alloc_pieces(pages, npages, n, &first, &fresh) ||
                  (grow_heap(npages) && pages_alloc_pieces(pages, npages, n, &first, &fresh)));
    if (found)
        atomic_fetch_add(&pageheap.transit_pages, *n * npages);
    lock_drop(&pageheap.lock);
    *needzero = fresh < *n * npages;
    return found ? pageheap.base + first * PAGE_B : 0;
}

void
pageheap_return_pages(uintptr_t base, size_t npages)
{
    lock_take(&pageheap.lock);
    pages_free(&pageheap.pages, (base - pageheap.base) / PAGE_B, npages);
    atomic_fetch_sub(&pageheap.transit_pages, npages);
    lock_drop(&pageheap.lock);
}

/* Span records come in batches and are only ever reused as span records: a reader without a lock
   that still holds one sees a span, if perhaps another. The lock is held. */
static struct span *
take_record(void)
{
    if (pageheap.free_records == NULL) {
        struct span *batch = meta_alloc(RECORD_BATCH_B);
        if (batch == NULL)
            return NULL;
        for (size_t i = 0; i < RECORD_BATCH_B / sizeof *batch; i++) {
            batch[i].next = pageheap.free_records;
            pageheap.free_records = &batch[i];
        }
    }
    struct span *s = pageheap.free_records;
    pageheap.free_records = s->next;
    s->next = NULL;
    return s;
}

static void
set_page_table(uintptr_t base, size_t npages, struct span *s)
{
    size_t first = (base - pageheap.base) / PAGE_B;
    for (size_t i = 0; i < npages; i++)
        atomic_store_explicit(&pageheap.page_span[first + i], s, memory_order_release);
}

static void
put_record(struct span *s)
{
    s->state = SPAN_UNUSED;
    s->next = pageheap.free_records;
    pageheap.free_records = s;
}

struct span *
pageheap_make_slots(uintptr_t base, size_t npages, unsigned class, size_t slot_b,
                    enum span_kind kind, bool needzero)
{
    lock_take(&pageheap.lock);
    struct span *s = take_record();
    if (s != NULL && !span_setup(s, base, npages, class, slot_b, kind, needzero)) {
        put_record(s);
        s = NULL;
    }
    if (s != NULL) {
        atomic_store(&s->sweepgen, atomic_load(&heap_sweepgen));
        s->state = class == 0 ? SPAN_LARGE : SPAN_SMALL;
        pageheap.inuse_pages += npages;
        pageheap.nspans++;
        atomic_fetch_sub(&pageheap.transit_pages, npages);
    }
    lock_drop(&pageheap.lock);
    if (s != NULL)
        set_page_table(base, npages, s);
    return s;
}

struct span *
pageheap_make_span(uintptr_t base, size_t npages, unsigned class, enum span_kind kind,
                   bool needzero)
{
    return pageheap_make_slots(base, npages, class, class_size_b[class], kind, needzero);
}

/* The pages after a large span, if they are free, or can be had. The lock is held. */
static bool
take_after(const struct span *s, size_t more, size_t *fresh)
{
    struct pages *pages = &pageheap.pages;
    size_t first = (s->base - pageheap.base) / PAGE_B + s->npages;
    size_t have = pages_free_from(pages, first, more);
    bool at_top = (first + have) * PAGE_B == atomic_load(&pageheap.used_b);
    if (have < more && (!at_top || !grow_heap(more)))
        return false;
    *fresh = pages_take(pages, first, more);
    return true;
}

bool
pageheap_grow_span(struct span *s, size_t npages, bool *needzero)
{
    size_t more = npages - s->npages, fresh = 0;
    lock_take(&pageheap.lock);
    bool found = take_after(s, more, &fresh);
    if (found)
        pageheap.inuse_pages += more;
    lock_drop(&pageheap.lock);
    if (!found)
        return false;
    *needzero = fresh < more;
    set_page_table(s->base + s->npages * PAGE_B, more, s);
    s->npages = npages;
    s->elem_b = npages * PAGE_B;
    return true;
}

void
pageheap_shrink_span(struct span *s, size_t npages)
{
    uintptr_t end = s->base + npages * PAGE_B;
    size_t fewer = s->npages - npages;
    set_page_table(end, fewer, NULL);
    s->npages = npages;
    s->elem_b = npages * PAGE_B;
    lock_take(&pageheap.lock);
    pages_free(&pageheap.pages, (end - pageheap.base) / PAGE_B, fewer);
    pageheap.inuse_pages -= fewer;
    lock_drop(&pageheap.lock);
}

void
pageheap_free_span(struct span *s)
{
    sh_invariant(s->list == NULL && !s->cached);
    set_page_table(s->base, s->npages, NULL);
    lock_take(&pageheap.lock);
    span_teardown(s);
    pages_free(&pageheap.pages, (s->base - pageheap.base) / PAGE_B, s->npages);
    pageheap.inuse_pages -= s->npages;
    pageheap.nspans--;
    put_record(s);
    lock_drop(&pageheap.lock);
}

void
pageheap_each_span(void (*visit)(struct span *s))
{
    size_t pages = atomic_load(&pageheap.used_b) / PAGE_B;
    for (size_t page = 0; page < pages;) {
        struct span *s = atomic_load(&pageheap.page_span[page]);
        page += s == NULL ? 1 : s->npages;
        if (s != NULL)
            visit(s);
    }
}
