/*
 * The store family. Slots are read and written as whole aligned words, atomically and without
 * order: a marker that reads a slot beside the program sees the old pointer or the new one, never
 * half. That rules out memmove, which may copy by bytes.
 *
 * The test of the switch and the store that follows must not be parted by a stop. sh_store() is a
 * restartable section (store.S); the others hold stops off (cache_enter), for at most PIECE words
 * at a time. What they record goes into a buffer of the thread's own, and to the markers when that
 * is full. A value that is marked already is not recorded: it is as safe as it can be.
 *
 * Two threads may store into one slot at the same time and record the same old value, and the value
 * of the one that came first is overwritten unrecorded. That is sound: it was not in the slot when
 * the snapshot was taken, so it is reached by another way, or is new and black.
 */
#include "collector/barrier.h"

#include "collector/world.h"
#include "heap/pageheap.h"
#include "heap/watch.h"

#include <spanheap.h>

#include <string.h>

#define PIECE_WORDS ((size_t)64)

_Atomic uint32_t barrier_enabled SH_STATE;

typedef _Atomic uintptr_t slot_word;

static uintptr_t
load(const slot_word *slot)
{
    return atomic_load_explicit(slot, memory_order_relaxed);
}

static void
store(slot_word *slot, uintptr_t value)
{
    atomic_store_explicit(slot, value, memory_order_relaxed);
}

/* ---- Recording ---- */

static enum barrier_kind
barrier_now(void)
{
    return (enum barrier_kind)atomic_load_explicit(&barrier_enabled, memory_order_relaxed);
}

void
barrier_record(struct thread *t, uintptr_t value)
{
    const struct span *s = pageheap_span_of(value);
    if (s == NULL)
        return;
    uint32_t index = span_index(s, value);
    if (index < s->nelems && !span_is_marked(s, index))
        workbuf_append(&t->recorded, WORK_WORDS, value);
}

/* The one of the two values that the barrier is about. */
static void
record_store(struct thread *t, enum barrier_kind kind, uintptr_t old, uintptr_t value)
{
    if (kind == BARRIER_DELETION)
        barrier_record(t, old);
    else if (kind == BARRIER_INSERTION)
        barrier_record(t, value);
}

/* sh_store() is assembly, which AddressSanitizer's compiler has not seen. */
void
barrier_off(void)
{
    atomic_store(&barrier_enabled, unlikely(heap_watch.asan) ? BARRIER_WATCHED : BARRIER_NONE);
}

void
barrier_flush(struct thread *t)
{
    workbuf_close(&t->recorded);
    workbuf_close(&t->freed);
}

void
barrier_forget(struct thread *t)
{
    if (t->recorded != NULL)
        t->recorded->n = 0;
    if (t->freed != NULL)
        t->freed->n = 0;
    barrier_flush(t);
}

void
hook_mark_freed(struct span *s, uint32_t index)
{
    if (span_mark_born(s, index) && kind_is_scannable(s->kind))
        workbuf_append(&thread_self()->freed, WORK_SCAN, span_slot(s, index));
}

/* ---- Stores ---- */

void
barrier_store_slow(void *slot, const void *value)
{
    struct cache *c = cache_of_caller();
    if (unlikely(heap_watch.asan))
        watch_check_store(slot);
    cache_enter(c);
    record_store((struct thread *)c, barrier_now(), load(slot), (uintptr_t)value);
    store(slot, (uintptr_t)value);
    cache_leave(c);
}

void *
sh_exchange(void *slot, const void *value)
{
    struct cache *c = cache_of_caller();
    cache_enter(c);
    uintptr_t old = atomic_exchange((slot_word *)slot, (uintptr_t)value);
    record_store((struct thread *)c, barrier_now(), old, (uintptr_t)value);
    cache_leave(c);
    return (void *)old;
}

bool
sh_compare_exchange(void *slot, void *expected, const void *desired)
{
    struct cache *c = cache_of_caller();
    cache_enter(c);
    bool stored = atomic_compare_exchange_strong((slot_word *)slot, (uintptr_t *)expected,
                                                 (uintptr_t)desired);
    if (stored)
        record_store((struct thread *)c, barrier_now(), *(uintptr_t *)expected, (uintptr_t)desired);
    cache_leave(c);
    return stored;
}

static bool
word_aligned(const void *a, const void *b)
{
    return (((uintptr_t)a | (uintptr_t)b) & (WORD_B - 1)) == 0;
}

/* Copies n <= PIECE_WORDS words, upwards or downwards. */
static void
copy_piece(slot_word *to, const slot_word *from, size_t n, bool upwards)
{
    struct cache *c = cache_of_caller();
    cache_enter(c);
    enum barrier_kind kind = barrier_now();
    for (size_t k = 0; k < n; k++) {
        size_t i = upwards ? k : n - 1 - k;
        uintptr_t value = load(&from[i]);
        record_store((struct thread *)c, kind, load(&to[i]), value);
        store(&to[i], value);
    }
    cache_leave(c);
}

