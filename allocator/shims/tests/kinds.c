/* Kinds of objects: typed ones, those with a mark procedure, lists that the program keeps. */
#define GC_THREADS
#include "watch.h"

#include <gc/gc_inline.h>
#include <gc/gc_mark.h>
#include <gc/gc_typed.h>

enum { MANY = 400, NEARLY_ALL = 320 };

/* ---- Typed ---- */

struct pair {
    void *pointer;
    uintptr_t number; /* looks like one */
};

static GC_descr descr;
struct pair *pairs[MANY]; /* not static: it would be seen that nobody reads them */
static GC_hidden_pointer by_pointer[MANY], by_number[MANY];

static void
make_pairs(void)
{
    for (int i = 0; i < MANY; i++) {
        struct pair *p = GC_MALLOC_EXPLICITLY_TYPED(sizeof *p, descr);
        p->pointer = GC_MALLOC(40);
        p->number = (uintptr_t)GC_MALLOC(40);
        watch(&by_pointer[i], p->pointer);
        watch(&by_number[i], (void *)p->number);
        pairs[i] = p;
    }
}

static void
make_pair_arrays(void)
{
    for (int i = 0; i < MANY; i++) {
        struct pair *p = GC_CALLOC_EXPLICITLY_TYPED(20, sizeof *p, descr);
        p[19].pointer = GC_MALLOC(40);
        p[19].number = (uintptr_t)GC_MALLOC(40);
        watch(&by_pointer[i], p[19].pointer);
        watch(&by_number[i], (void *)p[19].number);
        pairs[i] = p;
    }
}

static void
typed(void)
{
    GC_word bitmap[GC_BITMAP_SIZE(struct pair)] = {0};
    GC_set_bit(bitmap, GC_WORD_OFFSET(struct pair, pointer));
    descr = GC_make_descriptor(bitmap, GC_WORD_LEN(struct pair));
    void (*const make[])(void) = {make_pairs, make_pair_arrays};
    for (int i = 0; i < 2; i++) {
        far_away(make[i]);
        wipe_stack();
        GC_gcollect();
        CHECK(count_clear(by_pointer, MANY) == 0 && count_clear(by_number, MANY) >= NEARLY_ALL);
    }
}

/* ---- A mark procedure: it follows a hidden pointer, and a chain of pointer-free objects ---- */

struct holder {
    GC_hidden_pointer hidden;
    void *chain; /* the rest of it only the procedure knows */
};

static struct holder *holders[MANY];
static int kind;

static struct GC_ms_entry *
mark_holder(GC_word *object, struct GC_ms_entry *stack, struct GC_ms_entry *limit, GC_word env)
{
    struct holder *h = (struct holder *)object;
    CHECK(env == 7);
    if (h->hidden == 0)
        return stack; /* on a free list */
    void *p = GC_REVEAL_POINTER(h->hidden);
    stack = GC_MARK_AND_PUSH(p, stack, limit, NULL);
    for (void *at = h->chain; at != NULL; at = *(void **)at)
        stack = GC_MARK_AND_PUSH(at, stack, limit, NULL);
    return stack;
}

static void
make_holders(void)
{
    for (int i = 0; i < MANY; i++) {
        struct holder *h = GC_generic_malloc(sizeof *h, kind);
        void **p = GC_MALLOC(16);
        *p = GC_MALLOC_ATOMIC(16);
        *(int *)*p = i;
        h->hidden = GC_HIDE_POINTER(p);
        GC_generic_malloc_many(32, GC_I_PTRFREE, &h->chain);
        for (void **at = h->chain; at != NULL; at = *at)
            ((uintptr_t *)at)[1] = (uintptr_t)i;
        holders[i] = h;
    }
}

static void
procedures(void)
{
    unsigned proc = GC_new_proc(mark_holder);
    kind = (int)GC_new_kind(GC_new_free_list(), GC_MAKE_PROC(proc, 7), 0, 1);
    far_away(make_holders);
    wipe_stack();
    for (int round = 0; round < 4; round++) {
        GC_gcollect();
        for (int i = 0; i < 4000; i++)
            memset(GC_MALLOC_ATOMIC(i % 2 ? 16 : 32), 0x77, 16);
    }
    for (int i = 0; i < MANY; i++) {
        int **p = GC_REVEAL_POINTER(holders[i]->hidden);
        CHECK(**p == i);
        for (void **at = holders[i]->chain; at != NULL; at = *at)
            CHECK(((uintptr_t *)at)[1] == (uintptr_t)i);
    }
    size_t size = 0;
    CHECK(GC_get_kind_and_size(holders[0], &size) == kind && size >= sizeof **holders);
    CHECK(GC_get_kind_and_size(GC_MALLOC_ATOMIC(50), NULL) == GC_I_PTRFREE);
    CHECK(GC_get_kind_and_size(GC_MALLOC(50), NULL) == GC_I_NORMAL);
}

/* A kind without pointers. */
static GC_hidden_pointer leaves[MANY];
void **bodies[MANY];

static void
make_leaves(void)
{
    int leaf_kind = (int)GC_new_kind(GC_new_free_list(), GC_DS_LENGTH, 0, 1);
    for (int i = 0; i < MANY; i++) {
        bodies[i] = GC_generic_malloc(64, leaf_kind);
        bodies[i][3] = GC_MALLOC(16);
        watch(&leaves[i], bodies[i][3]);
    }
}

static void *lists[GC_TINY_FREELISTS];

static void
inlined(void)
{
    void **last = NULL;
    for (int i = 0; i < 3000; i++) {
        void **cell, **leaf;
        GC_CONS(cell, (uintptr_t)i << 4, last, lists);
        GC_MALLOC_WORDS(leaf, 4, lists);
        CHECK(cell != NULL && leaf != NULL && leaf[0] == NULL && leaf[3] == NULL);
        leaf[3] = leaf;
        last = cell;
    }
    GC_gcollect();
    for (int i = 2999; i >= 0; i--, last = last[1])
        CHECK(last[0] == (void *)((uintptr_t)i << 4));
}

int
main(void)
{
    GC_INIT();
    typed();
    procedures();
    far_away(make_leaves);
    wipe_stack();
    GC_gcollect();
    CHECK(count_clear(leaves, MANY) >= NEARLY_ALL);
    inlined();
    return 0;
}
