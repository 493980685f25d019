#include "heap/span.h"

#include "heap/meta.h"
#include "heap/watch.h"

#include <string.h>

bool span_end_keeps SH_STATE = true;
_Atomic uint32_t span_allocate_black SH_STATE;
bool span_keep_types SH_STATE;

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

static size_t
bits_b(uint32_t nelems)
{
    return span_bit_words(nelems) * sizeof(struct slot_bits);
}

static bool
has_bitmap(const struct span *s)
{
    return s->kind == KIND_TYPED && s->class != 0 && s->elem_b <= BITMAP_MAX_B;
}

static size_t
bitmap_b(const struct span *s)
{
    return round_up(s->npages * PAGE_B / WORD_B, 64) / 8;
}

static size_t
slot_types_b(const struct span *s)
{
    return s->nelems * sizeof(struct sh_type *);
}

static size_t
types_b(const struct span *s)
{
    return s->kind != KIND_TYPED || s->class == 0 || has_bitmap(s)
               ? 0
               : s->nelems * sizeof(struct sh_type *);
}

bool
span_setup(struct span *s, uintptr_t base, size_t npages, unsigned class, size_t slot_b,
           enum span_kind kind, bool needzero)
{
    s->base = base;
    s->npages = npages;
    s->kind = (uint8_t)kind;
    s->class = (uint8_t) class;
    s->needzero = needzero;
    s->elem_b = class == 0 ? npages * PAGE_B : slot_b;
    s->nelems = class == 0 ? 1 : (uint32_t)(npages * PAGE_B / s->elem_b);
    s->magic = class == 0 ? 0 : sizeclass_magic((uint32_t)s->elem_b);
    s->alloc_count = s->alloc_count_cached = 0;
    atomic_store(&s->cached, 0);
    atomic_store(&s->has_specials, 0);
    atomic_store(&s->has_born, 0);
    atomic_store(&s->has_freed, 0);
    atomic_store(&s->end_keeps, span_end_keeps && (kind != KIND_TYPED || class == 0));
    atomic_store(&s->slot_mask, 0);
    atomic_store(&s->only_type, NULL);
    s->slot_types = NULL;
    s->layout.types = NULL;
    s->bits = meta_alloc(bits_b(s->nelems));
    if (s->bits == NULL)
        return false;
    if (types_b(s) > 0) {
        s->layout.types = meta_alloc(types_b(s));
        if (s->layout.types == NULL) {
            meta_free(s->bits, bits_b(s->nelems));
            return false;
        }
    }
    if (unlikely(heap_watch.on) && !watch_setup_span(s)) {
        span_teardown(s);
        return false;
    }
    atomic_store(&s->free_index, 0);
    span_load_cache(s, 0);
    return true;
}

void
span_teardown(struct span *s)
{
    meta_free(s->bits, bits_b(s->nelems));
    if (types_b(s) > 0)
        meta_free(s->layout.types, types_b(s));
    else if (has_bitmap(s) && s->layout.pointer_bits != NULL)
        meta_free(s->layout.pointer_bits, bitmap_b(s));
    s->layout.types = NULL;
    if (unlikely(s->watched != NULL))
        watch_teardown_span(s);
    if (s->slot_types != NULL)
        meta_free(s->slot_types, slot_types_b(s));
    s->slot_types = NULL;
}

void
span_blacken(struct span *s)
{
    if (s->alloc_cache == 0)
        return;
    __atomic_fetch_or(&s->bits[s->cache_base / 64].born, s->alloc_cache, __ATOMIC_RELAXED);
    atomic_store(&s->has_born, 1);
}

void
span_whiten(struct span *s)
{
    if (s->alloc_cache != 0)
        __atomic_fetch_and(&s->bits[s->cache_base / 64].born, ~s->alloc_cache, __ATOMIC_RELAXED);
}

bool
span_mark_born(struct span *s, uint32_t index)
{
    uint64_t bit = UINT64_C(1) << (index % 64);
    if (span_is_marked(s, index))
        return false;
    bool first = (__atomic_fetch_or(&s->bits[index / 64].born, bit, __ATOMIC_RELAXED) & bit) == 0;
    atomic_store(&s->has_born, 1);
    return first;
}

void
span_clear_marks(struct span *s)
{
    for (uint32_t w = 0; w < span_bit_words(s->nelems); w++)
        s->bits[w].mark = s->bits[w].born = 0;
    atomic_store(&s->has_born, 0);
}

void
span_load_cache(struct span *s, uint32_t index)
{
    uint32_t left = s->nelems - index;
    uint64_t valid = left >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << left) - 1;
    s->cache_base = index;
    s->alloc_cache = ~s->bits[index / 64].alloc & valid;
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
        n += 64 - count_bits(s->bits[w].alloc);
    if (s->cache_base / 64 + 1 < words && s->nelems % 64 != 0)
        n -= 64 - s->nelems % 64; /* the last word's bits beyond the span count as clear */
    return n;
}

