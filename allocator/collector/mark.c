/*
 * A marker owns a region (regions.h) while it marks there, and goes through its grey objects from
 * the last one found; what it finds elsewhere it sends. A region without work is left, preferably
 * for one that there are words for.
 *
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

#include "collector/markers.h"
#include "collector/outgoing.h"
#include "collector/parked.h"
#include "collector/zombie.h"
#include "heap/pageheap.h"
#include "heap/watch.h"

#include <string.h>

#define PIECE_B ((size_t)32 << 10) /* larger objects are scanned in pieces of this size */
#define SHARE_EVERY 64             /* objects scanned between two looks at hungry markers */
#define NEIGHBOURS_MAX 128         /* that wait at a time */
/* After so many objects without pointers in a row the next is taken for one, too, and not fetched:
   the cache misses of objects that nobody touches are most of what they would cost. */
#define DATA_RUN 32

void
mark_init(struct marker *m)
{
    m->region = m->last_region = NO_REGION;
    m->first = m->waiting = 0;
    m->spare = NULL;
    m->out_set = 0;
    m->data_run = 0;
    m->marked_b = m->scanned_b = m->stacks_b = m->read_b = 0;
}

bool
mark_any_work(void)
{
    return workbuf_any_full() || regions_any();
}

/* ---- Exact words ---- */

/* The address just past an object's end is no zombie: a C program may keep it. Where no object
   begins there it keeps the one that it ends, so that it stays good. False: it ends none. */
static bool
keep_by_end(struct marker *m, uintptr_t address)
{
    const struct span *s = pageheap_span_of(address - 1);
    if (s == NULL)
        return false;
    uint32_t index = span_index(s, address - 1);
    if (!span_is_allocated(s, index) || span_slot(s, index) + s->elem_b != address)
        return false;
    outgoing_add(m, region_of(s->base), address - 1, NULL);
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
    if (watch_read(c->slot) != c->address || keep_by_end(m, c->address))
        return;
    zombie_found(c->slot, c->address);
}

/* ---- The ring ---- */

/* An object of the marker's region that was found. */
static inline void
mark_slot(struct marker *m, struct span *s, uint32_t index)
{
    if (!span_mark(s, index))
        return;
    m->marked_b += s->elem_b;
    if (kind_is_scannable(s->kind)) {
        m->data_run = 0;
        region_push(&regions.all[m->region], span_slot(s, index));
    } else {
        m->data_run++;
    }
}

