/*
 * Two kinds of words lead to objects.
 *   Conservative (roots, untyped objects): may be a pointer. One that hits no object, a free slot
 * or one not yet published is ignored. Exact (typed objects): is a pointer, or points outside the
 * heap. One that hits a free slot is a zombie: the object was freed while somebody held it, by
 * sh_free or by a fault in the collector. The heap is then no longer what the program believes, so
 * the program ends here.
 */
#include "collector/mark.h"

#include "heap/pageheap.h"

static void
mark_slot(struct marker *m, struct span *s, uint32_t index)
{
    if (!span_mark_plain(s, index))
        return;
    m->marked_b += s->elem_b;
    if (s->kind == KIND_TYPED || s->kind == KIND_UNTYPED)
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

/* No instrumentation: red zones and foreign frames are what this is for. */
__attribute__((no_sanitize_address, no_sanitize_thread)) void
mark_conservative(struct marker *m, uintptr_t start, uintptr_t end, enum mark_ends ends)
{
    uintptr_t base = pageheap.base, used_b = atomic_load(&pageheap.used_b);
    for (uintptr_t at = round_up(start, WORD_B); at + WORD_B <= end; at += WORD_B) {
        uintptr_t word = *(const volatile uintptr_t *)at;
        if (word - base > used_b) /* one past the last byte is let through, for word - 1 */
            continue;
        mark_address(m, word);
        if (ends == MARK_WITH_ENDS)
            mark_address(m, word - 1);
    }
}

static _Noreturn void
die_of_zombie(uintptr_t holder, uintptr_t at, uintptr_t address)
{
    sh_fatal(
        "the typed object at %p points, at offset %zu, to %p, which is free: freed while in use",
        (void *)holder, (size_t)(at - holder), (void *)address);
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

static void
mark_exact(struct marker *m, uintptr_t holder, uintptr_t at)
{
    uintptr_t address = *(const uintptr_t *)at;
    if (address - pageheap.base >= atomic_load_explicit(&pageheap.used_b, memory_order_relaxed))
        return;
    struct span *s = pageheap_span_of(address);
    uint32_t index = s == NULL ? 0 : span_index(s, address);
    if (likely(s != NULL && span_is_allocated(s, index)))
        mark_slot(m, s, index);
    else if (!mark_by_end(m, address))
        die_of_zombie(holder, at, address);
}

static void
scan_untyped(struct marker *m, uintptr_t object, size_t size)
{
    uintptr_t base = pageheap.base, used_b = atomic_load(&pageheap.used_b);
    for (uintptr_t at = object; at < object + size; at += WORD_B) {
        uintptr_t word = *(const uintptr_t *)at;
        if (word - base < used_b)
            mark_address(m, word);
    }
}

/* Small typed object: its words' bits lie in the span's bitmap. At most 64. */
static void
scan_bitmap(struct marker *m, const struct span *s, uintptr_t object)
{
    size_t words = s->elem_b / WORD_B, offset = (object - s->base) / WORD_B;
    unsigned shift = offset % 64;
    const uint64_t *word = &s->layout.pointer_bits[offset / 64];
    uint64_t bits = word[0] >> shift;
    if (shift + words > 64)
        bits |= word[1] << (64 - shift);
    if (words < 64)
        bits &= (UINT64_C(1) << words) - 1;
    for (; bits != 0; bits &= bits - 1)
        mark_exact(m, object, object + (size_t)__builtin_ctzll(bits) * WORD_B);
}

/* Large typed object: the descriptor's mask, once for each element that fits. */
static void
scan_elements(struct marker *m, const struct sh_type *type, uintptr_t object, size_t size)
{
    size_t words = type->size / WORD_B;
    for (uintptr_t element = object; element + type->size <= object + size; element += type->size) {
        for (size_t first = 0; first < words; first += 64) {
            uint64_t bits = type->pointer_mask[first / 64];
            if (words - first < 64)
                bits &= (UINT64_C(1) << (words - first)) - 1;
            for (; bits != 0; bits &= bits - 1)
                mark_exact(m, object, element + (first + (size_t)__builtin_ctzll(bits)) * WORD_B);
        }
    }
}

static void
scan_object(struct marker *m, uintptr_t object)
{
    struct span *s = pageheap_span_of(object);
    m->scanned_b += s->elem_b;
    if (s->kind == KIND_UNTYPED)
        scan_untyped(m, object, s->elem_b);
    else if (s->class == 0)
        scan_elements(m, s->layout.type, object, s->elem_b);
    else if (s->elem_b > BITMAP_MAX_B)
        scan_elements(m, s->layout.types[span_index(s, object)], object, s->elem_b);
    else
        scan_bitmap(m, s, object);
}

void
mark_drain(struct marker *m)
{
    uintptr_t object;
    while (workqueue_pop(&m->queue, &object))
        scan_object(m, object);
    workqueue_flush(&m->queue);
}
