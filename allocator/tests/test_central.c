/* The thread cache and the central lists: refill, flush, which list a span is in, lazy sweeping. */
#include "check.h"

#include "collector/background.h"
#include "collector/cycle.h"
#include "collector/verify.h"
#include "heap/central.h"

#include <pthread.h>
#include <unistd.h>

#define PAGE_CLASS_B 8192 /* its spans hold one object each */
#define SWEEP_TRIES 100

static unsigned
row_of(size_t size, enum span_kind kind)
{
    return span_row(sizeclass_of(size), kind);
}

static size_t
spans_in(struct central_counts n)
{
    return n.swept_partial + n.swept_full + n.unswept_partial + n.unswept_full;
}

static void
test_refill_brings_a_span_with_a_free_slot(void **state)
{
    (void)state;
    struct cache *c = cache_self;
    unsigned row = row_of(48, KIND_UNTYPED);
    assert_ptr_equal(c->spans[row], &cache_empty_span);
    cache_enter(c);
    assert_true(cache_refill(c, row));
    cache_leave(c);
    assert_int_equal(c->spans[row]->elem_b, 48);
    assert_true(span_free_ahead(c->spans[row]) > 0);
    assert_true(c->spans[row]->cached);
}

static void
test_each_row_has_its_own_spans(void **state)
{
    (void)state;
    void *objects[] = {sh_alloc(200), sh_alloc_noscan(200), sh_alloc_noscan(15), sh_alloc(16)};
    for (size_t i = 0; i < COUNT_OF(objects); i++)
        for (size_t j = i + 1; j < COUNT_OF(objects); j++)
            assert_ptr_not_equal(pageheap_span_of((uintptr_t)objects[i]),
                                 pageheap_span_of((uintptr_t)objects[j]));
}

static void
test_flush_returns_every_cached_span(void **state)
{
    (void)state;
    struct cache *c = cache_self;
    for (size_t size = 1; size <= SMALL_MAX_B; size = size * 3 / 2 + 1) {
        sh_alloc(size);
        sh_alloc_noscan(size);
    }
    cache_enter(c);
    cache_flush(c);
    cache_leave(c);
    size_t in_lists = 0;
    for (unsigned row = 0; row < NROWS; row++) {
        assert_ptr_equal(c->spans[row], &cache_empty_span);
        in_lists += spans_in(central_count(row));
    }
    assert_int_equal(in_lists, pageheap.nspans);
    assert_int_equal(c->tiny, 0);
}

/* Holds n objects of one size in an object of its own. */
static void **
hold(size_t n, size_t size)
{
    void **held = sh_alloc(n * sizeof *held);
    for (size_t i = 0; i < n; i++)
        sh_store(&held[i], sh_alloc(size));
    return held;
}

static void
test_used_up_spans_are_filed_as_full(void **state)
{
    (void)state;
    sh_collect();
    unsigned row = row_of(2048, KIND_UNTYPED); /* four to a span */
    struct central_counts before = central_count(row);
    void **held = hold(40, 2048);
    cache_enter(cache_self);
    cache_flush(cache_self);
    cache_leave(cache_self);
    struct central_counts after = central_count(row);
    /* Fetched 1, 2, 4 and 8 at a time. */
    assert_in_range(
        after.swept_full + after.swept_partial - before.swept_full - before.swept_partial, 10, 15);
    assert_true(after.swept_full >= before.swept_full + 9);
    SH_KEEP_ALIVE(held);
}

static void
test_explicit_free_makes_a_full_span_partial_and_an_empty_one_pages(void **state)
{
    (void)state;
    void **held = hold(64, 2048);
    sh_collect();
    unsigned row = row_of(2048, KIND_UNTYPED);
    struct span *s = pageheap_span_of((uintptr_t)held[32]);
    if (s == NULL)
        fail_msg("a live object has no span");
    uint32_t slots = s == NULL ? 0 : s->nelems;
    struct central_counts before = central_count(row);
    size_t nspans = pageheap.nspans, freed = 0;
    for (size_t i = 0; i < 64; i++)
        if (pageheap_span_of((uintptr_t)held[i]) == s) {
            sh_free(held[i]);
            held[i] = NULL;
            struct central_counts n = central_count(row);
            if (++freed < slots)
                assert_int_equal(n.swept_partial, before.swept_partial + 1);
        }
    assert_int_equal(freed, 4);
    assert_int_equal(pageheap.nspans, nspans - 1);
    assert_int_equal(central_count(row).swept_partial, before.swept_partial);
    verify_now();
}

static void
test_no_more_than_100_spans_are_swept_for_one_slot(void **state)
{
    (void)state;
    sh_set_gogc(SH_GOGC_OFF);
    unsigned row = row_of(PAGE_CLASS_B, KIND_UNTYPED);
    void **held = hold(300, PAGE_CLASS_B), **more = sh_alloc(16 * sizeof *more);
    for (size_t i = 0; cache_self->stock[row].ready != NULL; i++)
        sh_store(&more[i], sh_alloc(PAGE_CLASS_B));
    cycle_run(SH_TRIGGER_HEAP); /* unlike a forced one, leaves the sweep to others */
    size_t unswept = central_count(row).unswept_full;
    assert_true(unswept >= 300);
    cache_enter(cache_self);
    assert_true(central_restock(cache_self, row));
    cache_leave(cache_self);
    assert_int_equal(cache_self->stock[row].ready->alloc_count, 0); /* a new one */
    assert_int_equal(unswept - central_count(row).unswept_full, SWEEP_TRIES);
    SH_KEEP_ALIVE(held);
    SH_KEEP_ALIVE(more);
    sh_collect();
    sh_set_gogc(100);
}