static inline void
settle(struct marker *m, const struct candidate *c)
{
    struct span *s = c->span;
    uint32_t index = s == NULL ? 0 : span_index(s, c->address);
    if (unlikely(s == NULL || !span_is_allocated(s, index))) {
        if (c->slot != NULL)
            mark_exact_slow(m, s, index, c);
    } else if (likely(region_of(s->base) == m->region)) {
        mark_slot(m, s, index);
    } else {
        outgoing_add(m, region_of(s->base), c->address, c->slot);
    }
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
prepare(const struct marker *m, const struct candidate *c)
{
    const struct span *s = c->span;
    if (unlikely(s == NULL))
        return;
    __builtin_prefetch(&s->bits[span_index(s, c->address) / 64], 1);
    if (!kind_is_scannable(s->kind))
        return;
    if (m->data_run >= DATA_RUN)
        __builtin_prefetch((const void *)c->address);
    if (s->elem_b > CACHE_LINE_B)
        __builtin_prefetch((const void *)(c->address + CACHE_LINE_B));
}

/* A word that was found in the marker's region, or was sent there. */
static inline void
look_at(struct marker *m, uintptr_t address, const uintptr_t *slot)
{
    struct span *s = pageheap_span_of(address);
    __builtin_prefetch(s);
    if (likely(m->data_run < DATA_RUN))
        __builtin_prefetch((const void *)address);
    if (m->waiting == MARK_AHEAD)
        settle_oldest(m);
    if (m->waiting >= MARK_AHEAD / 2)
        prepare(m, &m->ahead[(m->first + m->waiting - MARK_AHEAD / 2) % MARK_AHEAD]);
    m->ahead[(m->first + m->waiting++) % MARK_AHEAD] = (struct candidate){address, s, slot};
}

/* A word inside the heap's range. */
static __attribute__((noinline)) void
consider(struct marker *m, uintptr_t address, const uintptr_t *slot)
{
    uint32_t region = region_of(address);
    if (region == m->region)
        look_at(m, address, slot);
    else
        outgoing_add(m, region, address, slot);
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
    uintptr_t word = watch_read(slot);
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
   marker is long at it: the first piece hands the others to all. */
static void
scan_large(struct marker *m, const struct span *s, uintptr_t start)
{
    uintptr_t end = s->base + s->elem_b;
    if (start == s->base && end - start > PIECE_B) {
        struct workbuf *pieces = NULL;
        for (uintptr_t piece = start + PIECE_B; piece < end; piece += PIECE_B)
            workbuf_append(&pieces, WORK_SCAN, piece);
        workbuf_close(&pieces);
    }
    if (end - start > PIECE_B)
        end = start + PIECE_B;
    m->scanned_b += end - start;
    if (s->kind == KIND_UNTYPED)
        scan_untyped(m, start, end);
    else
        scan_elements(m, s, s->layout.type, s->base, start, end);
}

/*
 * Small objects. What was built together often lies in one span: such a neighbour needs no way
 * through the ring, as its span is at hand, and is scanned next, with all that it leads to in the
 * span. Only in the marker's own region; elsewhere the span counts as empty.
 */
struct neighbours {
    struct marker *m;
    struct span *s;
    struct heap_range heap;
    uintptr_t base;
    size_t span_b, elem_b;
    uint64_t marked, scanned; /* objects */
    bool typed;
    uint32_t first, n;
    uint16_t grey[NEIGHBOURS_MAX]; /* a ring */
};

static inline void
prefetch_object(uintptr_t object, size_t elem_b)
{
    __builtin_prefetch((const void *)object);
    if (elem_b > CACHE_LINE_B)
        __builtin_prefetch((const void *)(object + CACHE_LINE_B));
}

static inline void
follow(struct neighbours *near, uintptr_t word, const uintptr_t *slot)
{
    if (word - near->base >= near->span_b) {
        consider(near->m, word, slot);
        return;
    }
    uint32_t index = span_index(near->s, word);
    if (unlikely(!span_is_allocated(near->s, index))) {
        struct candidate c = {word, near->s, slot};
        if (slot != NULL)
            mark_exact_slow(near->m, near->s, index, &c);
        return;
    }
    if (!span_mark(near->s, index))
        return;
    near->marked++;
    uintptr_t object = near->base + index * near->elem_b;
    prefetch_object(object, near->elem_b);
    if (likely(near->n < NEIGHBOURS_MAX))
        near->grey[(near->first + near->n++) % NEIGHBOURS_MAX] = (uint16_t)index;
    else
        region_push(&regions.all[near->m->region], object);
}

static inline void
scan_neighbour_slot(struct neighbours *near, uintptr_t at, bool exact)
{
    const uintptr_t *slot = (const uintptr_t *)at;
    uintptr_t word = watch_read(slot);
    if (word - near->heap.base < near->heap.used_b)
        follow(near, word, exact ? slot : NULL);
}

static inline __attribute__((always_inline)) void
scan_neighbour(struct neighbours *near, uint32_t index)
{
    uintptr_t object = near->base + index * near->elem_b;
    near->scanned++;
    if (!near->typed) {
        for (uintptr_t at = object; at < object + near->elem_b; at += WORD_B)
            scan_neighbour_slot(near, at, false);
        return;
    }
    for (uint64_t bits = span_pointer_mask(near->s, index); bits != 0; bits &= bits - 1)
        scan_neighbour_slot(near, object + (size_t)__builtin_ctzll(bits) * WORD_B, true);
}

static void
scan_small(struct marker *m, struct span *s, uintptr_t object)
{
    struct neighbours near;
    near.m = m;
    near.s = s;
    near.heap = heap_range();
    near.base = s->base;
    near.elem_b = s->elem_b;
    near.span_b = region_of(s->base) == m->region ? s->nelems * s->elem_b : 0;
    near.typed = s->kind == KIND_TYPED;
    near.marked = near.scanned = 0;
    near.first = 0;
    near.n = 1;
    near.grey[0] = (uint16_t)span_index(s, object);
    while (near.n > 0) {
        near.n--;
        scan_neighbour(&near, near.grey[near.first++ % NEIGHBOURS_MAX]);
    }
    m->marked_b += near.marked * near.elem_b;
    m->scanned_b += near.scanned * near.elem_b;
}

static inline void
scan_object(struct marker *m, uintptr_t object)
{
    struct span *s = pageheap_span_of(object);
    if (unlikely(!kind_is_scannable(s->kind)))
        return;
    if (unlikely(s->class == 0)) {
        scan_large(m, s, object);
        return;
    }
    if (likely(s->elem_b <= BITMAP_MAX_B)) {
        scan_small(m, s, object);
        return;
    }
    m->scanned_b += s->elem_b;
    if (s->kind == KIND_UNTYPED)
        scan_untyped(m, object, object + s->elem_b);
    else
        scan_elements(m, s, s->layout.types[span_index(s, object)], object, object,
                      object + s->elem_b);
}

/* ---- Draining ---- */

static void
give_back(struct marker *m, struct workbuf *b)
{
    b->n = 0;
    if (m->spare == NULL)
        m->spare = b;
    else
        workbuf_put(b);
}

static void
read_found(struct marker *m, struct workbuf *b)
{
    for (uint32_t i = 0; i < b->n; i += 2)
        look_at(m, b->words[i], (const uintptr_t *)b->words[i + 1]);
    m->read_b += b->n / 2 * WORD_B;
    give_back(m, b);
}

static inline void
consider_any(struct marker *m, uintptr_t word)
{
    struct heap_range heap = heap_range();
    if (word - heap.base < heap.used_b)
        consider(m, word, NULL);
}

/* The object that ends at a word of a stack or register, if that keeps it. */
static inline void
consider_end(struct marker *m, uintptr_t word)
{
    if (pageheap_end_keeps(word))
        consider(m, word - 1, NULL);
}

/* One piece of a large object; the others go back at once, for whoever comes first. */
static void
scan_piece(struct marker *m, struct workbuf *b)
{
    uintptr_t piece = b->words[--b->n];
    workbuf_put(b);
    scan_object(m, piece);
}

__attribute__((no_sanitize_address, no_sanitize_thread)) static void
consider_frames(void *marker, uintptr_t start, uintptr_t end)
{
    struct marker *m = marker;
    struct heap_range heap = heap_range();
    for (uintptr_t at = start; at + WORD_B <= end; at += WORD_B) {
        uintptr_t word = *(const volatile uintptr_t *)at;
        if (likely(word - heap.base > heap.used_b))
            continue;
        consider_any(m, word);
        consider_end(m, word);
    }
}

/* One share of the parked stacks; the others go back at once. */
static void
scan_parked(struct marker *m, struct workbuf *b)
{
    uintptr_t share = b->words[0]++;
    if (b->words[0] == b->words[1])
        b->n = 0;
    workbuf_put(b);
    m->stacks_b += parked_scan(share, false, consider_frames, m);
}

/* Roots, and what the barriers have recorded. */
static void
read_words(struct marker *m, struct workbuf *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        consider_any(m, b->words[i]);
        if (b->kind == WORK_FRAMES)
            consider_end(m, b->words[i]);
    }
    give_back(m, b);
}

static void
leave_region(struct marker *m)
{
    if (m->region != NO_REGION) {
        regions_leave(m->region);
        m->last_region = m->region;
    }
    m->region = NO_REGION;
}

/* One of the regions that the marker has words for. */
static bool
follow_own_words(struct marker *m)
{
    for (uint64_t set = m->out_set; set != 0; set &= set - 1) {
        uint32_t region = (uint32_t)__builtin_ctzll(set);
        if (!regions_take(region))
            continue;
        m->region = region;
        m->out_set &= ~(UINT64_C(1) << region);
        read_found(m, m->out[region]);
        return true;
    }
    return false;
}

/* More work. False: there is none, and the marker holds nothing. */
static bool
find_work(struct marker *m)
{
    struct workbuf *b;
    if (m->region != NO_REGION) {
        b = regions_receive(m->region);
        if (b != NULL) {
            read_found(m, b);
            return true;
        }
        leave_region(m);
    }
    if (follow_own_words(m))
        return true;
    m->region = regions_take_ready(m->last_region);
    if (m->region != NO_REGION)
        return true;
    b = workbuf_take_full();
    if (b != NULL) {
        if (b->kind == WORK_SCAN)
            scan_piece(m, b);
        else if (b->kind == WORK_PARKED)
            scan_parked(m, b);
        else
            read_words(m, b);
        return true;
    }
    if (m->out_set == 0)
        return false;
    outgoing_send_all(m);
    return true;
}

/* Others wait for work: the words that were found for other regions are some. Not if they are all
   for one: a single list would only change hands. */
static __attribute__((noinline)) void
share(struct marker *m)
{
    if (!mark_any_work() && (m->out_set & (m->out_set - 1)) != 0)
        outgoing_send_all(m);
    if (mark_any_work())
        markers_wake();
}

static inline uint64_t
drained_b(const struct marker *m)
{
    return m->scanned_b + m->stacks_b + m->read_b;
}

static bool
drain(struct marker *m, uint64_t work_b)
{
    uint64_t done_b = drained_b(m);
    uint32_t scanned = 0;
    while (drained_b(m) - done_b < work_b) {
        uintptr_t object;
        if (m->region != NO_REGION && region_pop(&regions.all[m->region], &object)) {
            scan_object(m, object);
            if (++scanned % SHARE_EVERY == 0 &&
                unlikely(atomic_load_explicit(&markers_hungry, memory_order_relaxed)))
                share(m);
        } else if (m->waiting > 0) {
            settle_oldest(m);
        } else if (!find_work(m)) {
            mark_flush(m);
            return true;
        }
    }
    return false;
}

bool
mark_drain(struct marker *m, uint64_t work_b)
{
    watch_blind();
    bool done = drain(m, work_b);
    watch_see();
    return done;
}

void
mark_flush(struct marker *m)
{
    watch_blind();
    while (m->waiting > 0)
        settle_oldest(m);
    watch_see();
    leave_region(m);
    outgoing_send_all(m);
    if (m->spare != NULL)
        workbuf_put(m->spare);
    m->spare = NULL;
    /* An assist's marker lies on a stack that is scanned. What it leaves there would keep objects
       alive as soon as a function with unset variables lies over it. */
    explicit_bzero(m->ahead, sizeof m->ahead);
}
