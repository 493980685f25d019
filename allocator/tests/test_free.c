/* Explicit free from any thread, what it refuses, reuse of the memory, and resizing. */
/* run: native asan valgrind */
#include "check.h"

#include "collector/verify.h"
#include "heap/pageheap.h"

static const uint64_t pair_mask = 1;
static const struct sh_type pair_type = {"pair", 16, &pair_mask, 0};

static void
test_freed_memory_is_used_again(void **state)
{
    (void)state;
    static const size_t sizes[] = {16, 48, 1024, 8192, 32768, 100000, 1 << 20};
    sh_set_gogc(SH_GOGC_OFF);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct sh_stats before, after;
        sh_free(sh_alloc(sizes[i]));
        sh_stats_read(&before);
        for (unsigned n = 0; n < 2000; n++)
            sh_free(sh_alloc(sizes[i]));
        sh_stats_read(&after);
        assert_in_range(after.heap_inuse_b, 0, before.heap_inuse_b + (256 << 10));
        assert_int_equal(after.heap_sys_b, before.heap_sys_b);
        assert_int_equal(after.heap_alloc_b, before.heap_alloc_b);
    }
    sh_set_gogc(100);
}

static void
test_free_counts_object_and_bytes(void **state)
{
    (void)state;
    struct sh_stats before, after;
    void *small = sh_alloc(50), *typed = sh_alloc_typed(&pair_type), *large = sh_alloc(50000);
    sh_stats_read(&before);
    sh_free(small);
    sh_free(typed);
    sh_free(large);
    sh_free(NULL);
    sh_stats_read(&after);
    assert_int_equal(after.frees - before.frees, 3);
    assert_int_equal(before.heap_objects - after.heap_objects, 3);
    assert_int_equal(before.heap_alloc_b - after.heap_alloc_b, 64 + 16 + 57344);
    assert_int_equal(after.mallocs, before.mallocs);
}

static void
test_freed_object_is_no_object_any_more(void **state)
{
    (void)state;
    char *p = sh_alloc(100);
    sh_free(p);
    assert_null(sh_object_base(p));
    assert_null(sh_object_base(p + 50));
}

static void
test_tiny_object_stays_until_its_block_dies(void **state)
{
    (void)state;
    char *a = sh_alloc_noscan(3), *b = sh_alloc_noscan(3);
    *b = 7;
    sh_free(a);
    sh_free(a);
    assert_int_equal(*b, 7);
    assert_non_null(sh_object_base(b));
    assert_int_equal(sh_usable_size(a), 0);
}

static void
test_large_object_gives_its_pages_back_at_once(void **state)
{
    (void)state;
    int gogc = sh_set_gogc(SH_GOGC_OFF); /* no collection in between frees other pages */
    sh_collect();
    sh_set_gogc(SH_GOGC_OFF);
    size_t inuse = pageheap.inuse_pages;
    void *p = sh_alloc_noscan(10 << 20);
    assert_int_equal(pageheap.inuse_pages, inuse + (10 << 20) / PAGE_B);
    sh_free(p);
    assert_int_equal(pageheap.inuse_pages, inuse);
    sh_set_gogc(gogc);
}

static void *
allocate_many(void *out)
{
    void **objects = out;
    for (unsigned i = 0; i < 1000; i++)
        sh_store(&objects[i], sh_alloc(16 + i % 500));
    return NULL;
}

static void *
free_many(void *objects)
{
    for (unsigned i = 0; i < 1000; i++)
        sh_free(((void **)objects)[i]);
    return NULL;
}