static void
test_sweeping_ends_with_the_first_free_slot(void **state)
{
    (void)state;
    sh_set_gogc(SH_GOGC_OFF);
    void **held = hold(400, 2048);
    for (size_t i = 0; i < 400; i += 2)
        held[i] = NULL; /* garbage in every span */
    sh_collect();
    cycle_run(SH_TRIGGER_HEAP);
    unsigned row = row_of(2048, KIND_UNTYPED);
    struct central_counts before = central_count(row);
    cache_enter(cache_self);
    assert_true(central_restock(cache_self, row));
    struct central_counts after = central_count(row);
    assert_int_equal(spans_in(before) - spans_in(after), 1);
    assert_int_equal(after.swept_partial + after.swept_full, 0);
    cache_leave(cache_self);
    SH_KEEP_ALIVE(held);
    sh_set_gogc(100);
}

static void
test_collection_unsweeps_all_spans_at_once(void **state)
{
    (void)state;
    void **held = hold(100, 512);
    cycle_run(SH_TRIGGER_HEAP);
    for (unsigned row = 0; row < NROWS; row++) {
        struct central_counts n = central_count(row);
        assert_int_equal(n.swept_partial + n.swept_full, 0);
    }
    sh_collect();
    for (unsigned row = 0; row < NROWS; row++) {
        struct central_counts n = central_count(row);
        assert_int_equal(n.unswept_partial + n.unswept_full, 0);
    }
    SH_KEEP_ALIVE(held);
}

static void
test_partly_used_span_is_used_up_before_a_new_one(void **state)
{
    (void)state;
    void **held = hold(1, 1024);
    cache_enter(cache_self);
    cache_flush(cache_self);
    cache_leave(cache_self);
    struct span *s = pageheap_span_of((uintptr_t)held[0]);
    assert_ptr_equal(pageheap_span_of((uintptr_t)sh_alloc(1024)), s);
    SH_KEEP_ALIVE(held);
}

/* ---- Shards ---- */

static void
test_new_threads_go_where_the_fewest_are(void **state)
{
    (void)state;
    unsigned n = central_shards(), joined[3 * SHARDS_MAX], users[SHARDS_MAX] = {0};
    assert_in_range(n, 1, SHARDS_MAX);
    for (unsigned i = 0; i < 3 * n; i++)
        users[joined[i] = central_join_shard()]++;
    for (unsigned i = 0; i < n; i++)
        assert_in_range(users[i], 2, 3); /* this thread has one too */
    for (unsigned i = 0; i < 3 * n; i++)
        central_leave_shard(joined[i]);
}

static void *
allocate_elsewhere(void *row)
{
    struct cache *c = cache_self;
    unsigned own = c->shard;
    c->shard = central_shards() - 1; /* not the main thread's, if there are several */
    cache_enter(c);
    bool found = central_restock(c, *(unsigned *)row);
    cache_leave(c);
    c->shard = own;
    return found ? c->stock[*(unsigned *)row].ready : NULL;
}

static void
test_a_span_of_another_shard_is_better_than_a_new_one(void **state)
{
    (void)state;
    unsigned row = row_of(1536, KIND_UNTYPED);
    void **held = hold(1, 1536);
    cache_enter(cache_self);
    cache_flush(cache_self);
    cache_leave(cache_self);
    struct span *s = pageheap_span_of((uintptr_t)held[0]);
    void *taken = NULL;
    pthread_t thread;
    assert_int_equal(sh_thread_create(&thread, NULL, allocate_elsewhere, &row), 0);
    assert_int_equal(sh_thread_join(thread, &taken), 0);
    assert_ptr_equal(taken, s);
    assert_int_equal(atomic_load(&s->shard), central_shards() - 1);
    SH_KEEP_ALIVE(held);
    verify_now();
}

int
main(void)
{
    background_limit(0); /* what is unswept stays so until somebody asks for it */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refill_brings_a_span_with_a_free_slot),
        cmocka_unit_test(test_each_row_has_its_own_spans),
        cmocka_unit_test(test_flush_returns_every_cached_span),
        cmocka_unit_test(test_used_up_spans_are_filed_as_full),
        cmocka_unit_test(test_explicit_free_makes_a_full_span_partial_and_an_empty_one_pages),
        cmocka_unit_test(test_no_more_than_100_spans_are_swept_for_one_slot),
        cmocka_unit_test(test_sweeping_ends_with_the_first_free_slot),
        cmocka_unit_test(test_collection_unsweeps_all_spans_at_once),
        cmocka_unit_test(test_partly_used_span_is_used_up_before_a_new_one),
        cmocka_unit_test(test_new_threads_go_where_the_fewest_are),
        cmocka_unit_test(test_a_span_of_another_shard_is_better_than_a_new_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
