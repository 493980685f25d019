#include "collector/reach.h"

#include "collector/parked.h"
#include "collector/walk.h"
#include "collector/workbuf.h"
#include "heap/os.h"
#include "heap/pageheap.h"

#include <string.h>

#define LONGEST_PATH 12
#define BORN UINT32_MAX /* instead of the number of a root */

static struct {
    uintptr_t *roots; /* words; kinds[i]: one at an object's end keeps it */
    uint8_t *kinds;
    size_t nroots, roots_cap;
    uint64_t *old; /* one bit for each 8 bytes of the heap: object was there at the start */
    size_t old_b;
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
    reach.old_b = round_up(atomic_load(&pageheap.used_b) / WORD_B / 8 + 1, PAGE_B);
    reach.old = os_map(reach.old_b);
    sh_require(reach.old != NULL, "SH_VERIFY: no memory for the second mark");
    pageheap_each_span(note_old);
}

/* ---- The failure ---- */

static void
die_if_lost(const struct walk *w, const struct walk_found *lost)
{
    const struct span *s = pageheap_span_of(lost->object);
    const struct walk_found *f = lost;
    if (span_is_marked(s, span_index(s, lost->object)))
        return;
    for (unsigned depth = 0; depth < LONGEST_PATH && f->from != WALK_ROOT; depth++) {
        const struct walk_found *holder = &w->list[f->from];
        sh_warn("  %p, at offset %zu of the object at %p", (void *)f->object,
                (size_t)f->word * WORD_B, (void *)holder->object);
        f = holder;
    }
    if (f->from == WALK_ROOT && f->word != BORN)
        sh_warn("  %p, from the root word %p", (void *)f->object, (void *)reach.roots[f->word]);
    else if (f->from == WALK_ROOT)
        sh_warn("  %p, born while marking", (void *)f->object);
    sh_fatal("lost object: %p (%zu bytes) can be reached as shown above and is not marked",
             (void *)lost->object, s->elem_b);
}

/* ---- Finding ---- */

static bool
was_there(uintptr_t object)
{
    size_t bit = bit_of(object);
    return bit / 8 < reach.old_b && (reach.old[bit / 64] >> (bit % 64) & 1);
}

static struct walk reach_walk SH_STATE = {.on_find = die_if_lost};

static void
find_born(struct span *s)
{
    for (uint32_t i = 0; i < s->nelems; i++)
        if (span_is_allocated(s, i) && !was_there(span_slot(s, i)))
            walk_word(&reach_walk, span_slot(s, i), WALK_ROOT, BORN);
}

/* A root's word speaks of objects that were there when it was read. */
static void
find_from_root(uintptr_t word, size_t root)
{
    const struct span *s = pageheap_span_of(word);
    if (s != NULL && was_there(span_slot(s, span_index(s, word))))
        walk_word(&reach_walk, word, WALK_ROOT, (uint32_t)root);
}

void
reach_check(bool born_are_marked)
{
    sh_require(walk_begin(&reach_walk), "SH_VERIFY: no memory for the second mark");
    for (size_t i = 0; i < reach.nroots; i++) {
        find_from_root(reach.roots[i], i);
        if (reach.kinds[i])
            find_from_root(reach.roots[i] - 1, i);
    }
    if (born_are_marked)
        pageheap_each_span(find_born);
    walk_follow(&reach_walk);
    sh_require(!reach_walk.failed, "SH_VERIFY: no memory for the second mark");
    walk_end(&reach_walk);
    os_unreserve(reach.old, reach.old_b);
}
