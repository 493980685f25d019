/* The page heap: address -> span, pages in and out, arenas, the table's edges. */
/* run: native asan valgrind */
#include "check.h"

#include "collector/verify.h"
#include "heap/cache.h"
#include "heap/pageheap.h"
#include "heap/scavenger.h"

static struct span *
make_span(size_t npages, bool *needzero)
{
    uintptr_t base = pageheap_take_pages(npages, needzero);
    assert_true(base != 0);
    struct span *s = pageheap_make_span(base, npages, 0, KIND_NOSCAN, *needzero);
    assert_non_null(s);
    return s;
}

static size_t
release(size_t max_b)
{
    return scavenger_release(cache_self, max_b);
}

static void
test_every_page_of_a_span_leads_to_it(void **state)
{
    (void)state;
    bool needzero;
    struct span *a = make_span(3, &needzero), *b = make_span(5, &needzero);
    for (size_t offset = 0; offset < 3 * PAGE_B; offset += 512)
        assert_ptr_equal(pageheap_span_of(a->base + offset), a);
    assert_ptr_equal(pageheap_span_of(a->base + 3 * PAGE_B - 1), a);
    assert_ptr_not_equal(pageheap_span_of(a->base + 3 * PAGE_B), a);
    assert_ptr_not_equal(pageheap_span_of(a->base - 1), a);
    assert_ptr_equal(pageheap_span_of(b->base + 5 * PAGE_B - 1), b);
    pageheap_free_span(a);
    pageheap_free_span(b);
}

static void
test_address_outside_leads_nowhere(void **state)
{
    (void)state;
    int local = 0;
    assert_null(pageheap_span_of(0));
    assert_null(pageheap_span_of((uintptr_t)&local));
    assert_null(pageheap_span_of(pageheap.base - 1));
    assert_null(pageheap_span_of(pageheap.base + atomic_load(&pageheap.used_b)));
    assert_null(pageheap_span_of(pageheap.base + pageheap.reserved_b));
    assert_null(pageheap_span_of(UINTPTR_MAX));
}

static void
test_freed_span_is_forgotten(void **state)
{
    (void)state;
    bool needzero;
    struct span *s = make_span(4, &needzero);
    uintptr_t base = s->base;
    pageheap_free_span(s);
    for (size_t page = 0; page < 4; page++)
        assert_null(pageheap_span_of(base + page * PAGE_B));
}

static void
test_pages_are_counted_in_and_out(void **state)
{
    (void)state;
    size_t inuse = pageheap.inuse_pages, nspans = pageheap.nspans, free = pageheap.pages.free_pages;
    bool needzero;
    uintptr_t base = pageheap_take_pages(7, &needzero);
    assert_int_equal(atomic_load(&pageheap.transit_pages), 7);
    pageheap_return_pages(base, 7);
    assert_int_equal(atomic_load(&pageheap.transit_pages), 0);
    struct span *s = make_span(9, &needzero);
    assert_int_equal(pageheap.inuse_pages, inuse + 9);
    assert_int_equal(pageheap.nspans, nspans + 1);
    pageheap_free_span(s);
    assert_int_equal(pageheap.inuse_pages, inuse);
    assert_int_equal(pageheap.nspans, nspans);
    assert_int_equal(pageheap.pages.free_pages, free);
    verify_now();
}

static void
test_fresh_pages_need_no_zeroing_and_used_ones_do(void **state)
{
    (void)state;
    bool needzero = true;
    release(SIZE_MAX);
    struct span *s = make_span(ARENA_PAGES, &needzero);
    assert_false(needzero);
    for (size_t offset = 0; offset < ARENA_B; offset += PAGE_B)
        assert_int_equal(*(const char *)(s->base + offset), 0);
    memset((void *)s->base, 0xff, PAGE_B);
    uintptr_t base = s->base;
    pageheap_free_span(s);
    s = make_span(ARENA_PAGES, &needzero);
    assert_int_equal(s->base, base);
    assert_true(needzero);
    pageheap_free_span(s);
}

