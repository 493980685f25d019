/* The heap walker: passes after storms, and finds each kind of damage. */
#include "check.h"

#include "collector/verify.h"
#include "heap/central.h"

#define SEED UINT64_C(55501)

/* ---- A sound heap ---- */

struct storm {
    uint64_t seed;
    unsigned rounds;
};

static void
run_storm(void *arg)
{
    struct storm *storm = arg;
    struct rng rng = {storm->seed};
    enum { SLOTS = 300 };
    void **slots = sh_alloc(SLOTS * sizeof *slots);
    for (unsigned i = 0; i < storm->rounds; i++) {
        size_t slot = rng_below(&rng, SLOTS), kind = rng_below(&rng, 20);
        size_t size = 16 + rng_below(&rng, kind == 0 ? 300000 : kind < 4 ? 30000 : 600);
        if (kind % 3 == 0)
            sh_free(slots[slot]);
        sh_store(&slots[slot], kind % 2 == 0 ? sh_alloc(size) : sh_alloc_noscan(size));
        if (kind == 7)
            sh_alloc_noscan(1 + rng_below(&rng, 15));
    }
}

static void
test_heap_is_whole_after_each_storm(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 30; i++) {
        struct storm storm = {SEED + i, 3000};
        run_elsewhere(run_storm, &storm);
        verify_now();
        if (i % 5 == 0)
            sh_collect();
        if (i % 7 == 0)
            sh_release_memory();
        verify_now();
    }
}

static _Atomic int stop;

static void *
storm_on(void *seed)
{
    struct storm storm = {(uintptr_t)seed, 500};
    for (; !atomic_load(&stop); storm.seed++)
        run_storm(&storm);
    return NULL;
}

static void *
release_on(void *arg)
{
    while (!atomic_load(&stop))
        sh_release_memory();
    return arg;
}

static void
test_heap_is_whole_at_any_moment_of_a_storm(void **state)
{
    (void)state;
    pthread_t threads[4];
    atomic_store(&stop, 0);
    for (uintptr_t i = 0; i < 3; i++)
        assert_int_equal(sh_thread_create(&threads[i], NULL, storm_on, (void *)(SEED + i)), 0);
    assert_int_equal(sh_thread_create(&threads[3], NULL, release_on, NULL), 0);
    for (int i = 0; i < 400; i++) {
        verify_now();
        if (i % 20 == 0)
            sh_collect();
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < 4; i++)
        sh_thread_join(threads[i], NULL);
    verify_now();
}

/* ---- Damage, each in a child ---- */

static const uint64_t pair_mask = 1;
static const struct sh_type pair_type = {"pair", 48, &pair_mask, 0};

/* A typed span in the central lists with live objects. */
static struct span *
some_span(void)
{
    void **held = sh_alloc(1000 * sizeof *held);
    for (int i = 0; i < 1000; i++)
        sh_store(&held[i], sh_alloc_typed(&pair_type));
    sh_collect();
    struct span *s = pageheap_span_of((uintptr_t)held[500]);
    SH_KEEP_ALIVE(held);
    need(s->list != NULL && !s->cached, "the span lies in a list");
    verify_now();
    return s;
}

static void
miscount_slots(struct span *s)
{
    s->alloc_count++;
}

static void
flip_alloc_bit(struct span *s)
{
    s->bits[1].alloc ^= 1; /* the first word is in the allocation cache */
}

static void
set_all_marks(struct span *s)
{
    s->bits[0].alloc &= ~(uint64_t)0xff;
    s->alloc_count -= 8;
    span_load_cache(s, 0);
    for (uint32_t i = 0; i < s->nelems; i++)
        s->bits[i / 64].mark |= UINT64_C(1) << (i % 64);
}

static void
move_free_index(struct span *s)
{
    atomic_store(&s->free_index, s->nelems + 1);
}

static void
lose_layout(struct span *s)
{
    atomic_store(&s->slot_mask, MIXED);
    s->layout.pointer_bits = NULL;
}

static void
lose_from_list(struct span *s)
{
    span_list_remove(s);
}

static void
cache_without_owner(struct span *s)
{
    span_list_remove(s);
    s->cached = 1;
}

static void
set_generation(struct span *s)
{
    atomic_store(&s->sweepgen, atomic_load(&heap_sweepgen) - 1);
}

static void
unuse_record(struct span *s)
{
    s->state = SPAN_UNUSED;
}

static void
mistake_page(struct span *s)
{
    size_t page = (s->base - pageheap.base) / PAGE_B;
    atomic_store(&pageheap.page_span[page], atomic_load(&pageheap.page_span[page + 1]));
    atomic_store(&pageheap.page_span[page + 1], s);
}

static void
lose_page(struct span *s)
{
    atomic_store(&pageheap.page_span[(s->base - pageheap.base) / PAGE_B], NULL);
}

static void
free_page_in_use(struct span *s)
{
    size_t page = (s->base - pageheap.base) / PAGE_B;
    pageheap.pages.free[page / 64] |= UINT64_C(1) << (page % 64);
}

static void
miscount_spans(struct span *s)
{
    (void)s;
    pageheap.nspans--;
}

static void
miscount_pages(struct span *s)
{
    (void)s;
    pageheap.inuse_pages++;
}

static void
miscount_free_pages(struct span *s)
{
    (void)s;
    pageheap.pages.free_pages++;
}

static void
leak_transit_pages(struct span *s)
{
    (void)s;
    atomic_fetch_add(&pageheap.transit_pages, 1);
}

static const struct damage {
    const char *name;
    void (*make)(struct span *s);
} damages[] = {
    {"slots are miscounted", miscount_slots},
    {"an allocation bit is flipped", flip_alloc_bit},
    {"free slots are marked", set_all_marks},
    {"a free index is past the end", move_free_index},
    {"a typed span lost its layout", lose_layout},
    {"a span is in no list", lose_from_list},
    {"a span is cached by nobody", cache_without_owner},
    {"a span is being swept for ever", set_generation},
    {"a record is unused", unuse_record},
    {"pages lead to the wrong span", mistake_page},
    {"a page leads nowhere", lose_page},
    {"a page in use is free", free_page_in_use},
    {"spans are miscounted", miscount_spans},
    {"pages are miscounted", miscount_pages},
    {"free pages are miscounted", miscount_free_pages},
    {"transit pages are miscounted", leak_transit_pages},
};

static void
damage_and_verify(void *damage)
{
    ((const struct damage *)damage)->make(some_span());
    verify_now();
}

static void
test_each_damage_is_found(void **state)
{
    (void)state;
    static struct outcome out;
    for (size_t i = 0; i < COUNT_OF(damages); i++) {
        run_in_child(&out, damage_and_verify, (void *)(uintptr_t)&damages[i]);
        if (out.code == 0)
            fail_msg("not found: %s", damages[i].name);
        assert_fatal(&out, "heap check: ");
    }
}

static void
test_damaged_counter_is_named(void **state)
{
    (void)state;
    assert_child_dies(damage_and_verify, (void *)(uintptr_t)&damages[0], "slots are miscounted");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heap_is_whole_after_each_storm),
        cmocka_unit_test(test_heap_is_whole_at_any_moment_of_a_storm),
        cmocka_unit_test(test_each_damage_is_found),
        cmocka_unit_test(test_damaged_counter_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