static void
copy_words(slot_word *to, const slot_word *from, size_t words, bool upwards)
{
    for (size_t done = 0, n; done < words; done += n) {
        n = size_min(words - done, PIECE_WORDS);
        size_t first = upwards ? done : words - done - n;
        copy_piece(to + first, from + first, n, upwards);
    }
}

/* Nobody can follow such a word; but the second opinion (reach.c) reads a parked stack in the stop,
   and the markers read it later. No instrumentation: it reads what lies beside the variable. */
static __attribute__((no_sanitize_address, no_sanitize_thread)) void
record_words(struct thread *t, uintptr_t start, uintptr_t end)
{
    for (uintptr_t at = start & ~(WORD_B - 1); at < end; at += WORD_B)
        barrier_record(t, *(const volatile uintptr_t *)at);
}

void
barrier_copy_over(void *to, const void *from, size_t size)
{
    struct cache *c = cache_of_caller();
    cache_enter(c);
    if (unlikely(barrier_now() == BARRIER_DELETION))
        record_words((struct thread *)c, (uintptr_t)to, (uintptr_t)to + size);
    memcpy(to, from, size);
    cache_leave(c);
}

/* The bytes after the last whole word hold no pointer. They are copied first where the ranges
   overlap upwards, so that nothing is read after it was written. */
void *
sh_memmove(void *dst, const void *src, size_t size)
{
    if (!word_aligned(dst, src))
        return memmove(dst, src, size); /* such memory holds no aligned pointers to keep whole */
    slot_word *to = dst;
    const slot_word *from = src;
    size_t words = size / WORD_B, tail = size % WORD_B;
    bool upwards = (uintptr_t)dst <= (uintptr_t)src;
    if (upwards)
        copy_words(to, from, words, true);
    memmove((void *)&to[words], (const void *)&from[words], tail);
    if (!upwards)
        copy_words(to, from, words, false);
    return dst;
}

static void
fill_piece(slot_word *to, uintptr_t pattern, size_t n)
{
    struct cache *c = cache_of_caller();
    cache_enter(c);
    enum barrier_kind kind = barrier_now();
    for (size_t i = 0; i < n; i++) {
        record_store((struct thread *)c, kind, load(&to[i]), pattern);
        store(&to[i], pattern);
    }
    cache_leave(c);
}

void *
sh_memset(void *dst, int byte, size_t size)
{
    if (!word_aligned(dst, dst))
        return memset(dst, byte, size);
    slot_word *to = dst;
    size_t words = size / WORD_B;
    uintptr_t pattern = (uintptr_t)(unsigned char)byte * (UINTPTR_MAX / 0xff);
    for (size_t done = 0, n; done < words; done += n) {
        n = size_min(words - done, PIECE_WORDS);
        fill_piece(to + done, pattern, n);
    }
    memset((void *)&to[words], byte, size % WORD_B);
    return dst;
}

/* ---- Sorting ---- */

struct sorting {
    char *base;
    size_t size;
    int (*compare)(const void *a, const void *b, void *arg);
    void *arg;
};

/* Both words are in the heap at the end as they were at the start, but between the two stores one
   of them is not: a marker that reads first the one slot and then the other might see neither. */
static void
swap_words(slot_word *x, slot_word *y)
{
    struct cache *c = cache_of_caller();
    cache_enter(c);
    enum barrier_kind kind = barrier_now();
    uintptr_t a = load(x), b = load(y);
    record_store((struct thread *)c, kind, a, b);
    record_store((struct thread *)c, kind, b, a);
    store(x, b);
    store(y, a);
    cache_leave(c);
}

static void
swap(const struct sorting *s, size_t a, size_t b)
{
    char *x = s->base + a * s->size, *y = s->base + b * s->size;
    size_t at = 0;
    if (word_aligned(x, y))
        for (; at + WORD_B <= s->size; at += WORD_B)
            swap_words((slot_word *)(x + at), (slot_word *)(y + at));
    for (; at < s->size; at++) {
        char byte = x[at];
        x[at] = y[at];
        y[at] = byte;
    }
}

static bool
less(const struct sorting *s, size_t a, size_t b)
{
    return s->compare(s->base + a * s->size, s->base + b * s->size, s->arg) < 0;
}

static void
sift_down(const struct sorting *s, size_t at, size_t count)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && less(s, child, child + 1))
            child++;
        if (!less(s, at, child))
            return;
        swap(s, at, child);
        at = child;
    }
}

void
sh_sort(void *base, size_t count, size_t size,
        int (*compare)(const void *a, const void *b, void *arg), void *arg)
{
    struct sorting s = {base, size, compare, arg};
    for (size_t i = count / 2; i-- > 0;)
        sift_down(&s, i, count);
    for (size_t end = count; end-- > 1;) {
        swap(&s, 0, end);
        sift_down(&s, 0, end);
    }
}
