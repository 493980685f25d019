#include "shims/malloc_heap.h"

#include "heap/os.h"
#include "heap/sizeclass.h"

#define SPAN_SLOTS 32u /* that a span has room for, if that is within SPAN_MAX_B */
#define SPAN_MAX_B ((size_t)64 << 10)
#define SPAN_SLOTS_LEAST 4u
#define EMPTY_PAGES_LEAST 64u /* of empty spans that a heap keeps for its own use */
#define EMPTY_SHARE 16u       /* or this part of its pages */
#define MAGAZINE_MAX_B ((size_t)8 << 10)

/* Slots up to this part larger are used before there is a new span, of rows with so many spans that
   have some: rows that must not need a new one themselves for it. */
#define LARGER_SHARE 4u
#define LARGER_SPANS 2u

/* Of foreign_next, beside NULL, not in the list, and another span: the end of the list, and a span
   that is about to be entered; a span that has been given back. */
#define LAST ((struct span *)1)
#define GONE ((struct span *)2)

struct malloc_heap malloc_no_heap = {.state = HEAP_USED};
uintptr_t malloc_mark;
static uint8_t row_pages[MALLOC_ROWS];

/* The length between this and twice this many pages that wastes the smallest part of itself. */
static size_t
best_length(size_t slot_b, size_t least)
{
    size_t best = least;
    for (size_t n = least; n < 2 * least; n++)
        if (n * PAGE_B % slot_b * best < best * PAGE_B % slot_b * n)
            best = n;
    return best;
}

void
malloc_rows_init(void)
{
    malloc_mark = (uintptr_t)os_random() | 1; /* a zeroed object has another */
    for (unsigned row = 1; row < MALLOC_ROWS; row++) {
        size_t slot_b = malloc_slot_b(row), wanted = size_min(SPAN_SLOTS * slot_b, SPAN_MAX_B);
        if (wanted < SPAN_SLOTS_LEAST * slot_b)
            wanted = SPAN_SLOTS_LEAST * slot_b;
        row_pages[row] = (uint8_t)best_length(slot_b, (wanted + PAGE_B - 1) / PAGE_B);
    }
}

void
malloc_heap_init(struct malloc_heap *h)
{
    for (unsigned row = 1; row < MALLOC_ROWS; row++) {
        size_t n = MAGAZINE_MAX_B / malloc_slot_b(row);
        h->rows[row].capacity = (uint16_t)(n < 2 ? 2 : size_min(n, MAGAZINE_MAX));
        h->rows[row].fill = 1;
    }
}

/* ---- Bits ---- */

static uint64_t
alloc_bits(const struct span *s, uint32_t w)
{
    return __atomic_load_n(&s->bits[w].alloc, __ATOMIC_RELAXED);
}

/* Other threads look at them, to find double frees. */
static void
set_alloc_bits(struct span *s, uint32_t w, uint64_t bits)
{
    __atomic_store_n(&s->bits[w].alloc, bits, __ATOMIC_RELAXED);
}

/* The bits behind the last slot count as taken. */
static void
close_tail(struct span *s)
{
    uint32_t w = s->nelems / 64;
    if (s->nelems % 64 != 0)
        set_alloc_bits(s, w, alloc_bits(s, w) | ~UINT64_C(0) << s->nelems % 64);
}

static uint32_t
slots_in_word(const struct span *s, uint32_t w)
{
    return (uint32_t)size_min(64, s->nelems - w * 64);
}

/* ---- Lists ---- */

static void
file_empty(struct malloc_heap *h, struct span *s)
{
    s->filed = FILED_EMPTY;
    span_list_push(&h->empty[s->class], s);
    h->empty_pages += s->npages;
}

static void
unfile_empty(struct malloc_heap *h, struct span *s)
{
    span_list_remove(s);
    h->empty_pages -= s->npages;
}

/*
 * Who has just freed a slot in it may still have to enter it in the list, and may not find its
 * record in other hands between. So while it is entered, or about to be, it is kept: in no list, as
 * a full one is, until the heap is drained.
 */
static void
release_span(struct malloc_heap *h, struct span *s)
{
    struct span *none = NULL;
    s->filed = FILED_FULL;
    if (!atomic_compare_exchange_strong(&s->foreign_next, &none, GONE))
        return;
    h->pages -= s->npages;
    s->layout.owner = NULL;
    pageheap_free_span(s);
}

