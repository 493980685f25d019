/*
 * Allocation. Three ways, by size:
 *   tiny   under 16 bytes without pointers: the rest of the thread's current 16-byte block;
 *   small  up to 32 KiB: the next free slot of the thread's cached span, found by counting trailing
 *          zeros in its alloc_cache; when the span is used up, cache_refill() fetches another;
 *   large  whole pages in a span of their own, from the page heap.
 * The order in the small path matters: take the slot, note its type, zero it, and only then publish
 * it by moving free_index. Nothing can stop the thread in between (cache_enter).
 *
 * A thread without a cache_fast takes the longer way of each, alloc_charged(): its first object,
 * all while a heap profile is kept, and all in a watched heap (watch.h).
 */
#include "heap/alloc.h"

#include "heap/central.h"
#include "heap/watch.h"

#include <errno.h>
#include <string.h>

#define INLINE_ZERO_MAX_B 256

static const uint64_t zero_object[2] __attribute__((aligned(16)));

/* A slot is a multiple of 8 bytes. The empty asm keeps the loop from becoming a call of memset. */
static inline void
zero_slot_inline(uintptr_t p, size_t size)
{
    typedef uint64_t pair __attribute__((vector_size(16), aligned(8), may_alias));
    typedef uint64_t word __attribute__((may_alias));
    size_t at = 0;
    for (; at + 16 <= size; at += 16) {
        *(pair *)(p + at) = (pair){0, 0};
        __asm__ volatile("" : : : "memory");
    }
    if (at < size)
        *(word *)(p + at) = 0;
}

static inline void
zero_slot(uintptr_t p, size_t size)
{
    if (size > INLINE_ZERO_MAX_B)
        memset((void *)p, 0, size);
    else
        zero_slot_inline(p, size);
}

/* What is made at once. */
enum shape { ONE_OBJECT, AN_ARRAY };
/* A constant where it is used. */
enum watching { UNWATCHED, WATCHED };

static inline bool
is_plain(const struct sh_type *type)
{
    return (type->flags & SH_TYPE_PLAIN) != 0;
}

/* The next free slot of a row, zeroed, published. 0: no memory. Depth is held. */
static inline uintptr_t
take_slot(struct cache *c, unsigned row, const struct sh_type *type, enum shape shape,
          enum watching watching)
{
    struct span *s = c->spans[row];
    if (unlikely(s->alloc_cache == 0)) {
        if (!cache_refill(c, row))
            return 0;
        s = c->spans[row];
    }
    uint32_t index = s->cache_base + (uint32_t)__builtin_ctzll(s->alloc_cache);
    s->alloc_cache &= s->alloc_cache - 1;
    s->alloc_count++;
    if (type != NULL && unlikely(!span_set_type(s, index, type))) {
        s->alloc_cache |= UINT64_C(1) << (index - s->cache_base);
        s->alloc_count--;
        return 0;
    }
    if (type != NULL && !(shape == ONE_OBJECT && is_plain(type)))
        atomic_store_explicit(&s->end_keeps, 1, memory_order_relaxed);
    uintptr_t p = span_slot(s, index);
    if (watching == WATCHED)
        watch_slot_taken(s, index);
    if (s->needzero)
        zero_slot(p, s->elem_b);
    atomic_store_explicit(&s->free_index, index + 1, memory_order_release);
    publish(); /* before the object's address is stored anywhere */
    return p;
}

/* Objects are aligned to the largest power of two up to 8 that divides their size. */
static uint32_t
tiny_align(uint32_t offset, size_t size)
{
    uint32_t mask = (size & 7) == 0 ? 7 : (size & 3) == 0 ? 3 : (size & 1) == 0 ? 1 : 0;
    return (offset + mask) & ~mask;
}

static uintptr_t
alloc_tiny(struct cache *c, size_t size, enum watching watching)
{
    uint32_t offset = tiny_align(c->tiny_used, size);
    if (c->tiny != 0 && offset + size <= TINY_MAX_B) {
        c->tiny_used = offset + (uint32_t)size;
        c->counts.tiny_allocs++;
        return c->tiny + offset;
    }
    uintptr_t block = take_slot(c, TINY_ROW, NULL, AN_ARRAY, watching);
    if (block != 0 && (c->tiny == 0 || size < c->tiny_used)) { /* keep the emptier of the two */
        c->tiny = block;
        c->tiny_used = (uint32_t)size;
    }
    return block;
}