static uint64_t
freed_word(const struct span *s, uint32_t w)
{
    return __atomic_load_n(&s->bits[w].freed, __ATOMIC_RELAXED);
}

/* Those of them that may be used again. */
static uint64_t
returned_word(const struct span *s, uint32_t w)
{
    return freed_word(s, w) & ~(unlikely(s->watched != NULL) ? watch_held_word(s, w) : 0);
}

/* Counted from the bits: a counter beside them would be late or early, seen from another thread. */
uint32_t
span_count_freed(const struct span *s)
{
    uint32_t n = 0;
    if (atomic_load(&s->has_freed))
        for (uint32_t w = 0; w < span_bit_words(s->nelems); w++)
            n += count_bits(returned_word(s, w));
    return n;
}

bool
span_record_free(struct span *s, uint32_t index)
{
    uint64_t bit = UINT64_C(1) << (index % 64);
    if (!atomic_load_explicit(&s->has_freed, memory_order_relaxed))
        atomic_store(&s->has_freed, 1);
    /* From here on the span may be emptied and its record reused by others. */
    return (__atomic_fetch_or(&s->bits[index / 64].freed, bit, __ATOMIC_SEQ_CST) & bit) == 0;
}

/*
 * Between two sweeps `alloc` says nothing about slots below free_index: they are all taken. So
 * these bits are first all set, then free_index returns to 0, then the freed ones are cleared;
 * whoever looks meanwhile sees an object as allocated for too long, never for too short a time.
 */
uint32_t
span_reclaim_freed(struct span *s)
{
    if (span_count_freed(s) == 0)
        return 0;
    uint32_t base_word = s->cache_base / 64;
    for (uint32_t w = 0; w < base_word; w++)
        s->bits[w].alloc = ~UINT64_C(0);
    uint64_t valid = s->nelems - s->cache_base >= 64
                         ? ~UINT64_C(0)
                         : (UINT64_C(1) << (s->nelems - s->cache_base)) - 1;
    s->bits[base_word].alloc |= ~s->alloc_cache & valid;
    atomic_store_explicit(&s->free_index, 0, memory_order_release);
    uint32_t n = 0;
    for (uint32_t w = 0; w < span_bit_words(s->nelems); w++) {
        uint64_t bits = returned_word(s, w);
        __atomic_fetch_and(&s->bits[w].freed, ~bits, __ATOMIC_SEQ_CST);
        s->bits[w].alloc &= ~bits;
        n += count_bits(bits);
    }
    s->alloc_count -= n;
    s->alloc_count_cached -= n;
    if (s->alloc_count == 0)
        atomic_store_explicit(&s->only_type, NULL, memory_order_relaxed);
    s->needzero = 1;
    span_load_cache(s, 0);
    return n;
}

uint32_t
span_count_marked(const struct span *s)
{
    uint32_t n = 0;
    for (uint32_t w = 0; w < span_bit_words(s->nelems); w++)
        n += count_bits((s->bits[w].mark | s->bits[w].born) & ~freed_word(s, w));
    return n;
}