/* One thread allocates, another frees: the first still has the spans in its cache. */
static void
test_any_thread_may_free(void **state)
{
    (void)state;
    static void *objects[1000];
    struct sh_stats before, after;
    sh_set_gogc(SH_GOGC_OFF);
    sh_collect();
    sh_stats_read(&before);
    for (unsigned round = 0; round < 10; round++) {
        pthread_t thread;
        allocate_many(objects);
        assert_int_equal(sh_thread_create(&thread, NULL, free_many, objects), 0);
        sh_thread_join(thread, NULL);
        assert_int_equal(sh_thread_create(&thread, NULL, allocate_many, objects), 0);
        sh_thread_join(thread, NULL);
        free_many(objects);
    }
    sh_stats_read(&after);
    assert_int_equal(after.mallocs - before.mallocs, 20000);
    assert_int_equal(after.frees - before.frees, 20000);
    sh_set_gogc(100);
    memset(objects, 0, sizeof objects);
    verify_now();
}

/* ---- What is refused ---- */

static void
free_twice(void *size)
{
    void *p = sh_alloc(*(size_t *)size);
    sh_free(p);
    sh_free(p);
}

static void
free_at_offset(void *offset)
{
    char *p = sh_alloc(64);
    sh_free(p + *(size_t *)offset);
}

static void
free_outside(void *p)
{
    sh_free(p);
}

static void
free_unused_slot(void *arg)
{
    (void)arg;
    char *p = sh_alloc(3072); /* the only one of its span */
    sh_free(p + 3072);
}

static void
test_double_free_is_fatal(void **state)
{
    (void)state;
    size_t small = 100, large = 100000;
    assert_child_dies(free_twice, &small, "sh_free: 0x");
    assert_child_dies(free_twice, &small, "was freed before");
    assert_child_dies(free_twice, &large, "is not in the heap");
}

static void
test_free_of_something_else_is_fatal(void **state)
{
    (void)state;
    size_t inside = 8, odd = 3;
    int local;
    assert_child_dies(free_at_offset, &inside, "lies inside an object that begins at 0x");
    assert_child_dies(free_at_offset, &odd, "lies inside an object that begins at 0x");
    assert_child_dies(free_outside, &local, "is not in the heap");
    assert_child_dies(free_outside, (void *)(pageheap.base + pageheap.reserved_b),
                      "is not in the heap");
    assert_child_dies(free_unused_slot, NULL, "is not allocated");
}

/* ---- Accounting across a collection ---- */

static void
hold_every_tenth(void *slots)
{
    void **held = slots;
    for (size_t i = 0; i < 20000; i++)
        sh_store(&held[i], sh_alloc(256));
    for (size_t i = 0; i < 20000; i++)
        if (i % 10 != 0) {
            sh_free(held[i]);
            held[i] = NULL;
        }
}

/* What sh_free gave back before a collection is not in "marked": the sweep must not take it off
 * again. */
static void
test_frees_before_a_collection_do_not_lower_the_live_heap(void **state)
{
    (void)state;
    struct sh_stats stats;
    void **held = sh_alloc(20000 * sizeof *held);
    run_elsewhere(hold_every_tenth, held);
    sh_collect();
    size_t live_b = atomic_load(&heap_size.live_b);
    sh_stats_read(&stats);
    assert_in_range(live_b, stats.marked_b, stats.marked_b + (1 << 20));
    SH_KEEP_ALIVE(held);
}

/* ---- Resizing ---- */