/* Gives empty spans back until so many pages are left in them. */
static void
release_empty(struct malloc_heap *h, size_t left_pages)
{
    bool some = h->empty_pages > left_pages;
    while (h->empty_pages > left_pages) {
        struct span *s = atomic_load_explicit(&h->empty[h->cursor].first, memory_order_relaxed);
        if (s == NULL) {
            h->cursor = (h->cursor + 1) % MALLOC_ROWS;
            continue;
        }
        unfile_empty(h, s);
        release_span(h, s);
    }
    if (some)
        malloc_trim_some();
}

/* A span that was full, or has become empty. */
static __attribute__((noinline)) void
refile(struct malloc_heap *h, struct span *s)
{
    if (s->filed == FILED_FULL && s->alloc_count > 0) {
        s->filed = FILED_PARTIAL;
        span_list_push(&h->partial[s->class], s);
    }
    if (s->alloc_count > 0)
        return;
    if (s->filed == FILED_PARTIAL)
        span_list_remove(s);
    file_empty(h, s);
    size_t kept = h->pages / EMPTY_SHARE;
    if (h->empty_pages > EMPTY_PAGES_LEAST && h->empty_pages > kept)
        release_empty(h, kept > EMPTY_PAGES_LEAST ? kept : EMPTY_PAGES_LEAST);
}

/* ---- Filling and emptying a magazine ---- */

static struct span *
make_span(struct malloc_heap *h, unsigned row)
{
    size_t npages = row_pages[row];
    bool needzero;
    if (h->empty_pages > 0) /* others' empty spans first: memory that is there already */
        release_empty(h, h->empty_pages - size_min(npages, h->empty_pages));
    uintptr_t base = pageheap_take_pages(npages, &needzero);
    if (base == 0)
        return NULL;
    struct span *s =
        pageheap_make_slots(base, npages, row, malloc_slot_b(row), KIND_NOSCAN, needzero);
    if (s == NULL) {
        pageheap_return_pages(base, npages);
        return NULL;
    }
    close_tail(s);
    s->filed = FILED_FULL;
    s->layout.owner = h;
    atomic_store(&s->foreign_next, NULL);
    h->pages += npages;
    return s;
}

static struct span *
first_of(const struct span_list *list)
{
    return atomic_load_explicit(&list->first, memory_order_relaxed);
}

/* A span with a free slot that a row of slightly larger slots has. */
static struct span *
find_larger(const struct malloc_heap *h, unsigned row)
{
    for (unsigned i = row + 1; i <= row + row / LARGER_SHARE && i <= STEPS_MAX_B / STEP_B; i++)
        if (h->partial[i].count >= LARGER_SPANS)
            return first_of(&h->partial[i]);
    return NULL;
}

static void drain(struct malloc_heap *h);

/* What others have freed, if there is any. */
static void
take_back(struct malloc_heap *h)
{
    if (atomic_load_explicit(&h->foreign, memory_order_relaxed) != NULL)
        drain(h);
}

/* A span of the row that has a free slot already, or NULL. */
static struct span *
find_own(const struct malloc_heap *h, unsigned row)
{
    struct span *s = first_of(&h->partial[row]);
    return s != NULL ? s : first_of(&h->empty[row]);
}

/* A span with a free slot. NULL: no memory. */
static struct span *
find_span(struct malloc_heap *h, unsigned row)
{
    struct span *s = find_own(h, row);
    if (s == NULL)
        s = find_larger(h, row);
    return s != NULL ? s : make_span(h, row);
}

/* Where a span is, after slots have been taken. */
static void
refile_taken(struct malloc_heap *h, struct span *s)
{
    bool full = s->alloc_count == s->nelems;
    if (s->filed == FILED_PARTIAL && !full)
        return;
    if (s->filed == FILED_EMPTY)
        unfile_empty(h, s);
    else if (s->filed == FILED_PARTIAL)
        span_list_remove(s);
    s->filed = full ? FILED_FULL : FILED_PARTIAL;
    if (!full)
        span_list_push(&h->partial[s->class], s);
}