/* Pages and a span for one large object. NULL: no memory. Inside the slow section. */
static struct span *
make_large(struct cache *c, size_t npages, enum span_kind kind)
{
    bool needzero = true;
    hook_reclaim_pages(c, npages);
    uintptr_t base = pageheap_take_pages(npages, &needzero);
    if (base == 0)
        return NULL;
    hook_pages_taken(c);
    if (unlikely(
            heap_watch.on)) /* what reads as zero may have been closed before it was released */
        watch_open(base, npages * PAGE_B);
    if (needzero)
        hook_zero_pages((void *)base, npages * PAGE_B);
    struct span *s = pageheap_make_span(base, npages, 0, kind, false);
    if (s == NULL)
        pageheap_return_pages(base, npages);
    return s;
}

static uintptr_t
alloc_large(struct cache *c, size_t size, enum span_kind kind, const struct sh_type *type,
            uint32_t site)
{
    size_t bytes = SIZE_MAX - size < heap_watch.guard_b
                       ? SIZE_MAX
                       : sizeclass_round(size + heap_watch.guard_b);
    if (bytes > pageheap.reserved_b)
        return 0;
    uint32_t cycles = hook_trigger(bytes);
    hook_pay(c);
    cache_slow_enter(c);
    struct span *s = make_large(c, bytes / PAGE_B, kind);
    if (s != NULL) {
        s->layout.type = type;
        s->alloc_cache = 0;
        s->alloc_count = s->alloc_count_cached = 1;
        if (atomic_load_explicit(&span_allocate_black, memory_order_relaxed))
            span_mark_born(s, 0);
        if (unlikely(heap_watch.on))
            watch_slot_made(s, 0, size, site);
        atomic_store_explicit(&s->free_index, 1, memory_order_release);
        c->counts.mallocs[0]++;
        c->counts.large_alloc_b += bytes;
        atomic_fetch_add(&heap_size.live_b, bytes);
        if (kind_is_scannable(kind))
            atomic_fetch_add(&heap_size.scannable_b, bytes);
        c->unpaid_b += (int64_t)bytes;
        central_add_large(c, s);
    }
    cache_slow_leave(c);
    if (s == NULL)
        return 0;
    hook_count_live(bytes, cycles);
    return s->base;
}

static inline uintptr_t
alloc_once(struct cache *c, size_t size, enum span_kind kind, const struct sh_type *type,
           enum shape shape)
{
    if (unlikely(size > SMALL_MAX_B))
        return alloc_large(c, size, kind, type, 0);
    if (kind == KIND_NOSCAN && size < TINY_MAX_B)
        return alloc_tiny(c, size, UNWATCHED);
    return take_slot(c, span_row(sizeclass_of(size), kind), type, shape, UNWATCHED);
}

/* The same in a watched heap. With guards no objects share a block. */
static __attribute__((noinline)) uintptr_t
alloc_watched(struct cache *c, size_t size, enum span_kind kind, const struct sh_type *type,
              enum shape shape, uint32_t site)
{
    uintptr_t p;
    if (size > SMALL_MAX_B - heap_watch.guard_b)
        return alloc_large(c, size, kind, type, site);
    bool is_tiny = kind == KIND_NOSCAN && size < TINY_MAX_B && heap_watch.guard_b == 0;
    if (is_tiny)
        p = alloc_tiny(c, size, WATCHED);
    else
        p = take_slot(c, span_row(sizeclass_of(size + heap_watch.guard_b), kind), type, shape,
                      WATCHED);
    if (p == 0 || (is_tiny && p % TINY_MAX_B != 0))
        return p;
    struct span *s = pageheap_span_of(p);
    watch_slot_made(s, span_index(s, p), is_tiny ? TINY_MAX_B : size, site);
    return p;
}

static uint32_t
site_of_caller(void)
{
    return unlikely(heap_watch.debug) ? hook_site() : 0;
}

static __attribute__((noinline)) void *
alloc_retry(struct cache *c, size_t size, enum span_kind kind, const struct sh_type *type,
            enum shape shape)
{
    uintptr_t p = 0;
    uint32_t site = site_of_caller();
    for (unsigned attempt = 0; p == 0 && hook_out_of_memory(size, attempt); attempt++) {
        cache_enter(c);
        p = unlikely(heap_watch.on) ? alloc_watched(c, size, kind, type, shape, site)
                                    : alloc_once(c, size, kind, type, shape);
        cache_leave(c);
    }
    return (void *)p;
}

/* What an object takes of the heap is its size for a profile. A tiny one counts when its block is
   new, as in Go. */
static inline void *
charge_profile(struct cache *c, void *p, size_t size, enum span_kind kind)
{
    bool is_tiny = kind == KIND_NOSCAN && size < TINY_MAX_B;
    if (is_tiny && (uintptr_t)p % TINY_MAX_B != 0)
        return p;
    size_t taken_b = is_tiny               ? TINY_MAX_B
                     : size <= SMALL_MAX_B ? class_size_b[sizeclass_of(size)]
                                           : sizeclass_round(size);
    if (likely(c->sample_epoch == atomic_load_explicit(&cache_sampling, memory_order_relaxed) &&
               taken_b < c->sample_left_b))
        c->sample_left_b -= taken_b;
    else
        hook_sample(c, (uintptr_t)p, taken_b);
    return p;
}

