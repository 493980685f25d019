/*
 * Typed objects: only the words that the descriptor names are followed. A descriptor is a length of
 * 0, or the number of a record here. The heap wants a record for each size of object besides: made
 * once, and kept.
 */
#include "shims/gc_shim.h"

#include "heap/meta.h"
#include "heap/os.h"
#include "shims/include/gc/gc_typed.h"

#include <string.h>

#define DESCRIPTORS_MAX 65536

struct descriptor {
    size_t bits;
    uint64_t *bitmap;
};

/* What the heap wants: the pointer words of one element. */
struct shape {
    struct shape *next;
    struct sh_type type;
    size_t number;
};

static struct descriptor *descriptors SH_STATE; /* from 1 on */
static size_t ndescriptors SH_STATE;
static struct gc_table shapes SH_STATE; /* number << 40 ^ size -> list of struct shape */

#define META_MOST_B ((size_t)64 << 10)

static void *
take_room(size_t size)
{
    return size <= META_MOST_B ? meta_alloc(size) : os_map(size);
}

static void
give_room(void *p, size_t size)
{
    if (p != NULL && size <= META_MOST_B)
        meta_free(p, size);
    else if (p != NULL)
        os_unreserve(p, size);
}

static bool
add_descriptor(const GC_word *bitmap, size_t bits)
{
    if (descriptors == NULL)
        descriptors = os_map_sparse(DESCRIPTORS_MAX * sizeof *descriptors);
    if (descriptors == NULL || ndescriptors + 1 == DESCRIPTORS_MAX)
        return false;
    size_t words = (bits + 63) / 64;
    uint64_t *copy = take_room(words * sizeof *copy);
    if (copy == NULL)
        return false;
    memcpy(copy, bitmap, words * sizeof *copy);
    if (bits % 64 != 0)
        copy[words - 1] &= (UINT64_C(1) << (bits % 64)) - 1;
    descriptors[++ndescriptors] = (struct descriptor){bits, copy};
    return true;
}

static bool
is_same(const struct descriptor *d, const GC_word *bitmap, size_t bits)
{
    if (d->bits != bits)
        return false;
    for (size_t i = 0; i < bits; i++)
        if ((d->bitmap[i / 64] >> (i % 64) & 1) != GC_get_bit(bitmap, i))
            return false;
    return true;
}

/* Where there is no room for another: all words may be pointers. */
GC_descr
GC_make_descriptor(const GC_word *bitmap, size_t bits)
{
    gc_start();
    while (bits > 0 && !GC_get_bit(bitmap, bits - 1))
        bits--;
    if (bits == 0)
        return GC_DS_LENGTH;
    lock_take(&gc_lock);
    size_t number = 1;
    while (number <= ndescriptors && !is_same(&descriptors[number], bitmap, bits))
        number++;
    if (number > ndescriptors && !add_descriptor(bitmap, bits))
        number = 0;
    lock_drop(&gc_lock);
    return number << GC_DS_TAG_BITS | GC_DS_PER_OBJECT;
}

/* The descriptor's words that lie inside an element of `size` bytes, as the heap wants them. */
static struct shape *
make_shape(size_t number, size_t size)
{
    const struct descriptor *d = &descriptors[number];
    size_t words = size / WORD_B, mask_words = (words + 63) / 64;
    struct shape *s = meta_alloc(sizeof *s);
    uint64_t *mask = take_room(mask_words * sizeof *mask);
    if (s == NULL || mask == NULL) {
        give_room(s, sizeof *s);
        give_room(mask, mask_words * sizeof *mask);
        return NULL;
    }
    for (size_t i = 0; i < size_min(words, d->bits); i++)
        mask[i / 64] |= (d->bitmap[i / 64] >> (i % 64) & 1) << (i % 64);
    s->number = number;
    s->type = (struct sh_type){.name = "gc.h", .size = size, .pointer_mask = mask};
    return s;
}

/* NULL: no memory, or no room for the descriptor. */
static const struct sh_type *
shape_of(GC_descr descr, size_t size)
{
    size_t number = descr >> GC_DS_TAG_BITS;
    if ((descr & GC_DS_TAGS) != GC_DS_PER_OBJECT || number == 0 || number > ndescriptors)
        return NULL;
    lock_take(&gc_lock);
    struct gc_entry *e = gc_table_put(&shapes, (number << 40) ^ size);
    struct shape *s = e == NULL ? NULL : (struct shape *)e->value;
    while (s != NULL && (s->number != number || s->type.size != size))
        s = s->next;
    if (s == NULL && e != NULL) {
        s = make_shape(number, size);
        if (s != NULL) {
            s->next = (struct shape *)e->value;
            e->value = (uintptr_t)s;
        }
    }
    lock_drop(&gc_lock);
    return s == NULL ? NULL : &s->type;
}

static void *
alloc_typed(size_t size, const struct sh_type *type)
{
    if (type == NULL)
        return gc_alloc_rounded(size, KIND_UNTYPED);
    void *p = size == SIZE_MAX ? NULL : alloc_object(size, KIND_TYPED, type);
    if (p == NULL)
        return gc_out_of_memory(size);
    gc_after_allocation();
    return p;
}

/* The element is all of the slot, so that nothing is repeated. */
void *
GC_malloc_explicitly_typed(size_t size, GC_descr descr)
{
    if (descr == GC_DS_LENGTH)
        return GC_malloc_atomic(size);
    size_t room = gc_round(size, gc_extra_b);
    if (room != SIZE_MAX)
        room = sizeclass_round(room);
    return alloc_typed(room, room == SIZE_MAX ? NULL : shape_of(descr, room));
}

void *
GC_malloc_explicitly_typed_ignore_off_page(size_t size, GC_descr descr)
{
    return GC_malloc_explicitly_typed(size, descr);
}

/* Elements that are no multiple of a word are looked at word by word. */
void *
GC_calloc_explicitly_typed(size_t n, size_t size, GC_descr descr)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes))
        return gc_out_of_memory(SIZE_MAX);
    if (descr == GC_DS_LENGTH)
        return GC_malloc_atomic(bytes);
    bool whole = size > 0 && size % WORD_B == 0;
    return alloc_typed(gc_round(bytes, gc_extra_b), whole ? shape_of(descr, size) : NULL);
}
