#include "heap/span.h"

#include "heap/meta.h"

#include <string.h>

_Atomic uint32_t span_allocate_black SH_STATE;

void
span_list_push(struct span_list *list, struct span *s)
{
    sh_invariant(s->list == NULL);
    s->prev = NULL;
    s->next = atomic_load_explicit(&list->first, memory_order_relaxed);
    if (s->next != NULL)
        s->next->prev = s;
    atomic_store_explicit(&list->first, s, memory_order_relaxed);
    list->count++;
    s->list = list;
}

void
span_list_remove(struct span *s)
{
    struct span_list *list = s->list;
    sh_invariant(list != NULL && list->count > 0);
    if (s->prev != NULL)
        s->prev->next = s->next;
    else
        atomic_store_explicit(&list->first, s->next, memory_order_relaxed);
    if (s->next != NULL)
        s->next->prev = s->prev;
    list->count--;
    s->next = s->prev = NULL;
    s->list = NULL;
}

struct span *
span_list_pop(struct span_list *list)
{
    struct span *s = atomic_load_explicit(&list->first, memory_order_relaxed);
    if (s != NULL)
        span_list_remove(s);
    return s;
}

#define BITMAPS 3 /* of a span's block: allocated, marked, born */

static size_t
bits_b(uint32_t nelems)
{
    return span_bit_words(nelems) * sizeof(uint64_t);
}

static size_t
layout_b(const struct span *s)
{
    if (s->kind != KIND_TYPED || s->class == 0)
        return 0;
    if (s->elem_b <= BITMAP_MAX_B)
        return round_up(s->npages * PAGE_B / WORD_B, 64) / 8;
    return s->nelems * sizeof(struct sh_type *);
}

bool
span_setup(struct span *s, uintptr_t base, size_t npages, unsigned class, enum span_kind kind,
           bool needzero)
{
    s->base = base;
    s->npages = npages;
    s->kind = (uint8_t)kind;
    s->class = (uint8_t) class;
    s->needzero = needzero;
    atomic_store(&s->has_born, 0);
    s->elem_b = class == 0 ? npages * PAGE_B : class_size_b[class];
    s->nelems = class == 0 ? 1 : (uint32_t)(npages * PAGE_B / s->elem_b);
    s->magic = class == 0 ? 0 : sizeclass_magic((uint32_t)s->elem_b);
    s->alloc_count = s->alloc_count_cached = 0;
    atomic_store(&s->cached, 0);
    atomic_store(&s->has_specials, 0);
    atomic_store(&s->freed_bits, NULL);
    s->alloc_bits = meta_alloc(BITMAPS * bits_b(s->nelems));
    if (s->alloc_bits == NULL)
        return false;
    s->mark_bits = s->alloc_bits + span_bit_words(s->nelems);
    s->layout.pointer_bits = NULL;
    if (layout_b(s) > 0) {
        s->layout.pointer_bits = meta_alloc(layout_b(s));
        if (s->layout.pointer_bits == NULL) {
            meta_free(s->alloc_bits, BITMAPS * bits_b(s->nelems));
            return false;
        }
    }
    atomic_store(&s->free_index, 0);
    span_load_cache(s, 0);
    return true;
}

/* alloc_bits and mark_bits stand in one block and change places at each sweep; born_bits follow. */
static uint64_t *
bits_block(const struct span *s)
{
    return s->alloc_bits < s->mark_bits ? s->alloc_bits : s->mark_bits;
}

void
span_teardown(struct span *s)
{
    meta_free(bits_block(s), BITMAPS * bits_b(s->nelems));
    if (layout_b(s) > 0)
        meta_free(s->layout.pointer_bits, layout_b(s));
    _Atomic uint64_t *freed = atomic_load(&s->freed_bits);
    if (freed != NULL)
        meta_free((void *)freed, bits_b(s->nelems));
    s->layout.pointer_bits = NULL;
    atomic_store(&s->freed_bits, NULL);
}

void
span_blacken(struct span *s)
{
    if (s->alloc_cache == 0)
        return;
    __atomic_fetch_or(&span_born_bits(s)[s->cache_base / 64], s->alloc_cache, __ATOMIC_RELAXED);
    atomic_store(&s->has_born, 1);
}

void
span_whiten(struct span *s)
{
    if (s->alloc_cache != 0)
        __atomic_fetch_and(&span_born_bits(s)[s->cache_base / 64], ~s->alloc_cache,
                           __ATOMIC_RELAXED);
}