/* Moves up to n free slots of a span to a magazine, the lowest on top. */
static void
take_slots(struct malloc_row *r, struct span *s, uint32_t n)
{
    uint32_t taken = 0, words = span_bit_words(s->nelems);
    uintptr_t slots[MAGAZINE_MAX];
    for (uint32_t w = 0; w < words && taken < n; w++) {
        uint64_t bits = alloc_bits(s, w), before = bits;
        for (; ~bits != 0 && taken < n; bits |= bits + 1)
            slots[taken++] = span_slot(s, w * 64 + (uint32_t)__builtin_ctzll(~bits));
        if (bits != before)
            set_alloc_bits(s, w, bits);
    }
    s->alloc_count += taken;
    for (uint32_t i = taken; i-- > 0;) {
        *malloc_mark_of(slots[i]) = malloc_mark;
        r->slots[r->count++] = slots[i];
    }
}

bool
malloc_fill(struct malloc_heap *h, unsigned row)
{
    struct malloc_row *r = &h->rows[row];
    uint32_t wanted = r->fill;
    r->fill = (uint16_t)size_min(2 * wanted, (r->capacity + 1) / 2);
    take_back(h);
    while (r->count < wanted) {
        struct span *s = r->count == 0 ? find_span(h, row) : first_of(&h->partial[row]);
        if (s == NULL)
            return r->count > 0;
        take_slots(r, s, wanted - r->count);
        refile_taken(h, s);
    }
    return true;
}

uintptr_t
malloc_take_exact(struct malloc_heap *h, unsigned row)
{
    struct malloc_row one = {.capacity = 1};
    take_back(h);
    struct span *s = find_own(h, row);
    if (s == NULL)
        s = make_span(h, row);
    if (s == NULL)
        return 0;
    take_slots(&one, s, 1);
    refile_taken(h, s);
    return (uintptr_t)malloc_take(&one);
}

static void
return_slot(struct malloc_heap *h, uintptr_t p)
{
    struct span *s = pageheap_span_of(p);
    uint32_t index = span_index(s, p);
    *malloc_mark_of(p) = 0;
    set_alloc_bits(s, index / 64, alloc_bits(s, index / 64) & ~(UINT64_C(1) << index % 64));
    s->alloc_count--;
    if (s->filed != FILED_PARTIAL || s->alloc_count == 0)
        refile(h, s);
}

/* The oldest ones go. */
static void
spill(struct malloc_heap *h, struct malloc_row *r, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        return_slot(h, r->slots[i]);
    for (uint32_t i = n; i < r->count; i++)
        r->slots[i - n] = r->slots[i];
    r->count -= n;
}

/* A row's only span with free slots is not told from its magazine: what is freed and taken in turns
   stays there. */
void
malloc_put_slowly(struct malloc_heap *h, struct span *s, uintptr_t p)
{
    struct malloc_row *r = &h->rows[s->class];
    if (malloc_is_sparse(s) && s != first_of(&h->partial[s->class])) {
        return_slot(h, p);
        return;
    }
    if (r->count == r->capacity) {
        take_back(h);
        spill(h, r, (r->count + 1) / 2);
    }
    *malloc_mark_of(p) = malloc_mark;
    r->slots[r->count++] = p;
}

/* ---- A wrong pointer ---- */

void
malloc_bad_pointer(const struct span *s, uintptr_t p)
{
    if (s == NULL)
        sh_fatal("malloc: %p was not allocated, or was freed before", (void *)p);
    uintptr_t start = span_slot(s, span_index(s, p));
    if (start != p)
        sh_fatal("malloc: %p lies inside an object that begins at %p", (void *)p, (void *)start);
    sh_fatal("malloc: %p was freed before, or was never allocated", (void *)p);
}

/* ---- Freeing another's ---- */

/*
 * Enters the span in its heap's list, if it is not there. Its slot is free already, so the span may
 * be another's by now; then it is entered there, which does no harm. As it is about to be entered,
 * nobody gives it back (release_span), and its owner stays.
 */
static void
tell_owner(struct span *s)
{
    struct span *none = NULL;
    if (atomic_load(&s->foreign_next) != NULL ||
        !atomic_compare_exchange_strong(&s->foreign_next, &none, LAST))
        return;
    struct malloc_heap *h = s->layout.owner;
    struct span *first = atomic_load(&h->foreign);
    do
        atomic_store(&s->foreign_next, first == NULL ? LAST : first);
    while (!atomic_compare_exchange_weak(&h->foreign, &first, s));
    if (unlikely(atomic_load(&h->state) != HEAP_USED))
        malloc_help(h);
}

void
malloc_free_foreign(struct span *s, uintptr_t p)
{
    uint32_t index = malloc_check(s, p);
    uint64_t bit = UINT64_C(1) << index % 64;
    if (unlikely(__atomic_fetch_or(&s->bits[index / 64].freed, bit, __ATOMIC_SEQ_CST) & bit))
        malloc_bad_pointer(s, p);
    tell_owner(s);
}

