/* The size classes, against Go's rules for making them. */
/* run: native asan valgrind */
#include "check.h"

#include "heap/sizeclass.h"

struct class_made {
    uint32_t size, npages;
};

static bool
power_of_two(uint32_t n)
{
    return (n & (n - 1)) == 0;
}

static uint32_t
align_at(uint32_t size, uint32_t align)
{
    if (!power_of_two(size))
        return align;
    if (size >= 2048)
        return 256;
    if (size >= 128)
        return size / 8;
    return size >= 32 ? 16 : align;
}

/* Go's mksizeclasses.go: at most 12.5 % wasted at a span's end, neighbours joined if as many fit.
 */
static unsigned
make_classes(struct class_made *out)
{
    unsigned n = 1;
    out[0] = (struct class_made){0, 0};
    for (uint32_t align = 8, size = align; size <= SMALL_MAX_B; size += align) {
        align = align_at(size, align);
        uint32_t bytes = PAGE_B;
        while (bytes % size > bytes / 8)
            bytes += PAGE_B;
        struct class_made *last = &out[n - 1];
        if (n > 1 && last->npages == bytes / PAGE_B && bytes / size == bytes / last->size)
            last->size = size;
        else
            out[n++] = (struct class_made){size, bytes / PAGE_B};
    }
    for (unsigned i = 1; i < n; i++) {
        uint32_t bytes = out[i].npages * PAGE_B, size = bytes / (bytes / out[i].size) & ~127u;
        if (size > out[i].size)
            out[i].size = size;
    }
    return n;
}

static void
test_classes_are_those_that_go_makes(void **state)
{
    (void)state;
    static struct class_made made[SMALL_MAX_B / 8];
    assert_int_equal(make_classes(made), NCLASSES);
    for (unsigned c = 0; c < NCLASSES; c++) {
        assert_int_equal(class_size_b[c], made[c].size);
        assert_int_equal(class_pages[c], made[c].npages);
    }
}

static unsigned
smallest_class_for(size_t size)
{
    unsigned c = 1;
    while (class_size_b[c] < size)
        c++;
    return c;
}

static void
test_both_lookup_tables_follow_from_the_sizes(void **state)
{
    (void)state;
    assert_int_equal(class_of_eighth[0], 0);
    for (size_t i = 1; i < COUNT_OF(class_of_eighth); i++)
        assert_int_equal(class_of_eighth[i], smallest_class_for(8 * i));
    for (size_t i = 0; i < COUNT_OF(class_of_128th); i++)
        assert_int_equal(class_of_128th[i], smallest_class_for(1024 + 128 * i));
}

static void
test_every_small_size_gets_its_smallest_class(void **state)
{
    (void)state;
    for (size_t size = 1; size <= SMALL_MAX_B; size++) {
        assert_int_equal(sizeclass_of(size), smallest_class_for(size));
        assert_int_equal(sizeclass_round(size), class_size_b[smallest_class_for(size)]);
    }
}

static void
test_magic_divides_every_offset_exactly(void **state)
{
    (void)state;
    for (unsigned c = 1; c < NCLASSES; c++) {
        uint32_t size = class_size_b[c];
        uint64_t magic = sizeclass_magic(size);
        for (uint32_t offset = 0; offset < class_pages[c] * PAGE_B; offset++)
            if (offset * magic >> 32 != offset / size)
                fail_msg("class %u, offset %u", c, offset);
    }
}

static void
test_large_sizes_round_to_pages(void **state)
{
    (void)state;
    assert_int_equal(sizeclass_round(0), 0);
    assert_int_equal(sizeclass_round(SMALL_MAX_B + 1), 5 * PAGE_B);
    assert_int_equal(sizeclass_round(5 * PAGE_B), 5 * PAGE_B);
    assert_int_equal(sizeclass_round(5 * PAGE_B + 1), 6 * PAGE_B);
}

static void
test_sizes_that_cannot_be_rounded_say_so(void **state)
{
    (void)state;
    assert_true(sizeclass_round(SIZE_MAX) == SIZE_MAX);
    assert_true(sizeclass_round(SIZE_MAX - PAGE_B + 1) == SIZE_MAX);
    assert_true(sizeclass_round(SIZE_MAX - PAGE_B) == SIZE_MAX - PAGE_B + 1);
}

static void
test_class_24_alone_is_not_16_byte_aligned(void **state)
{
    (void)state;
    for (unsigned c = 1; c < NCLASSES; c++)
        assert_int_equal(class_size_b[c] % 16 != 0, class_size_b[c] == 8 || class_size_b[c] == 24);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes_are_those_that_go_makes),
        cmocka_unit_test(test_both_lookup_tables_follow_from_the_sizes),
        cmocka_unit_test(test_every_small_size_gets_its_smallest_class),
        cmocka_unit_test(test_magic_divides_every_offset_exactly),
        cmocka_unit_test(test_large_sizes_round_to_pages),
        cmocka_unit_test(test_sizes_that_cannot_be_rounded_say_so),
        cmocka_unit_test(test_class_24_alone_is_not_16_byte_aligned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