static void
test_released_pages_read_as_zero(void **state)
{
    (void)state;
    bool needzero;
    struct span *s = make_span(ARENA_PAGES, &needzero);
    memset((void *)s->base, 0xff, ARENA_B);
    uintptr_t base = s->base;
    pageheap_free_span(s);
    size_t unscavenged = pageheap.pages.free_pages - pageheap.pages.scavenged_pages;
    assert_int_equal(release(SIZE_MAX), unscavenged * PAGE_B);
    assert_int_equal(pageheap.pages.free_pages, pageheap.pages.scavenged_pages);
    assert_int_equal(release(SIZE_MAX), 0);
    s = make_span(ARENA_PAGES, &needzero);
    assert_int_equal(s->base, base);
    assert_false(needzero);
    assert_int_equal(*(const char *)base, 0);
    assert_int_equal(*(const char *)(base + ARENA_B - 1), 0);
    pageheap_free_span(s);
    verify_now();
}

static void
test_release_stops_at_its_limit(void **state)
{
    (void)state;
    bool needzero;
    struct span *s = make_span(256, &needzero);
    memset((void *)s->base, 0xff, 256 * PAGE_B);
    pageheap_free_span(s);
    size_t before = pageheap.pages.scavenged_pages;
    size_t released_b = release(10 * PAGE_B);
    assert_in_range(released_b, 10 * PAGE_B, 10 * PAGE_B + 65536 - PAGE_B);
    assert_int_equal((pageheap.pages.scavenged_pages - before) * PAGE_B, released_b);
}

static void
test_span_may_cross_arenas(void **state)
{
    (void)state;
    bool needzero;
    size_t npages = ARENA_PAGES + 17;
    struct span *s = make_span(npages, &needzero);
    assert_ptr_equal(pageheap_span_of(s->base + npages * PAGE_B - 1), s);
    assert_int_equal(atomic_load(&pageheap.used_b) % ARENA_B, 0);
    *(char *)(s->base + npages * PAGE_B - 1) = 1;
    pageheap_free_span(s);
    verify_now();
}

static void
test_request_beyond_the_reserve_is_refused(void **state)
{
    (void)state;
    bool needzero;
    size_t used = atomic_load(&pageheap.used_b);
    assert_int_equal(pageheap_take_pages(pageheap.reserved_b / PAGE_B + 1, &needzero), 0);
    assert_int_equal(pageheap_take_pages(SIZE_MAX / PAGE_B, &needzero), 0);
    assert_int_equal(atomic_load(&pageheap.used_b), used);
    assert_int_equal(atomic_load(&pageheap.transit_pages), 0);
}

static void
test_limit_is_kept_by_what_is_in_use(void **state)
{
    (void)state;
    bool needzero;
    size_t inuse = pageheap.inuse_pages, n = 100;
    assert_int_equal(pageheap_left_b(), SIZE_MAX);
    pageheap_set_most((inuse + 10) * PAGE_B + 1);
    assert_int_equal(pageheap_left_b(), 10 * PAGE_B);
    assert_int_equal(pageheap_take_pages(11, &needzero), 0);
    struct span *s = make_span(4, &needzero);
    uintptr_t run = pageheap_take_run(2, &n, &needzero); /* as many as there is room for */
    assert_true(run != 0 && n >= 1 && n <= 3);
    assert_int_equal(pageheap_left_b(), (6 - 2 * n) * PAGE_B);
    pageheap_return_pages(run, 2 * n);
    pageheap_set_most(PAGE_B);
    assert_int_equal(pageheap_left_b(), 0); /* what is in use stays */
    assert_int_equal(pageheap_take_pages(1, &needzero), 0);
    pageheap_free_span(s);
    pageheap_set_most(SIZE_MAX);
    pageheap_free_span(make_span(11, &needzero));
}