bool
span_mark_born(struct span *s, uint32_t index)
{
    uint64_t bit = UINT64_C(1) << (index % 64);
    if (span_is_marked(s, index))
        return false;
    bool first =
        (__atomic_fetch_or(&span_born_bits(s)[index / 64], bit, __ATOMIC_RELAXED) & bit) == 0;
    atomic_store(&s->has_born, 1);
    return first;
}

static void
forget_born(struct span *s)
{
    if (atomic_load_explicit(&s->has_born, memory_order_relaxed))
        memset(span_born_bits(s), 0, bits_b(s->nelems));
    atomic_store_explicit(&s->has_born, 0, memory_order_relaxed);
}

/* All marks where the marker's are. Nobody marks any more. */
static void
merge_born(struct span *s)
{
    if (!atomic_load(&s->has_born))
        return;
    for (uint32_t w = 0; w < span_bit_words(s->nelems); w++)
        s->mark_bits[w] |= span_born_bits(s)[w];
    forget_born(s);
}

void
span_clear_marks(struct span *s)
{
    for (uint32_t w = 0; w < span_bit_words(s->nelems); w++)
        __atomic_store_n(&s->mark_bits[w], 0, __ATOMIC_RELAXED);
    forget_born(s);
}

void
span_load_cache(struct span *s, uint32_t index)
{
    uint32_t left = s->nelems - index;
    uint64_t valid = left >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << left) - 1;
    s->cache_base = index;
    s->alloc_cache = ~s->alloc_bits[index / 64] & valid;
}

bool
span_next_cache(struct span *s)
{
    while (s->alloc_cache == 0) {
        uint32_t next = s->cache_base + 64;
        if (next >= s->nelems)
            return false;
        span_load_cache(s, next);
        if (unlikely(atomic_load_explicit(&span_allocate_black, memory_order_relaxed)))
            span_blacken(s);
    }
    return true;
}

uint32_t
span_free_ahead(const struct span *s)
{
    uint32_t n = count_bits(s->alloc_cache);
    uint32_t words = span_bit_words(s->nelems);
    for (uint32_t w = s->cache_base / 64 + 1; w < words; w++)
        n += 64 - count_bits(s->alloc_bits[w]);
    if (s->cache_base / 64 + 1 < words && s->nelems % 64 != 0)
        n -= 64 - s->nelems % 64; /* the last word's bits beyond the span count as clear */
    return n;
}

bool
span_is_freed(const struct span *s, uint32_t index)
{
    _Atomic uint64_t *freed = atomic_load_explicit(&s->freed_bits, memory_order_acquire);
    return freed != NULL && (atomic_load(&freed[index / 64]) >> (index % 64) & 1) != 0;
}

static uint64_t
freed_word(const struct span *s, uint32_t w)
{
    _Atomic uint64_t *freed = atomic_load(&s->freed_bits);
    return freed == NULL ? 0 : atomic_load(&freed[w]);
}

/* Counted from the bits: a counter beside them would be late or early, seen from another thread. */
uint32_t
span_count_freed(const struct span *s)
{
    uint32_t n = 0;
    for (uint32_t w = 0; w < span_bit_words(s->nelems); w++)
        n += count_bits(freed_word(s, w));
    return n;
}

static _Atomic uint64_t *
freed_bits_of(struct span *s)
{
    _Atomic uint64_t *bits = atomic_load(&s->freed_bits);
    if (bits != NULL)
        return bits;
    _Atomic uint64_t *fresh = meta_alloc(bits_b(s->nelems));
    sh_require(fresh != NULL, "sh_free: no memory for a bitmap of %zu bytes", bits_b(s->nelems));
    if (atomic_compare_exchange_strong(&s->freed_bits, &bits, fresh))
        return fresh;
    meta_free((void *)fresh, bits_b(s->nelems));
    return bits;
}

bool
span_record_free(struct span *s, uint32_t index)
{
    _Atomic uint64_t *bits = freed_bits_of(s);
    uint64_t bit = UINT64_C(1) << (index % 64);
    /* From here on the span may be emptied and its record reused by others. */
    return (atomic_fetch_or(&bits[index / 64], bit) & bit) == 0;
}

/*
 * Between two sweeps alloc_bits says nothing about slots below free_index: they are all taken. So
 * they are first all set, then free_index returns to 0, then the freed ones are cleared; whoever
 * looks meanwhile sees an object as allocated for too long, never for too short a time.
 */
