/*
 * The store family. Slots are read and written as whole aligned words, atomically and without
 * order: a marker that reads a slot beside the program sees the old pointer or the new one, never
 * half. That rules out memmove, which may copy by bytes.
 *
 * Marking stops the world in this version, so no store is ever seen by a marker, and the switch
 * stays off. The switch, its restartable test (store.S) and the rule that every store of a pointer
 * goes through here are what concurrent marking builds on.
 */
#include "collector/barrier.h"

#include "collector/world.h"

#include <spanheap.h>

#include <string.h>

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

void
barrier_store_slow(void *slot, const void *value)
{
    store(slot, (uintptr_t)value);
}

void *
sh_exchange(void *slot, const void *value)
{
    return (void *)atomic_exchange((slot_word *)slot, (uintptr_t)value);
}

bool
sh_compare_exchange(void *slot, void *expected, const void *desired)
{
    return atomic_compare_exchange_strong((slot_word *)slot, (uintptr_t *)expected,
                                          (uintptr_t)desired);
}

static bool
word_aligned(const void *a, const void *b)
{
    return (((uintptr_t)a | (uintptr_t)b) & (WORD_B - 1)) == 0;
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
    if ((uintptr_t)dst <= (uintptr_t)src) {
        for (size_t i = 0; i < words; i++)
            store(&to[i], load(&from[i]));
        memmove((void *)&to[words], (const void *)&from[words], tail);
    } else {
        memmove((void *)&to[words], (const void *)&from[words], tail);
        for (size_t i = words; i-- > 0;)
            store(&to[i], load(&from[i]));
    }
    return dst;
}

void *
sh_memset(void *dst, int byte, size_t size)
{
    if (!word_aligned(dst, dst))
        return memset(dst, byte, size);
    slot_word *to = dst;
    size_t words = size / WORD_B;
    uintptr_t pattern = (uintptr_t)(unsigned char)byte * (UINTPTR_MAX / 0xff);
    for (size_t i = 0; i < words; i++)
        store(&to[i], pattern);
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

static void
swap(const struct sorting *s, size_t a, size_t b)
{
    char *x = s->base + a * s->size, *y = s->base + b * s->size;
    size_t at = 0;
    if (word_aligned(x, y))
        for (; at + WORD_B <= s->size; at += WORD_B) {
            uintptr_t word = load((slot_word *)(x + at));
            store((slot_word *)(x + at), load((slot_word *)(y + at)));
            store((slot_word *)(y + at), word);
        }
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
