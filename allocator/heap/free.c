/*
 * Explicit free, and what follows from knowing an object's span: its size, its start, resizing.
 *
 * sh_free sets one bit beside the span (span_record_free) and no more: the slot returns when the
 * span's owner next runs out, when a thread takes the span from the central lists, or at its sweep.
 * So any thread can free any object, at any time, marking included.
 *
 * A pointer that is none of ours ends the program, with what is known about it (watch_explain).
 */
#include "heap/alloc.h"
#include "heap/central.h"
#include "heap/watch.h"

#include <string.h>

/* Any thread may be sweeping the span meanwhile: its bits mean nothing while the generation is odd
   (being swept), or if it has changed when they have been read. */
static bool
is_allocated(const struct span *s, uint32_t index)
{
    for (;;) {
        uint32_t before = atomic_load(&s->sweepgen);
        bool allocated = span_is_allocated(s, index);
        if (before % 2 == 0 && atomic_load(&s->sweepgen) == before)
            return allocated;
    }
}

#define require_of(p, condition, ...)                                                              \
    do {                                                                                           \
        if (unlikely(!(condition))) {                                                              \
            watch_explain(p);                                                                      \
            sh_fatal(__VA_ARGS__);                                                                 \
        }                                                                                          \
    } while (0)

/* The span of a live object that begins at p. Fatal for anything else. */
static struct span *
span_of_object(const void *p, const char *caller, uint32_t *index)
{
    struct span *s = pageheap_span_of((uintptr_t)p);
    sh_require(s != NULL, "%s: %p is not in the heap", caller, p);
    *index = span_index(s, (uintptr_t)p);
    uintptr_t start = span_slot(s, *index);
    bool inside = s->kind == KIND_TINY || start == (uintptr_t)p;
    require_of(p, inside, "%s: %p lies inside an object that begins at %p", caller, p,
               (void *)start);
    require_of(p, is_allocated(s, *index), "%s: %p is not allocated, or was freed before", caller,
               p);
    return s;
}

void
sh_free(void *p)
{
    if (p == NULL || p == sh_alloc(0))
        return;
    struct cache *c = cache_of_caller();
    uint32_t index, site = unlikely(heap_watch.debug) ? hook_site() : 0;
    cache_enter(c);
    cache_slow_enter(c);
    struct span *s = span_of_object(p, "sh_free", &index);
    if (s->kind != KIND_TINY) {
        unsigned class = s->class;
        size_t size = s->elem_b;
        if (unlikely(heap_is_marking()))
            hook_mark_freed(s, index);
        if (unlikely(atomic_load_explicit(&s->has_specials, memory_order_relaxed)))
            hook_forget_specials(s, (uintptr_t)p);
        if (unlikely(heap_watch.on))
            watch_slot_freed(s, index, site);
        bool first = span_record_free(s, index);
        require_of(p, first, "sh_free: %p was freed before", p);
        c->counts.frees[class]++;
        if (class == 0)
            c->counts.large_free_b += size;
        if (unlikely(heap_watch.quarantine_b > 0))
            watch_hold(s, index);
        else if (!s->cached)
            central_note_free(s); /* an unswept span is left to its sweep */
    }
    cache_slow_leave(c);
    cache_leave(c);
}

size_t
sh_usable_size(const void *p)
{
    if (p == NULL || p == sh_alloc(0))
        return 0;
    uint32_t index;
    struct span *s = span_of_object(p, "sh_usable_size", &index);
    if (s->kind == KIND_TINY)
        return 0;
    return unlikely(heap_watch.on) ? watch_usable_b(s, index) : s->elem_b;
}

void *
sh_object_base(const void *p)
{
    struct span *s = pageheap_span_of((uintptr_t)p);
    if (s == NULL)
        return NULL;
    uint32_t index = span_index(s, (uintptr_t)p);
    return is_allocated(s, index) ? (void *)span_slot(s, index) : NULL;
}

/* Bytes from p to the end of its slot, or of the object if a guard follows. */
static size_t
room_at(const struct span *s, uint32_t index, const void *p)
{
    if (unlikely(heap_watch.debug))
        return watch_usable_b(s, index);
    return span_slot(s, index) + s->elem_b - (uintptr_t)p;
}

/* An object that stays where it is: what it no longer covers is zero when it grows again. Pointers
   go by that, so it is the store family's work, the word that is cut in two included. */
static void *
keep_in_place(void *p, size_t size, size_t room)
{
    size_t cut = size % WORD_B, whole = size - cut;
    if (cut > 0) {
        uintptr_t *word = (uintptr_t *)((char *)p + whole);
        sh_store(word, (void *)(*word & ((UINT64_C(1) << (8 * cut)) - 1)));
        whole += WORD_B;
    }
    sh_memset((char *)p + whole, 0, room - whole);
    return p;
}

/* A new object of 16 bytes is aligned to 16, a slot of 24 bytes to 8. With guards an object moves
   whenever it is resized: a pointer that is kept shows. */
static bool
may_stay(const void *p, size_t size, size_t room)
{
    bool aligned = (uintptr_t)p % 16 == 0 || size > 16 || size <= 8;
    return size <= room && size > room / 2 && aligned && likely(!heap_watch.debug);
}

static void *
move_object(void *p, size_t old_size, size_t new_size, enum span_kind kind,
            const struct sh_type *type)
{
    void *fresh = alloc_or_die(new_size, kind, type);
    size_t copied = size_min(old_size, new_size);
    if (kind_is_scannable(kind))
        sh_memmove(fresh, p, copied); /* a marker may see it already: pointers are copied whole */
    else
        memmove(fresh, p,
                copied); /* of a tiny object more than it has: the new one may follow it */
    sh_free(p);
    return fresh;
}

void *
sh_realloc(void *p, size_t size)
{
    if (p == NULL || p == sh_alloc(0))
        return sh_alloc(size);
    uint32_t index;
    struct span *s = span_of_object(p, "sh_realloc", &index);
    sh_require(s->kind != KIND_TYPED, "sh_realloc: %p is typed, use sh_realloc_array", p);
    size_t room = room_at(s, index, p);
    if (s->kind == KIND_TINY)
        return move_object(p, room, size, KIND_NOSCAN, NULL);
    if (may_stay(p, size, room))
        return keep_in_place(p, size, room);
    return move_object(p, room, size, s->kind, NULL);
}

void *
sh_realloc_array(const struct sh_type *type, void *p, size_t count)
{
    enum span_kind kind = alloc_kind_of(type);
    size_t size = alloc_array_b(type, count);
    if (p == NULL || p == sh_alloc(0))
        return sh_alloc_array(type, count);
    uint32_t index;
    struct span *s = span_of_object(p, "sh_realloc_array", &index);
    size_t room = room_at(s, index, p);
    if (s->kind == kind && may_stay(p, size, room) &&
        (kind != KIND_TYPED || span_change_type(s, index, type)))
        return keep_in_place(p, size, room);
    return move_object(p, room, size, kind, kind == KIND_TYPED ? type : NULL);
}