uint32_t
span_commit_sweep(struct span *s, uint32_t *marked_but_freed)
{
    uint32_t words = span_bit_words(s->nelems), live = 0, returned = 0, unmarked_again = 0;
    bool freed = atomic_load(&s->has_freed);
    for (uint32_t w = 0; w < words; w++) {
        struct slot_bits *b = &s->bits[w];
        uint64_t marked = b->mark | b->born;
        if (freed) {
            uint64_t bits = __atomic_exchange_n(&b->freed, 0, __ATOMIC_SEQ_CST);
            unmarked_again += count_bits(marked & bits);
            marked &= ~bits;
            returned += count_bits(bits);
        }
        live += count_bits(marked);
        __atomic_store_n(&b->alloc, marked, __ATOMIC_RELEASE);
        b->mark = b->born = 0;
    }
    atomic_store_explicit(&s->has_born, 0, memory_order_relaxed);
    uint32_t died = s->alloc_count - live - returned;
    s->alloc_count = s->alloc_count_cached = live;
    if (live == 0)
        atomic_store_explicit(&s->only_type, NULL, memory_order_relaxed);
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

/* The pointer words of one slot: the mask of each whole element in it. At most 64 words. */
static uint64_t
slot_mask(const struct sh_type *type, unsigned slot_words)
{
    unsigned words = (unsigned)(type->size / WORD_B);
    uint64_t mask = type->pointer_mask[0];
    if (words >= 64)
        return mask;
    mask &= (UINT64_C(1) << words) - 1;
    uint64_t repeated = mask;
    for (unsigned at = words; at + words <= slot_words; at += words)
        repeated |= mask << at;
    return repeated;
}

uint64_t
span_mixed_mask(const struct span *s, uint32_t index)
{
    unsigned words = (unsigned)(s->elem_b / WORD_B);
    size_t offset = (size_t)index * words;
    unsigned shift = offset % 64;
    const uint64_t *word = &s->layout.pointer_bits[offset / 64];
    uint64_t bits = __atomic_load_n(&word[0], __ATOMIC_RELAXED) >> shift;
    if (shift + words > 64)
        bits |= __atomic_load_n(&word[1], __ATOMIC_RELAXED) << (64 - shift);
    return words < 64 ? bits & ((UINT64_C(1) << words) - 1) : bits;
}

/* From one mask for all slots to one each. False: no memory. */
static bool
mix(struct span *s)
{
    unsigned words = (unsigned)(s->elem_b / WORD_B);
    uint64_t common = atomic_load_explicit(&s->slot_mask, memory_order_relaxed);
    if (s->layout.pointer_bits == NULL)
        s->layout.pointer_bits = meta_alloc(bitmap_b(s));
    if (s->layout.pointer_bits == NULL)
        return false;
    for (uint32_t i = 0; i < s->nelems; i++)
        put_bits(s->layout.pointer_bits, (size_t)i * words, common, words);
    atomic_store_explicit(&s->slot_mask, MIXED, memory_order_release);
    return true;
}

static bool
set_mask(struct span *s, uint32_t index, uint64_t mask)
{
    unsigned words = (unsigned)(s->elem_b / WORD_B);
    uint64_t common = atomic_load_explicit(&s->slot_mask, memory_order_relaxed);
    if (mask == common && mask != MIXED)
        return true;
    if (s->alloc_count <= 1 && mask != MIXED) { /* the only object: no other asks for its mask */
        atomic_store_explicit(&s->slot_mask, mask, memory_order_release);
        return true;
    }
    if (common != MIXED && !mix(s))
        return false;
    put_bits(s->layout.pointer_bits, (size_t)index * words, mask, words);
    return true;
}

/* Without memory for it the type is not known. */
static void
keep_slot_type(struct span *s, uint32_t index, const struct sh_type *type)
{
    if (s->slot_types == NULL)
        s->slot_types = meta_alloc(slot_types_b(s));
    if (s->slot_types != NULL)
        s->slot_types[index] = type;
}

/* only_type says that all objects are of a type, and that their mask is the span's. */
static void
note_type(struct span *s, uint32_t index, const struct sh_type *type, uint64_t mask)
{
    if (unlikely(span_keep_types))
        keep_slot_type(s, index, type);
    bool common = mask == atomic_load_explicit(&s->slot_mask, memory_order_relaxed);
    if (s->alloc_count <= 1 && common && mask != MIXED)
        atomic_store_explicit(&s->only_type, type, memory_order_relaxed);
    else if (atomic_load_explicit(&s->only_type, memory_order_relaxed) != type)
        atomic_store_explicit(&s->only_type, NULL, memory_order_relaxed);
}

bool
span_set_type(struct span *s, uint32_t index, const struct sh_type *type)
{
    if (s->class == 0) {
        s->layout.type = type;
    } else if (!has_bitmap(s)) {
        s->layout.types[index] = type;
    } else {
        uint64_t mask = slot_mask(type, (unsigned)(s->elem_b / WORD_B));
        if (!set_mask(s, index, mask))
            return false;
        note_type(s, index, type, mask);
    }
    return true;
}

const struct sh_type *
span_type_of(const struct span *s, uint32_t index)
{
    if (s->kind != KIND_TYPED)
        return NULL;
    if (s->class == 0)
        return s->layout.type;
    if (!has_bitmap(s))
        return s->layout.types[index];
    return s->slot_types != NULL ? s->slot_types[index] : atomic_load(&s->only_type);
}

bool
span_change_type(struct span *s, uint32_t index, const struct sh_type *type)
{
    atomic_store_explicit(&s->end_keeps, 1, memory_order_relaxed);
    if (has_bitmap(s) && atomic_load_explicit(&s->only_type, memory_order_relaxed) != type)
        atomic_store_explicit(&s->only_type, NULL, memory_order_relaxed);
    if (has_bitmap(s) && s->slot_types != NULL)
        s->slot_types[index] = type;
    if (has_bitmap(s))
        return span_pointer_mask(s, index) == slot_mask(type, (unsigned)(s->elem_b / WORD_B));
    return span_set_type(s, index, type);
}
