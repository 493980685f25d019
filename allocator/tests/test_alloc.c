/* Allocation: zeroed, aligned, packed and rounded as Go does it; sizes that cannot be had. */
/* run: native asan valgrind */
#include "check.h"

#include "heap/cache.h"
#include "heap/pageheap.h"

#define SEED UINT64_C(4711)

static bool
all_zero(const void *p, size_t size)
{
    const unsigned char *bytes = p;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

/* Fills, frees and takes again: what comes back must not show what was there. */
static void
churn(size_t size, bool noscan)
{
    for (unsigned i = 0; i < 40; i++) {
        char *p = noscan ? sh_alloc_noscan(size) : sh_alloc(size);
        assert_true(
            all_zero(p, sh_round_size(size) > size && size >= 16 ? sh_usable_size(p) : size));
        memset(p, 0xff, size);
        if (i % 2 == 0)
            sh_free(p);
    }
}

static void
test_memory_is_zero_after_reuse(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 3 * SMALL_MAX_B; size = size * 5 / 4 + 1) {
        churn(size, false);
        churn(size, true);
    }
    sh_collect();
    for (size_t size = 1; size <= 3 * SMALL_MAX_B; size = size * 5 / 4 + 1) {
        churn(size, false);
        churn(size, true);
    }
}

static void
test_alignment_is_16_except_for_8_and_24_bytes(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 40000; size += size < 1100 ? 1 : 37) {
        size_t align = sh_round_size(size) == 8 || sh_round_size(size) == 24 ? 8 : 16;
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal((uintptr_t)sh_alloc(size) % align, 0);
            if (size >= 16)
                assert_int_equal((uintptr_t)sh_alloc_noscan(size) % align, 0);
        }
    }
}

static void
test_tiny_objects_are_aligned_by_what_divides_their_size(void **state)
{
    (void)state;
    struct rng rng = {SEED};
    for (unsigned i = 0; i < 20000; i++) {
        size_t size = 1 + rng_below(&rng, 15);
        size_t align = size % 8 == 0 ? 8 : size % 4 == 0 ? 4 : size % 2 == 0 ? 2 : 1;
        uintptr_t p = (uintptr_t)sh_alloc_noscan(size);
        assert_seeded(p % align == 0, SEED);
        assert_seeded(p / 16 == (p + size - 1) / 16, SEED); /* within one block */
    }
}

static void
test_tiny_objects_do_not_overlap(void **state)
{
    (void)state;
    struct rng rng = {SEED + 1};
    enum { N = 3000 };
    static unsigned char *objects[N];
    static size_t sizes[N];
    for (unsigned i = 0; i < N; i++) {
        sizes[i] = 1 + rng_below(&rng, 15);
        objects[i] = sh_alloc_noscan(sizes[i]);
        assert_seeded(all_zero(objects[i], sizes[i]), SEED + 1);
        memset(objects[i], (int)(i % 255 + 1), sizes[i]);
    }
    for (unsigned i = 0; i < N; i++)
        for (size_t b = 0; b < sizes[i]; b++)
            assert_seeded(objects[i][b] == i % 255 + 1, SEED + 1);
}

static void
measure_tiny(void *size)
{
    struct sh_stats before, after;
    sh_set_gogc(SH_GOGC_OFF);
    sh_stats_read(&before);
    for (unsigned i = 0; i < 16000; i++)
        sh_alloc_noscan(*(size_t *)size);
    sh_stats_read(&after);
    size_t *bytes = size;
    bytes[1] = after.total_alloc_b - before.total_alloc_b;
    bytes[2] = after.mallocs - before.mallocs;
}

/* Two small objects to a 16-byte block at most, and so on. The figures are Go's, from facts. */
static void
test_tiny_packing_costs_what_it_costs_in_go(void **state)
{
    (void)state;
    const size_t cases[][2] = {{1, 16000}, {5, 85344}, {7, 128000}, {8, 128000}, {15, 256000}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t measured[3] = {cases[i][0], 0, 0};
        run_elsewhere(measure_tiny, measured); /* a thread begins without a tiny block */
        assert_int_equal(measured[1], cases[i][1]);
    }
}

static void
test_size_zero_gives_one_address_and_costs_nothing(void **state)
{
    (void)state;
    struct sh_stats before, after;
    sh_stats_read(&before);
    void *p = sh_alloc(0);
    assert_non_null(p);
    assert_ptr_equal(sh_alloc_noscan(0), p);
    assert_ptr_equal(sh_try_alloc(0, 8, SH_UNTYPED), p);
    assert_ptr_equal(sh_try_alloc(8, 0, SH_NOSCAN), p);
    sh_free(p);
    sh_stats_read(&after);
    assert_int_equal(after.mallocs, before.mallocs);
    assert_int_equal(after.frees, before.frees);
    assert_int_equal(sh_usable_size(p), 0);
    assert_null(sh_object_base(p));
}

static void
test_usable_size_is_the_size_class(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 40000; size++) {
        size_t expected = size <= SMALL_MAX_B ? class_size_b[sizeclass_of(size)]
                                              : (size + PAGE_B - 1) / PAGE_B * PAGE_B;
        void *p = sh_alloc(size);
        assert_int_equal(sh_usable_size(p), expected);
        assert_int_equal(sh_round_size(size), expected);
        sh_free(p);
        p = sh_alloc_noscan(size);
        assert_int_equal(sh_usable_size(p), size < 16 ? 0 : expected);
        sh_free(p);
    }
}