static void
test_realloc_keeps_contents_and_kind(void **state)
{
    (void)state;
    unsigned char *p = sh_realloc(NULL, 10);
    for (size_t size = 10, next; size < 300000; size = next) {
        for (size_t i = 0; i < size; i++)
            p[i] = (unsigned char)(i * 7);
        next = size * 7 / 5 + 3;
        p = sh_realloc(p, next);
        for (size_t i = 0; i < next; i++)
            assert_int_equal(p[i], i < size ? (unsigned char)(i * 7) : 0);
        assert_int_equal(pageheap_span_of((uintptr_t)p)->kind, KIND_UNTYPED);
    }
    p = sh_realloc(p, 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(p[i], (unsigned char)(i * 7));
    char *noscan = sh_realloc(sh_alloc_noscan(100), 1000);
    assert_int_equal(pageheap_span_of((uintptr_t)noscan)->kind, KIND_NOSCAN);
}

/* Smaller and larger again, without a move: the bytes in between are new. */
static void
test_realloc_zeroes_new_bytes_in_place(void **state)
{
    (void)state;
    unsigned char *p = sh_alloc(1024);
    memset(p, 0xff, 1024);
    p = sh_realloc(p, 600);
    p = sh_realloc(p, 1024);
    for (size_t i = 0; i < 1024; i++)
        assert_int_equal(p[i], i < 600 ? 0xff : 0);
}

/* Every other slot of 24 bytes lies at an odd multiple of 8. */
static void
test_realloc_aligns_as_a_new_object_is(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        char *p = sh_realloc(memset(sh_alloc(24), 0x5a, 24), 16);
        assert_int_equal((uintptr_t)p % 16, 0);
        assert_true(p[0] == 0x5a && p[15] == 0x5a);
    }
}

static void
test_realloc_frees_the_old_object(void **state)
{
    (void)state;
    struct sh_stats before, after;
    sh_set_gogc(SH_GOGC_OFF);
    sh_collect();
    sh_stats_read(&before);
    void *p = sh_alloc(32);
    for (size_t size = 64; size <= 1 << 20; size *= 2)
        p = sh_realloc(p, size);
    sh_stats_read(&after);
    assert_int_equal(after.heap_objects - before.heap_objects, 1);
    sh_free(p);
    sh_set_gogc(100);
}

static void
test_realloc_of_tiny_objects_keeps_their_bytes(void **state)
{
    (void)state;
    unsigned char *p = sh_alloc_noscan(5);
    memcpy(p, "tiny", 5);
    p = sh_realloc(p, 400);
    assert_string_equal((char *)p, "tiny");
    assert_int_equal(pageheap_span_of((uintptr_t)p)->kind, KIND_NOSCAN);
}

static void
realloc_typed(void *arg)
{
    (void)arg;
    sh_realloc(sh_alloc_typed(&pair_type), 100);
}

static void
test_typed_objects_are_resized_by_their_own_function(void **state)
{
    (void)state;
    assert_child_dies(realloc_typed, NULL, "is typed, use sh_realloc_array");
    void **p = sh_realloc_array(&pair_type, NULL, 1);
    for (size_t n = 1; n < 3000; n *= 3) {
        p[2 * (n - 1)] = p;
        p = sh_realloc_array(&pair_type, p, 3 * n);
        assert_non_null(p[2 * (n - 1)]);
        assert_null(p[2 * n]);
        assert_int_equal(pageheap_span_of((uintptr_t)p)->kind, KIND_TYPED);
        p[2 * (n - 1)] = NULL;
    }
    sh_collect();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_freed_memory_is_used_again),
        cmocka_unit_test(test_free_counts_object_and_bytes),
        cmocka_unit_test(test_freed_object_is_no_object_any_more),
        cmocka_unit_test(test_tiny_object_stays_until_its_block_dies),
        cmocka_unit_test(test_large_object_gives_its_pages_back_at_once),
        cmocka_unit_test(test_any_thread_may_free),
        cmocka_unit_test(test_double_free_is_fatal),
        cmocka_unit_test(test_free_of_something_else_is_fatal),
        cmocka_unit_test(test_frees_before_a_collection_do_not_lower_the_live_heap),
        cmocka_unit_test(test_realloc_keeps_contents_and_kind),
        cmocka_unit_test(test_realloc_zeroes_new_bytes_in_place),
        cmocka_unit_test(test_realloc_aligns_as_a_new_object_is),
        cmocka_unit_test(test_realloc_frees_the_old_object),
        cmocka_unit_test(test_realloc_of_tiny_objects_keeps_their_bytes),
        cmocka_unit_test(test_typed_objects_are_resized_by_their_own_function),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
