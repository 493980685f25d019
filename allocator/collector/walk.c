#include "collector/walk.h"

#include "heap/os.h"
#include "heap/pageheap.h"
#include "heap/watch.h"

#include <string.h>

#define FIRST_FOUND 8192

bool
walk_begin(struct walk *w)
{
    w->n = w->cap = w->followed = 0;
    w->list = NULL;
    w->failed = false;
    w->found_target = SIZE_MAX;
    w->seen_b = round_up(atomic_load(&pageheap.used_b) / WORD_B / 8 + 1, PAGE_B);
    w->seen = os_map_sparse(w->seen_b);
    return w->seen != NULL;
}

void
walk_end(struct walk *w)
{
    if (w->seen != NULL)
        os_unreserve(w->seen, w->seen_b);
    if (w->cap > 0)
        os_unreserve(w->list, w->cap * sizeof *w->list);
    w->seen = NULL;
    w->list = NULL;
    w->n = w->cap = 0;
}

/* After marking, until its span is swept, a dead object still looks allocated. In the stop: nobody
   sweeps. */
static bool
lives(const struct span *s, uint32_t index)
{
    if (!span_is_allocated(s, index))
        return false;
    return atomic_load(&s->sweepgen) == atomic_load(&heap_sweepgen) || span_is_marked(s, index);
}

uintptr_t
walk_object_of(uintptr_t address)
{
    const struct span *s = pageheap_span_of(address);
    if (s == NULL)
        return 0;
    uint32_t index = span_index(s, address);
    return lives(s, index) ? span_slot(s, index) : 0;
}

static size_t
seen_bit(uintptr_t object)
{
    return (object - pageheap.base) / WORD_B;
}

bool
walk_has_found(const struct walk *w, uintptr_t object)
{
    size_t at = seen_bit(object);
    return slot_bit(w->seen[at / 64], (uint32_t)(at % 64));
}

/* Room for one more. */
static bool
have_room(struct walk *w)
{
    if (w->n < w->cap)
        return true;
    size_t cap = w->cap == 0 ? FIRST_FOUND : w->cap * 2;
    struct walk_found *fresh = cap < WALK_THROUGH ? os_map_sparse(cap * sizeof *fresh) : NULL;
    w->failed = w->failed || fresh == NULL;
    if (fresh == NULL)
        return false;
    if (w->cap > 0) {
        memcpy(fresh, w->list, w->n * sizeof *fresh);
        os_unreserve(w->list, w->cap * sizeof *fresh);
    }
    w->list = fresh;
    w->cap = cap;
    return true;
}

void
walk_word(struct walk *w, uintptr_t word, uint32_t from, uint32_t detail)
{
    uintptr_t object = walk_object_of(word);
    if (object == 0 || walk_has_found(w, object) || !have_room(w))
        return;
    size_t at = seen_bit(object);
    w->seen[at / 64] |= UINT64_C(1) << (at % 64);
    struct walk_found f = {object, from, detail};
    if (w->on_find != NULL)
        w->on_find(w, &f);
    if (object == w->target)
        w->found_target = w->n;
    w->list[w->n++] = f;
}

void
walk_through(struct walk *w, uintptr_t object)
{
    if (have_room(w))
        w->list[w->n++] = (struct walk_found){object, WALK_THROUGH, 0};
}

/* ---- Following ---- */

static inline void
follow_word_of(struct walk *w, uint32_t from, uintptr_t object, uintptr_t slot)
{
    uintptr_t word = watch_read((const uintptr_t *)slot);
    if (word - pageheap.base < atomic_load_explicit(&pageheap.used_b, memory_order_relaxed))
        walk_word(w, word, from, (uint32_t)((slot - object) / WORD_B));
}

static void
follow_element(struct walk *w, const struct sh_type *type, uintptr_t element, uint32_t from,
               uintptr_t object)
{
    for (size_t word = 0; word < type->size / WORD_B; word++)
        if (slot_bit(type->pointer_mask[word / 64], (uint32_t)(word % 64)))
            follow_word_of(w, from, object, element + word * WORD_B);
}

static void
follow_object(struct walk *w, uint32_t from)
{
    uintptr_t object = w->list[from].object;
    const struct span *s = pageheap_span_of(object);
    uint32_t index = span_index(s, object);
    if (s->kind == KIND_UNTYPED && w->untyped) {
        for (uintptr_t slot = object; slot < object + s->elem_b; slot += WORD_B)
            follow_word_of(w, from, object, slot);
    }
    if (s->kind != KIND_TYPED)
        return;
    if (s->class != 0 && s->elem_b <= BITMAP_MAX_B) {
        for (uint64_t mask = span_pointer_mask(s, index); mask != 0; mask &= mask - 1)
            follow_word_of(w, from, object, object + (size_t)__builtin_ctzll(mask) * WORD_B);
        return;
    }
    const struct sh_type *type = s->class == 0 ? s->layout.type : s->layout.types[index];
    for (uintptr_t e = object; e + type->size <= object + s->elem_b; e += type->size)
        follow_element(w, type, e, from, object);
}

void
walk_follow(struct walk *w)
{
    watch_blind();
    while (w->followed < w->n && !w->failed && w->found_target == SIZE_MAX)
        follow_object(w, (uint32_t)w->followed++);
    watch_see();
}