static void
test_large_objects_are_zero_and_whole(void **state)
{
    (void)state;
    static const size_t sizes_kib[] = {33, 100, 2048, 4100, 20000, 65536};
    for (unsigned round = 0; round < 2; round++)
        for (size_t i = 0; i < COUNT_OF(sizes_kib); i++) {
            size_t size = sizes_kib[i] << 10;
            char *p = sh_alloc_noscan(size);
            assert_int_equal((uintptr_t)p % PAGE_B, 0);
            for (size_t at = 0; at < size; at += 1024)
                assert_int_equal(p[at], 0);
            for (size_t at = 0; at < size; at += 1024)
                p[at] = 1;
            p[size - 1] = 1;
            assert_ptr_equal(sh_object_base(p + size - 1), p);
            assert_ptr_not_equal(sh_object_base(p + sh_usable_size(p)), p);
            sh_free(p);
        }
}

static void
test_try_alloc_reports_overflow_and_lack_of_memory(void **state)
{
    (void)state;
    const size_t too_many[][2] = {{SIZE_MAX, 2},        {2, SIZE_MAX},        {SIZE_MAX / 8, 9},
                                  {1, SIZE_MAX},        {1, SIZE_MAX - 8191}, {1, SIZE_MAX - 8192},
                                  {1, (size_t)1 << 60}, {1, (size_t)1 << 46}};
    for (size_t i = 0; i < COUNT_OF(too_many); i++) {
        errno = 0;
        assert_null(sh_try_alloc(too_many[i][0], too_many[i][1], SH_UNTYPED));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(sh_try_alloc(too_many[i][0], too_many[i][1], SH_NOSCAN));
        assert_int_equal(errno, ENOMEM);
    }
    assert_non_null(sh_try_alloc(3, 100, SH_UNTYPED));
}

static const uint64_t pair_mask = 3;
static const struct sh_type pair_type = {"pair", 16, &pair_mask, 0};
static const struct sh_type odd_type = {"odd", 12, &pair_mask, 0};
static const struct sh_type byte_type = {"byte", 1, NULL, 0};

static void
allocate_too_large_array(void *arg)
{
    (void)arg;
    sh_alloc_array(&pair_type, SIZE_MAX / 8);
}

static void
allocate_odd_type(void *arg)
{
    (void)arg;
    sh_alloc_typed(&odd_type);
}

static void
allocate_too_much(void *arg)
{
    (void)arg;
    sh_alloc((size_t)1 << 50);
}

static void
test_impossible_arrays_are_fatal_and_name_the_type(void **state)
{
    (void)state;
    assert_child_dies(allocate_too_large_array, NULL, "elements of type pair (16 bytes) overflow");
    assert_child_dies(allocate_odd_type, NULL, "type odd: holds pointers, but its size 12");
    assert_child_dies(allocate_too_much, NULL, "out of memory: cannot allocate 1125899906842624");
}

static void
test_arrays_take_the_kind_of_their_type(void **state)
{
    (void)state;
    struct span *s = pageheap_span_of((uintptr_t)sh_alloc_array(&pair_type, 10));
    assert_int_equal(s->kind, KIND_TYPED);
    assert_int_equal(s->elem_b, 160);
    assert_int_equal(pageheap_span_of((uintptr_t)sh_alloc_array(&byte_type, 100))->kind,
                     KIND_NOSCAN);
    assert_int_equal(pageheap_span_of((uintptr_t)sh_alloc_array(&byte_type, 3))->kind, KIND_TINY);
}

static void
test_object_base_is_found_from_any_byte_inside(void **state)
{
    (void)state;
    for (size_t size = 16; size <= 100000; size = size * 3 / 2) {
        char *p = sh_alloc(size);
        size_t usable = sh_usable_size(p);
        for (size_t at = 0; at < usable; at += 1 + usable / 50)
            assert_ptr_equal(sh_object_base(p + at), p);
        assert_ptr_equal(sh_object_base(p + usable - 1), p);
        assert_ptr_not_equal(sh_object_base(p + usable), p);
    }
}

static void
test_version_of_library_and_header_agree(void **state)
{
    (void)state;
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", SH_VERSION_MAJOR, SH_VERSION_MINOR, SH_VERSION_PATCH);
    assert_string_equal(sh_version(), SH_VERSION);
    assert_string_equal(text, SH_VERSION);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_zero_after_reuse),
        cmocka_unit_test(test_alignment_is_16_except_for_8_and_24_bytes),
        cmocka_unit_test(test_tiny_objects_are_aligned_by_what_divides_their_size),
        cmocka_unit_test(test_tiny_objects_do_not_overlap),
        cmocka_unit_test(test_tiny_packing_costs_what_it_costs_in_go),
        cmocka_unit_test(test_size_zero_gives_one_address_and_costs_nothing),
        cmocka_unit_test(test_usable_size_is_the_size_class),
        cmocka_unit_test(test_large_objects_are_zero_and_whole),
        cmocka_unit_test(test_try_alloc_reports_overflow_and_lack_of_memory),
        cmocka_unit_test(test_impossible_arrays_are_fatal_and_name_the_type),
        cmocka_unit_test(test_arrays_take_the_kind_of_their_type),
        cmocka_unit_test(test_object_base_is_found_from_any_byte_inside),
        cmocka_unit_test(test_version_of_library_and_header_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
