/*
 * Two kinds of words lead to objects.
 *   Conservative (roots, untyped objects, what the barrier recorded): may be a pointer. One that
 * hits no object, a free slot or one not yet published is ignored.
 *   Exact (typed objects): is a pointer, or points outside the heap. One that hits a free slot is a
 * zombie: the object was freed while somebody held it, by sh_free or by a fault in the collector.
 * The heap is then no longer what the program believes, so the program ends here.
 *
 * A word that is found waits in a short ring while its span and its object are fetched from memory:
 * a marker that followed each pointer at once would spend its time waiting for one cache miss after
 * the other. Source: Cher, Hosking, Vitek, "Software prefetching for mark-sweep garbage
 * collection", 2004.
 */
#include "collector/mark.h"

#include "heap/pageheap.h"

#define PIECE_B ((size_t)32 << 10) /* larger objects are scanned in pieces of this size */
#define SHARE_EVERY 64             /* objects scanned between two looks at hungry markers */

_Atomic uint32_t mark_hungry SH_STATE;

static inline void
mark_slot(struct marker *m, struct span *s, uint32_t index)
{
    if (!span_mark(s, index))
        return;
    m->marked_b += s->elem_b;
    if (kind_is_scannable(s->kind))
        workqueue_push(&m->queue, span_slot(s, index));
}

void
mark_address(struct marker *m, uintptr_t address)
{
    struct span *s = pageheap_span_of(address);
    if (s == NULL)
        return;
    uint32_t index = span_index(s, address);
    if (span_is_allocated(s, index))
        mark_slot(m, s, index);
}

/* ---- Exact words ---- */

static _Noreturn __attribute__((cold)) void
die_of_zombie(const uintptr_t *slot, uintptr_t address)
{
    const struct span *s = pageheap_span_of((uintptr_t)slot);
    uintptr_t holder = span_slot(s, span_index(s, (uintptr_t)slot));
    sh_fatal(
        "the typed object at %p points, at offset %zu, to %p, which is free: freed while in use",
        (void *)holder, (size_t)((uintptr_t)slot - holder), (void *)address);
}

/* The address just past an object's end is no zombie: a C program may keep it. Where no object
   begins there it keeps the one that it ends, so that it stays good. False: it ends none. */
static bool
mark_by_end(struct marker *m, uintptr_t address)
{
    struct span *s = pageheap_span_of(address - 1);
    if (s == NULL)
        return false;
    uint32_t index = span_index(s, address - 1);
    if (!span_is_allocated(s, index) || span_slot(s, index) + s->elem_b != address)
        return false;
    mark_slot(m, s, index);
    return true;
}

/*
 * The program runs meanwhile. What sh_free frees while marking was marked before (hook_mark_freed),
 * so an unmarked free slot was free before; and if the holder has let go of it since, it was not
 * wrong to free it.
 */
static __attribute__((noinline)) void
mark_exact_slow(struct marker *m, struct span *s, uint32_t index, const struct candidate *c)
{
    if (s != NULL && index < s->nelems && span_is_marked(s, index))
        return;
    if (__atomic_load_n(c->slot, __ATOMIC_RELAXED) != c->address || mark_by_end(m, c->address))
        return;
    die_of_zombie(c->slot, c->address);
}

/* ---- The ring ---- */

static inline void
settle(struct marker *m, const struct candidate *c)
{
    struct span *s = c->span;
    uint32_t index = s == NULL ? 0 : span_index(s, c->address);
    if (likely(s != NULL && span_is_allocated(s, index)))
        mark_slot(m, s, index);
    else if (c->slot != NULL)
        mark_exact_slow(m, s, index, c);
}

static inline void
settle_oldest(struct marker *m)
{
    struct candidate c = m->ahead[m->first];
    m->first = (m->first + 1) % MARK_AHEAD;
    m->waiting--;
    settle(m, &c);
}

/* Half-way through the ring: the span has arrived, and says where the mark lies. */
static inline void
prepare(const struct candidate *c)
{
    const struct span *s = c->span;
    if (unlikely(s == NULL))
        return;
    __builtin_prefetch(&s->mark_bits[span_index(s, c->address) / 64], 1);
    if (s->elem_b > CACHE_LINE_B && kind_is_scannable(s->kind))
        __builtin_prefetch((const void *)(c->address + CACHE_LINE_B));
}

/* A word inside the heap's range. */
static inline void
consider(struct marker *m, uintptr_t address, const uintptr_t *slot)
{
    struct span *s = pageheap_span_of(address);
    __builtin_prefetch(s);
    __builtin_prefetch((const void *)address);
    if (m->waiting == MARK_AHEAD)
        settle_oldest(m);
    if (m->waiting >= MARK_AHEAD / 2)
        prepare(&m->ahead[(m->first + m->waiting - MARK_AHEAD / 2) % MARK_AHEAD]);
    m->ahead[(m->first + m->waiting++) % MARK_AHEAD] = (struct candidate){address, s, slot};
}

/* ---- Scanning ---- */

struct heap_range {
    uintptr_t base;
    size_t used_b;
};

static inline struct heap_range
heap_range(void)
{
    return (struct heap_range){pageheap.base,
                               atomic_load_explicit(&pageheap.used_b, memory_order_relaxed)};
}

static inline void
scan_slot(struct marker *m, struct heap_range heap, uintptr_t at, bool exact)
{
    const uintptr_t *slot = (const uintptr_t *)at;
    uintptr_t word = __atomic_load_n(slot, __ATOMIC_RELAXED);
    if (word - heap.base < heap.used_b)
        consider(m, word, exact ? slot : NULL);
}

