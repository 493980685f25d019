#include "collector/reach.h"

#include "collector/parked.h"
#include "collector/workbuf.h"
#include "heap/os.h"
#include "heap/pageheap.h"
#include "heap/watch.h"

#include <string.h>

/* A found object, and from where: an index into the same list, or a root. */
struct found {
    uintptr_t object;
    size_t from;      /* NO_PARENT: a root, or an object born since */
    uintptr_t detail; /* the root's word, or the slot that led here */
};
#define NO_PARENT SIZE_MAX
#define LONGEST_PATH 12

static struct {
    uintptr_t *roots; /* words; kinds[i]: one at an object's end keeps it */
    uint8_t *kinds;
    size_t nroots, roots_cap;
    uint64_t *old, *seen; /* one bit for each 8 bytes of the heap: object was there at the start */
    size_t old_b, seen_b;
    struct found *list;
    size_t n, cap;
} reach SH_STATE;

/* Twice as large; the old one goes. Fatal without memory. */
static void *
grow_array(void *old, size_t *cap, size_t size)
{
    size_t fresh_cap = *cap == 0 ? 8192 : *cap * 2;
    void *fresh = os_map(fresh_cap * size);
    sh_require(fresh != NULL, "SH_VERIFY: no memory for the second mark");
    if (*cap > 0) {
        memcpy(fresh, old, *cap * size);
        os_unreserve(old, *cap * size);
    }
    *cap = fresh_cap;
    return fresh;
}

static void
keep_word(uintptr_t word, enum work_kind kind)
{
    if (reach.nroots == reach.roots_cap) {
        size_t cap = reach.roots_cap;
        reach.kinds = grow_array(reach.kinds, &cap, sizeof *reach.kinds);
        reach.roots = grow_array(reach.roots, &reach.roots_cap, sizeof *reach.roots);
    }
    reach.roots[reach.nroots] = word;
    reach.kinds[reach.nroots++] = kind == WORK_FRAMES && pageheap_end_keeps(word);
}

/* Of a parked stack. A value may be sent into it, over a word that the barrier then records: so its
   object is kept, but not the one that the word ends, as it would be by a word of a frame. */
__attribute__((no_sanitize_address)) static void
keep_frames(void *arg, uintptr_t start, uintptr_t end)
{
    (void)arg;
    for (uintptr_t at = start; at + WORD_B <= end; at += WORD_B) {
        uintptr_t word = *(const volatile uintptr_t *)at;
        if (word - pageheap.base <= atomic_load(&pageheap.used_b))
            keep_word(word, WORK_WORDS);
    }
}

static void
keep_buffer(const struct workbuf *b)
{
    if (b->kind == WORK_PARKED)
        for (uintptr_t share = b->words[0]; share < b->words[1]; share++)
            parked_scan(share, true, keep_frames, NULL);
    else if (b->kind != WORK_SCAN)
        for (uint32_t i = 0; i < b->n; i++)
            keep_word(b->words[i], b->kind);
}

static uint64_t *
make_bits(size_t *size)
{
    *size = round_up(atomic_load(&pageheap.used_b) / WORD_B / 8 + 1, PAGE_B);
    uint64_t *bits = os_map(*size);
    sh_require(bits != NULL, "SH_VERIFY: no memory for the second mark");
    return bits;
}

static size_t
bit_of(uintptr_t object)
{
    return (object - pageheap.base) / WORD_B;
}

static void
note_old(struct span *s)
{
    for (uint32_t i = 0; i < s->nelems; i++) {
        size_t bit = bit_of(span_slot(s, i));
        if (span_is_allocated(s, i))
            reach.old[bit / 64] |= UINT64_C(1) << (bit % 64);
    }
}

void
reach_begin(void)
{
    reach.nroots = 0;
    workbuf_each(keep_buffer);
    reach.old = make_bits(&reach.old_b);
    pageheap_each_span(note_old);
}

/* ---- The failure ---- */