/* While a heap profile is kept, for a thread's first object, and in a watched heap. */
static __attribute__((noinline)) void *
alloc_charged(size_t size, enum span_kind kind, const struct sh_type *type, enum shape shape)
{
    struct cache *c = cache_of_caller();
    if (unlikely(size == 0))
        return (void *)(uintptr_t)zero_object;
    uint32_t site = site_of_caller();
    cache_enter(c);
    void *p = (void *)(unlikely(heap_watch.on) ? alloc_watched(c, size, kind, type, shape, site)
                                               : alloc_once(c, size, kind, type, shape));
    cache_leave(c);
    if (unlikely(p == NULL))
        p = alloc_retry(c, size, kind, type, shape);
    return likely(p != NULL) ? charge_profile(c, p, size, kind) : NULL;
}

static inline __attribute__((always_inline)) void *
alloc_inline(size_t size, enum span_kind kind, const struct sh_type *type, enum shape shape)
{
    struct cache *c = atomic_load_explicit(&cache_fast, memory_order_relaxed);
    if (unlikely(c == NULL))
        return alloc_charged(size, kind, type, shape);
    if (unlikely(size == 0))
        return (void *)(uintptr_t)zero_object;
    cache_enter(c);
    uintptr_t p = alloc_once(c, size, kind, type, shape);
    cache_leave(c);
    return likely(p != 0) ? (void *)p : alloc_retry(c, size, kind, type, shape);
}

/* ---- The fast path ---- */

static __attribute__((noinline)) void *
stop_and_return(struct cache *c, void *p)
{
    hook_stop_here(c);
    return p;
}

/* What is known of a span's pointer words. */
enum layout { NO_LAYOUT, LAYOUT_OF_ALL, LAYOUT_OF_ONE };

/* One element fills more than half of its slot, so that its mask is the slot's. Masks of up to
   INLINE_ZERO_MAX_B have 32 bits, so none is MIXED. */
static inline __attribute__((always_inline)) bool
note_layout(struct span *s, uint32_t index, enum layout layout, const struct sh_type *type)
{
    if (layout == NO_LAYOUT)
        return true;
    const struct sh_type *only = atomic_load_explicit(&s->only_type, memory_order_relaxed);
    if (layout == LAYOUT_OF_ALL && likely(only == type)) /* whoever noted it saw to end_keeps */
        return true;
    bool keeps = atomic_load_explicit(&s->end_keeps, memory_order_relaxed) | is_plain(type);
    if (!keeps || (only != type && only != NULL))
        return false;
    if (layout == LAYOUT_OF_ALL)
        return (uint32_t)type->pointer_mask[0] ==
               atomic_load_explicit(&s->slot_mask, memory_order_relaxed);
    return (s->elem_b & (s->elem_b - 1)) == 0 && span_set_one(s, index, type->pointer_mask[0]);
}

/*
 * What nearly every call comes to, read straight down: a small object, and a free slot at hand.
 * NULL: it is not so, and nothing has happened. Calls nothing on the way, so that no register need
 * be saved.
 */
static inline __attribute__((always_inline)) void *
alloc_at_hand(struct cache *c, size_t size, enum span_kind kind, enum layout layout,
              const struct sh_type *type)
{
    size_t least = kind == KIND_NOSCAN ? TINY_MAX_B : 1;
    if (unlikely(c == NULL || size - least > INLINE_ZERO_MAX_B - least))
        return NULL;
    cache_enter(c);
    struct span *s = c->spans[span_row(class_of_eighth[(size + 7) >> 3], kind)];
    uint64_t free = s->alloc_cache;
    uint32_t index = free == 0 ? 0 : s->cache_base + (uint32_t)__builtin_ctzll(free);
    if (unlikely(free == 0 || !note_layout(s, index, layout, type))) {
        cache_leave(c);
        return NULL;
    }
    s->alloc_cache = free & (free - 1);
    s->alloc_count++;
    uintptr_t p = span_slot(s, index);
    if (s->needzero)
        zero_slot_inline(p, s->elem_b);
    atomic_store_explicit(&s->free_index, index + 1, memory_order_release);
    publish();
    signal_fence();
    uint32_t depth = atomic_load_explicit(&c->depth, memory_order_relaxed) - 1;
    atomic_store_explicit(&c->depth, depth, memory_order_relaxed);
    signal_fence();
    if (unlikely(atomic_load_explicit(&c->stop_pending, memory_order_relaxed)) && depth == 0)
        return stop_and_return(c, (void *)p);
    return (void *)p;
}