static void
test_span_grows_where_it_lies(void **state)
{
    (void)state;
    bool needzero;
    struct span *s = make_span(20, &needzero), *after = make_span(4, &needzero);
    size_t inuse = pageheap.inuse_pages, free = pageheap.pages.free_pages;
    uintptr_t base = s->base, end = after->base + 4 * PAGE_B;
    assert_int_equal(after->base, base + 20 * PAGE_B);
    assert_false(pageheap_grow_span(s, 21, &needzero)); /* the next page is in use */
    assert_int_equal(s->npages, 20);
    pageheap_shrink_span(s, 5);
    assert_int_equal(s->elem_b, 5 * PAGE_B);
    assert_int_equal(pageheap.inuse_pages, inuse - 15);
    assert_int_equal(pageheap.pages.free_pages, free + 15);
    assert_ptr_equal(pageheap_span_of(base + 5 * PAGE_B - 1), s);
    assert_null(pageheap_span_of(base + 5 * PAGE_B));
    assert_true(pageheap_grow_span(s, 20, &needzero));
    assert_true(needzero); /* they were in use before, as far as anybody knows */
    assert_int_equal(pageheap.inuse_pages, inuse);
    assert_ptr_equal(pageheap_span_of(base + 20 * PAGE_B - 1), s);
    assert_ptr_equal(pageheap_span_of(end - 1), after);
    pageheap_free_span(after);
    pageheap_free_span(s);
}

static void
test_last_span_grows_beyond_the_committed_arenas(void **state)
{
    (void)state;
    bool needzero;
    size_t arenas = atomic_load(&pageheap.used_b) / ARENA_B;
    struct span *s = make_span(arenas * ARENA_PAGES, &needzero); /* so it lies at the top */
    size_t npages = s->npages + ARENA_PAGES;
    assert_true(pageheap_grow_span(s, npages, &needzero));
    assert_int_equal(s->elem_b, npages * PAGE_B);
    assert_ptr_equal(pageheap_span_of(s->base + npages * PAGE_B - 1), s);
    *(char *)(s->base + npages * PAGE_B - 1) = 1;
    assert_false(pageheap_grow_span(s, pageheap.reserved_b / PAGE_B + 1, &needzero));
    pageheap_free_span(s);
}

static void
test_slots_may_have_any_size(void **state)
{
    (void)state;
    bool needzero;
    for (size_t slot_b = 16; slot_b <= 32768; slot_b += slot_b < 1024 ? 16 : 128) {
        uintptr_t base = pageheap_take_pages(4, &needzero);
        struct span *s = pageheap_make_slots(base, 4, 1, slot_b, KIND_NOSCAN, needzero);
        assert_non_null(s);
        assert_int_equal(s->nelems, 4 * PAGE_B / slot_b);
        for (uint32_t i = 0; i < s->nelems; i++) {
            assert_int_equal(span_slot(s, i), base + i * slot_b);
            assert_int_equal(span_index(s, base + i * slot_b), i);
            assert_int_equal(span_index(s, base + i * slot_b + slot_b - 1), i);
        }
        pageheap_free_span(s);
    }
}

static void
test_heap_lies_in_whole_aligned_arenas(void **state)
{
    (void)state;
    assert_int_equal(pageheap.base % ARENA_B, 0);
    assert_int_equal(pageheap.reserved_b % ARENA_B, 0);
    assert_true(pageheap.reserved_b >= ARENA_B);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_page_of_a_span_leads_to_it),
        cmocka_unit_test(test_address_outside_leads_nowhere),
        cmocka_unit_test(test_freed_span_is_forgotten),
        cmocka_unit_test(test_pages_are_counted_in_and_out),
        cmocka_unit_test(test_fresh_pages_need_no_zeroing_and_used_ones_do),
        cmocka_unit_test(test_released_pages_read_as_zero),
        cmocka_unit_test(test_release_stops_at_its_limit),
        cmocka_unit_test(test_span_may_cross_arenas),
        cmocka_unit_test(test_request_beyond_the_reserve_is_refused),
        cmocka_unit_test(test_limit_is_kept_by_what_is_in_use),
        cmocka_unit_test(test_span_grows_where_it_lies),
        cmocka_unit_test(test_last_span_grows_beyond_the_committed_arenas),
        cmocka_unit_test(test_slots_may_have_any_size),
        cmocka_unit_test(test_heap_lies_in_whole_aligned_arenas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