static _Noreturn void
die_of_lost(const struct found *lost)
{
    const struct span *s = pageheap_span_of(lost->object);
    const struct found *f = lost;
    for (unsigned depth = 0; depth < LONGEST_PATH && f->from != NO_PARENT; depth++) {
        const struct found *holder = &reach.list[f->from];
        sh_warn("  %p, at offset %zu of the object at %p", (void *)f->object,
                (size_t)(f->detail - holder->object), (void *)holder->object);
        f = holder;
    }
    if (f->from == NO_PARENT && f->detail != 0)
        sh_warn("  %p, from the root word %p", (void *)f->object, (void *)f->detail);
    else if (f->from == NO_PARENT)
        sh_warn("  %p, born while marking", (void *)f->object);
    sh_fatal("lost object: %p (%zu bytes) can be reached as shown above and is not marked",
             (void *)lost->object, s->elem_b);
}

/* ---- Finding ---- */

static bool
is_new(uintptr_t object)
{
    size_t at = bit_of(object);
    uint64_t bit = UINT64_C(1) << (at % 64);
    bool new = (reach.seen[at / 64] & bit) == 0;
    reach.seen[at / 64] |= bit;
    return new;
}

/* What a word leads to joins the list, and must be marked. */
static void
reach_word(uintptr_t word, size_t from, uintptr_t detail)
{
    const struct span *s = pageheap_span_of(word);
    if (s == NULL)
        return;
    uint32_t index = span_index(s, word);
    if (!span_is_allocated(s, index) || !is_new(span_slot(s, index)))
        return;
    struct found f = {span_slot(s, index), from, detail};
    if (!span_is_marked(s, index))
        die_of_lost(&f);
    if (reach.n == reach.cap)
        reach.list = grow_array(reach.list, &reach.cap, sizeof *reach.list);
    reach.list[reach.n++] = f;
}

static void
follow_element(const struct sh_type *type, uintptr_t element, size_t from)
{
    for (size_t word = 0; word < type->size / WORD_B; word++) {
        uintptr_t slot = element + word * WORD_B;
        if (type->pointer_mask[word / 64] >> (word % 64) & 1)
            reach_word(watch_read((const uintptr_t *)slot), from, slot);
    }
}

static void
follow_bits(const struct span *s, uintptr_t object, size_t from)
{
    uint64_t mask = span_pointer_mask(s, span_index(s, object));
    for (; mask != 0; mask &= mask - 1) {
        uintptr_t slot = object + (size_t)__builtin_ctzll(mask) * WORD_B;
        reach_word(watch_read((const uintptr_t *)slot), from, slot);
    }
}

static void
follow_words_of(size_t from)
{
    uintptr_t object = reach.list[from].object;
    const struct span *s = pageheap_span_of(object);
    if (s->kind != KIND_TYPED)
        return;
    if (s->class != 0 && s->elem_b <= BITMAP_MAX_B) {
        follow_bits(s, object, from);
        return;
    }
    const struct sh_type *type =
        s->class == 0 ? s->layout.type : s->layout.types[span_index(s, object)];
    for (uintptr_t e = object; e + type->size <= object + s->elem_b; e += type->size)
        follow_element(type, e, from);
}

static bool
was_there(uintptr_t object)
{
    size_t bit = bit_of(object);
    return bit / 8 < reach.old_b && (reach.old[bit / 64] >> (bit % 64) & 1);
}

static void
find_born(struct span *s)
{
    for (uint32_t i = 0; i < s->nelems; i++)
        if (span_is_allocated(s, i) && !was_there(span_slot(s, i)))
            reach_word(span_slot(s, i), NO_PARENT, 0);
}

/* A root's word speaks of objects that were there when it was read. */
static void
find_from_root(uintptr_t word, uintptr_t root)
{
    const struct span *s = pageheap_span_of(word);
    if (s != NULL && was_there(span_slot(s, span_index(s, word))))
        reach_word(word, NO_PARENT, root);
}

void
reach_check(bool born_are_marked)
{
    reach.seen = make_bits(&reach.seen_b);
    reach.n = 0;
    for (size_t i = 0; i < reach.nroots; i++) {
        find_from_root(reach.roots[i], reach.roots[i]);
        if (reach.kinds[i])
            find_from_root(reach.roots[i] - 1, reach.roots[i]);
    }
    if (born_are_marked)
        pageheap_each_span(find_born);
    watch_blind();
    for (size_t i = 0; i < reach.n; i++)
        follow_words_of(i);
    watch_see();
    os_unreserve(reach.seen, reach.seen_b);
    os_unreserve(reach.old, reach.old_b);
}