static void
scan_untyped(struct marker *m, uintptr_t start, uintptr_t end)
{
    struct heap_range heap = heap_range();
    for (uintptr_t at = start; at < end; at += WORD_B)
        scan_slot(m, heap, at, false);
}

/* Small typed object: its words' bits lie in the span's bitmap. At most 64. */
static inline void
scan_bitmap(struct marker *m, const struct span *s, uintptr_t object)
{
    struct heap_range heap = heap_range();
    size_t words = s->elem_b / WORD_B, offset = (object - s->base) / WORD_B;
    unsigned shift = offset % 64;
    const uint64_t *word = &s->layout.pointer_bits[offset / 64];
    uint64_t bits = __atomic_load_n(&word[0], __ATOMIC_RELAXED) >> shift;
    if (shift + words > 64)
        bits |= __atomic_load_n(&word[1], __ATOMIC_RELAXED) << (64 - shift);
    if (words < 64)
        bits &= (UINT64_C(1) << words) - 1;
    for (; bits != 0; bits &= bits - 1)
        scan_slot(m, heap, object + (size_t)__builtin_ctzll(bits) * WORD_B, true);
}

/* One element's words that lie in [start, end). */
static void
scan_element(struct marker *m, const struct sh_type *type, uintptr_t element, uintptr_t start,
             uintptr_t end)
{
    struct heap_range heap = heap_range();
    size_t words = type->size / WORD_B;
    for (size_t first = 0; first < words; first += 64) {
        uint64_t bits = type->pointer_mask[first / 64];
        if (words - first < 64)
            bits &= (UINT64_C(1) << (words - first)) - 1;
        for (; bits != 0; bits &= bits - 1) {
            uintptr_t at = element + (first + (size_t)__builtin_ctzll(bits)) * WORD_B;
            if (at >= start && at < end)
                scan_slot(m, heap, at, true);
        }
    }
}

/* Large typed object, or a piece of it: the descriptor's mask, for each whole element. */
static void
scan_elements(struct marker *m, const struct span *s, const struct sh_type *type, uintptr_t object,
              uintptr_t start, uintptr_t end)
{
    uintptr_t element = object + (start - object) / type->size * type->size;
    for (; element < end && element + type->size <= object + s->elem_b; element += type->size)
        scan_element(m, type, element, start, end);
}

/* Objects beyond PIECE_B are scanned piece by piece, so that several markers can share one and no
   marker is long at it: the first piece puts the others into the queue. */
static void
scan_large(struct marker *m, const struct span *s, uintptr_t start)
{
    uintptr_t end = s->base + s->elem_b;
    if (start == s->base)
        for (uintptr_t piece = start + PIECE_B; piece < end; piece += PIECE_B)
            workqueue_push(&m->queue, piece);
    if (end - start > PIECE_B)
        end = start + PIECE_B;
    m->scanned_b += end - start;
    if (s->kind == KIND_UNTYPED)
        scan_untyped(m, start, end);
    else
        scan_elements(m, s, s->layout.type, s->base, start, end);
}

static inline void
scan_object(struct marker *m, uintptr_t object)
{
    const struct span *s = pageheap_span_of(object);
    if (unlikely(!kind_is_scannable(s->kind)))
        return;
    if (unlikely(s->class == 0)) {
        scan_large(m, s, object);
        return;
    }
    m->scanned_b += s->elem_b;
    if (s->kind == KIND_UNTYPED)
        scan_untyped(m, object, object + s->elem_b);
    else if (likely(s->elem_b <= BITMAP_MAX_B))
        scan_bitmap(m, s, object);
    else
        scan_elements(m, s, s->layout.types[span_index(s, object)], object, object,
                      object + s->elem_b);
}

/* ---- Draining ---- */

/* A buffer of another kind than WORK_GREY. */
static void
mark_words(struct marker *m, const struct workbuf *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        if (b->kind == WORK_SCAN) {
            scan_object(m, b->words[i]);
            continue;
        }
        mark_address(m, b->words[i]);
        if (b->kind == WORK_FRAMES)
            mark_address(m, b->words[i] - 1);
    }
}

/* More work from the global lists. False: there is none. */
static bool
fetch_work(struct marker *m)
{
    struct workbuf *b = workbuf_take_full();
    if (b == NULL)
        return false;
    if (b->kind == WORK_GREY) {
        workqueue_adopt(&m->queue, b);
        return true;
    }
    mark_words(m, b);
    b->n = 0;
    workbuf_put(b);
    return true;
}

bool
mark_drain(struct marker *m, uint64_t work_b)
{
    uint64_t limit = work_b > UINT64_MAX - m->scanned_b ? UINT64_MAX : m->scanned_b + work_b;
    uint32_t scanned = 0;
    while (m->scanned_b < limit) {
        uintptr_t object;
        if (workqueue_pop(&m->queue, &object)) {
            scan_object(m, object);
            if (++scanned % SHARE_EVERY == 0 &&
                unlikely(atomic_load_explicit(&mark_hungry, memory_order_relaxed)) &&
                !workbuf_any_full())
                workqueue_share(&m->queue);
        } else if (m->waiting > 0) {
            settle_oldest(m);
        } else if (!fetch_work(m)) {
            workqueue_flush(&m->queue);
            return true;
        }
    }
    return false;
}

void
mark_flush(struct marker *m)
{
    while (m->waiting > 0)
        settle_oldest(m);
    workqueue_flush(&m->queue);
}