uint32_t
span_reclaim_freed(struct span *s)
{
    _Atomic uint64_t *freed = atomic_load(&s->freed_bits);
    if (span_count_freed(s) == 0)
        return 0;
    uint32_t base_word = s->cache_base / 64;
    for (uint32_t w = 0; w < base_word; w++)
        s->alloc_bits[w] = ~UINT64_C(0);
    uint64_t valid = s->nelems - s->cache_base >= 64
                         ? ~UINT64_C(0)
                         : (UINT64_C(1) << (s->nelems - s->cache_base)) - 1;
    s->alloc_bits[base_word] |= ~s->alloc_cache & valid;
    atomic_store_explicit(&s->free_index, 0, memory_order_release);
    uint32_t n = 0;
    for (uint32_t w = 0; w < span_bit_words(s->nelems); w++) {
        uint64_t bits = atomic_exchange(&freed[w], 0);
        s->alloc_bits[w] &= ~bits;
        n += count_bits(bits);
    }
    s->alloc_count -= n;
    s->alloc_count_cached -= n;
    s->needzero = 1;
    span_load_cache(s, 0);
    return n;
}

static uint64_t
born_word(const struct span *s, uint32_t w)
{
    return atomic_load(&s->has_born) ? span_born_bits(s)[w] : 0;
}

uint32_t
span_count_marked(const struct span *s)
{
    uint32_t n = 0;
    for (uint32_t w = 0; w < span_bit_words(s->nelems); w++)
        n += count_bits((s->mark_bits[w] | born_word(s, w)) & ~freed_word(s, w));
    return n;
}

uint32_t
span_commit_sweep(struct span *s, uint32_t *marked_but_freed)
{
    uint32_t words = span_bit_words(s->nelems), live = 0, returned = 0, unmarked_again = 0;
    _Atomic uint64_t *freed = atomic_load(&s->freed_bits);
    merge_born(s);
    for (uint32_t w = 0; w < words; w++) {
        if (freed != NULL) {
            uint64_t bits = atomic_exchange(&freed[w], 0);
            unmarked_again += count_bits(s->mark_bits[w] & bits);
            s->mark_bits[w] &= ~bits;
            returned += count_bits(bits);
        }
        live += count_bits(s->mark_bits[w]);
        s->alloc_bits[w] = 0;
    }
    uint64_t *cleared = s->alloc_bits;
    s->alloc_bits = s->mark_bits;
    s->mark_bits = cleared;
    uint32_t died = s->alloc_count - live - returned;
    s->alloc_count = s->alloc_count_cached = live;
    s->needzero = 1;
    atomic_store_explicit(&s->free_index, 0, memory_order_release);
    span_load_cache(s, 0);
    *marked_but_freed = unmarked_again;
    return died;
}

/* A marker may read the bits of the other slots in the word meanwhile; nobody else writes. */
static void
set_bits(_Atomic uint64_t *word, uint64_t which, uint64_t value)
{
    uint64_t old = atomic_load_explicit(word, memory_order_relaxed);
    atomic_store_explicit(word, (old & ~which) | value, memory_order_relaxed);
}

/* Writes the n lowest bits of mask at a bit offset of a bitmap. n <= 64. */
static void
put_bits(uint64_t *bitmap, size_t offset, uint64_t mask, unsigned n)
{
    uint64_t all = n == 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;
    unsigned shift = offset % 64;
    _Atomic uint64_t *word = (_Atomic uint64_t *)&bitmap[offset / 64];
    mask &= all;
    set_bits(&word[0], all << shift, mask << shift);
    if (shift + n > 64)
        set_bits(&word[1], all >> (64 - shift), mask >> (64 - shift));
}

/* The pointer words of one slot: the element's mask, repeated. At most 64 words. */
static uint64_t
slot_mask(const struct sh_type *type, unsigned slot_words)
{
    unsigned words = (unsigned)(type->size / WORD_B);
    uint64_t mask = type->pointer_mask[0];
    if (words >= 64)
        return mask;
    mask &= (UINT64_C(1) << words) - 1;
    uint64_t repeated = mask;
    for (unsigned at = words; at < slot_words; at += words)
        repeated |= mask << at;
    return repeated;
}

void
span_set_type(struct span *s, uint32_t index, const struct sh_type *type)
{
    if (s->class == 0) {
        s->layout.type = type;
    } else if (s->elem_b > BITMAP_MAX_B) {
        s->layout.types[index] = type;
    } else {
        unsigned words = (unsigned)(s->elem_b / WORD_B);
        put_bits(s->layout.pointer_bits, (size_t)index * words, slot_mask(type, words), words);
    }
}