/* Returns how many slots have come free. */
static uint32_t
reclaim(struct span *s)
{
    uint32_t n = 0;
    for (uint32_t w = 0; w < span_bit_words(s->nelems); w++) {
        if (__atomic_load_n(&s->bits[w].freed, __ATOMIC_SEQ_CST) == 0)
            continue;
        uint64_t freed = __atomic_exchange_n(&s->bits[w].freed, 0, __ATOMIC_SEQ_CST);
        uint64_t taken = alloc_bits(s, w), wrong = freed & ~taken;
        if (unlikely(wrong != 0))
            malloc_bad_pointer(s, span_slot(s, w * 64 + (uint32_t)__builtin_ctzll(wrong)));
        set_alloc_bits(s, w, taken & ~freed);
        n += count_bits(freed);
    }
    s->alloc_count -= n;
    return n;
}

/* Takes back what others have freed. */
static void
drain(struct malloc_heap *h)
{
    struct span *s = atomic_exchange(&h->foreign, NULL), *next;
    for (; s != NULL && s != LAST; s = next) {
        next = atomic_exchange(&s->foreign_next, NULL);
        bool changed = reclaim(s) > 0 || s->alloc_count == 0;
        if (changed && s->filed != FILED_EMPTY)
            refile(h, s);
    }
}

/* ---- A heap without a thread ---- */

void
malloc_flush(struct malloc_heap *h)
{
    drain(h);
    for (unsigned row = 0; row < MALLOC_ROWS; row++)
        spill(h, &h->rows[row], h->rows[row].count);
    release_empty(h, 0);
}

/*
 * Its thread may have been anywhere when the process was forked. What its magazines held
 * is lost. Spans that others make meanwhile are not this heap's.
 */
static void
mend_span(struct malloc_heap *h, struct span *s)
{
    uint32_t words = span_bit_words(s->nelems);
    s->next = s->prev = NULL;
    s->list = NULL;
    s->filed = FILED_FULL;
    atomic_store(&s->foreign_next, NULL);
    s->alloc_count = 0;
    for (uint32_t w = 0; w < words; w++)
        s->alloc_count += count_bits(alloc_bits(s, w)) - (64 - slots_in_word(s, w));
    reclaim(s);
    h->pages += s->npages;
    if (s->alloc_count < s->nelems)
        refile(h, s);
}

static bool
has_freed_slots(const struct span *s)
{
    for (uint32_t w = 0; w < span_bit_words(s->nelems); w++)
        if (__atomic_load_n(&s->bits[w].freed, __ATOMIC_RELAXED) != 0)
            return true;
    return false;
}

/* Whoever freed in it may have been anywhere between the slot's bit and the list. */
static void
relist_foreign(struct malloc_heap *h, struct span *s)
{
    struct span *next = atomic_load(&s->foreign_next), *first = atomic_load(&h->foreign);
    if (next == GONE || (next == NULL && !has_freed_slots(s)))
        return;
    atomic_store(&s->foreign_next, first == NULL ? LAST : first);
    atomic_store(&h->foreign, s);
}

/* The spans of a heap, or of all heaps (NULL). Page by page: another thread may have been about to
   free a large span, or to make it longer, when the process was forked. */
static void
each_own_span(const struct malloc_heap *h, void (*visit)(struct malloc_heap *h, struct span *s))
{
    size_t npages = atomic_load(&pageheap.used_b) / PAGE_B;
    for (size_t page = 0; page < npages; page++) {
        struct span *s = atomic_load(&pageheap.page_span[page]);
        if (s == NULL || s->base != pageheap.base + page * PAGE_B || s->layout.owner == NULL)
            continue;
        if (h == NULL || s->layout.owner == h)
            visit(s->layout.owner, s);
    }
}

void
malloc_relist_foreign(void)
{
    each_own_span(NULL, relist_foreign);
}

void
malloc_mend(struct malloc_heap *h)
{
    for (unsigned row = 0; row < MALLOC_ROWS; row++) {
        h->rows[row].count = 0;
        h->partial[row] = h->empty[row] = (struct span_list){.count = 0};
    }
    h->pages = h->empty_pages = 0;
    atomic_store(&h->foreign, NULL);
    each_own_span(h, mend_span);
}