static inline __attribute__((always_inline)) void *
alloc_fast(size_t size, enum span_kind kind, enum layout layout, const struct sh_type *type)
{
    struct cache *c = atomic_load_explicit(&cache_fast, memory_order_relaxed);
    return alloc_at_hand(c, size, kind, layout, type);
}

/* ---- Entries ---- */

void *
alloc_object(size_t size, enum span_kind kind, const struct sh_type *type)
{
    return alloc_inline(size, kind, type, AN_ARRAY);
}

static _Noreturn void
die_without_memory(size_t size)
{
    sh_fatal("out of memory: cannot allocate %zu bytes; the heap has %zu bytes in arenas, of %zu "
             "reserved (see SH_RESERVE, ulimit -v)",
             size, atomic_load(&pageheap.used_b), pageheap.reserved_b);
}

static inline void *
alive(void *p, size_t size)
{
    if (unlikely(p == NULL))
        die_without_memory(size);
    return p;
}

/* Not part of its callers: their fast paths stay as short as they are. */
__attribute__((noinline)) void *
alloc_or_die(size_t size, enum span_kind kind, const struct sh_type *type)
{
    return alive(alloc_inline(size, kind, type, AN_ARRAY), size);
}

enum span_kind
alloc_kind_of(const struct sh_type *type)
{
    if (type->pointer_mask == NULL)
        return KIND_NOSCAN;
    sh_require(type->size % WORD_B == 0,
               "type %s: holds pointers, but its size %zu is no multiple of 8", type->name,
               type->size);
    return KIND_TYPED;
}

size_t
alloc_array_b(const struct sh_type *type, size_t count)
{
    size_t size;
    sh_require(!__builtin_mul_overflow(type->size, count, &size),
               "sh_alloc_array: %zu elements of type %s (%zu bytes) overflow", count, type->name,
               type->size);
    return size;
}

void *
alloc_untyped(size_t size)
{
    void *p = alloc_fast(size, KIND_UNTYPED, NO_LAYOUT, NULL);
    return likely(p != NULL) ? p : alloc_object(size, KIND_UNTYPED, NULL);
}

void *
alloc_noscan(size_t size)
{
    void *p = alloc_fast(size, KIND_NOSCAN, NO_LAYOUT, NULL);
    return likely(p != NULL) ? p : alloc_object(size, KIND_NOSCAN, NULL);
}

void *
sh_alloc(size_t size)
{
    void *p = alloc_fast(size, KIND_UNTYPED, NO_LAYOUT, NULL);
    return likely(p != NULL) ? p : alloc_or_die(size, KIND_UNTYPED, NULL);
}

void *
sh_alloc_noscan(size_t size)
{
    void *p = alloc_fast(size, KIND_NOSCAN, NO_LAYOUT, NULL);
    return likely(p != NULL) ? p : alloc_or_die(size, KIND_NOSCAN, NULL);
}

/* In a span that has objects of other types too, or at its end, or while a heap profile is kept. */
static __attribute__((noinline)) void *
alloc_typed_slowly(const struct sh_type *type)
{
    enum span_kind kind = alloc_kind_of(type);
    if (kind != KIND_TYPED)
        return alloc_or_die(type->size, kind, NULL);
    bool slowly = heap_watch.on || span_keep_types;
    struct cache *c = unlikely(slowly) ? NULL : cache_self;
    void *p = alloc_at_hand(c, type->size, KIND_TYPED, LAYOUT_OF_ONE, type);
    if (unlikely(p == NULL))
        return alive(alloc_inline(type->size, kind, type, ONE_OBJECT), type->size);
    if (likely(atomic_load_explicit(&cache_fast, memory_order_relaxed) != NULL))
        return p;
    return charge_profile(cache_self, p, type->size, kind);
}

void *
sh_alloc_typed(const struct sh_type *type)
{
    if (unlikely(type->pointer_mask == NULL || type->size % WORD_B != 0))
        return alloc_typed_slowly(type);
    void *p = alloc_fast(type->size, KIND_TYPED, LAYOUT_OF_ALL, type);
    return likely(p != NULL) ? p : alloc_typed_slowly(type);
}

void *
sh_alloc_array(const struct sh_type *type, size_t count)
{
    enum span_kind kind = alloc_kind_of(type);
    return alloc_or_die(alloc_array_b(type, count), kind, kind == KIND_TYPED ? type : NULL);
}

void *
sh_try_alloc(size_t count, size_t size, enum sh_alloc_flags flags)
{
    size_t bytes;
    void *p = NULL;
    if (!__builtin_mul_overflow(count, size, &bytes))
        p = alloc_object(bytes, flags & SH_NOSCAN ? KIND_NOSCAN : KIND_UNTYPED, NULL);
    if (p == NULL)
        errno = ENOMEM;
    return p;
}

size_t
sh_round_size(size_t size)
{
    return sizeclass_round(size);
}
