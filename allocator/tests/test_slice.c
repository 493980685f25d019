/* Slices: Go's growth step by step (append.csv was observed), windows, clones. */
#include "check.h"

#include <spanheap/slice.h>

/* The table is part of the program, so that it runs from any directory. -Iallocator finds it. */
__asm__(".section .rodata\nappend_csv: .incbin \"tests/append.csv\"\n.byte 0\n.previous\n");
extern const char append_csv[];

static const struct sh_type byte_type = {"byte", 1, NULL};
static const struct sh_type int64_type = {"int64", 8, NULL};
static const uint64_t pointer_mask = 1;
static const struct sh_type pointer_type = {"pointer", 8, &pointer_mask};

/* Appends single elements and compares each new capacity with those of one line. */
static void
follow_line(char *line)
{
    const char *name = strtok(line, ",");
    struct sh_type type = {name, strtoul(strtok(NULL, ","), NULL, 10), NULL};
    char *next = strtok(NULL, ",");
    struct sh_slice s = {NULL, 0, 0};
    size_t capacity = 0, steps = 0;
    while (*next != '\0') {
        s = sh_slice_append(&type, s, NULL, 1);
        if (s.cap == capacity)
            continue;
        capacity = s.cap;
        size_t expected = strtoul(next, &next, 10);
        steps++;
        if (capacity != expected)
            fail_msg("%s: step %zu gives %zu, Go gives %zu", name, steps, capacity, expected);
    }
    assert_true(steps > 10);
}

static void
test_appending_grows_through_the_capacities_of_go(void **state)
{
    (void)state;
    char *text = strdup(append_csv), *rest, *line;
    size_t lines = 0;
    for (line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        if (line[0] == '#' || strncmp(line, "element,", 8) == 0)
            continue;
        follow_line(line);
        lines++;
    }
    free(text);
    assert_int_equal(lines, 5);
}

/* Go 1.19: append(make([]T, old), make([]T, n)...) */
static void
test_bulk_append_takes_what_is_needed_rounded_up(void **state)
{
    (void)state;
    static const size_t cases[][4] = {
        /* element_b, old, need, capacity */
        {8, 0, 5, 6},         {8, 0, 3, 3},       {1, 0, 5, 8},       {1, 0, 33, 48},
        {16, 0, 5, 5},        {8, 1, 1000, 1024}, {8, 4, 9, 10},      {8, 4, 8, 8},
        {8, 255, 256, 512},   {8, 256, 257, 512}, {8, 256, 513, 608}, {8, 1000, 1001, 1536},
        {8, 512, 1024, 1280}, {24, 0, 2, 2},      {40, 1, 2, 2},      {1, 0, 32769, 40960},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t got = sh_slice_grow_cap(cases[i][0], cases[i][1], cases[i][2]);
        if (got != cases[i][3])
            fail_msg("%zu -> %zu elements of %zu bytes: %zu, not %zu", cases[i][1], cases[i][2],
                     cases[i][0], got, cases[i][3]);
    }
}

static void
test_capacity_always_fills_its_size_class(void **state)
{
    (void)state;
    for (size_t element_b = 1; element_b < 200; element_b += 7)
        for (size_t old = 0; old < 3000; old += 1 + old / 3) {
            size_t cap = sh_slice_grow_cap(element_b, old, old + 1), bytes = cap * element_b;
            assert_true(cap > old);
            assert_true(sh_round_size(bytes) - bytes < element_b);
        }
}

static void
test_append_keeps_old_elements_and_adds_the_new(void **state)
{
    (void)state;
    struct sh_slice s = {NULL, 0, 0};
    int64_t block[7];
    for (int64_t i = 0; i < 7000; i += 7) {
        for (int64_t j = 0; j < 7; j++)
            block[j] = i + j;
        s = sh_slice_append(&int64_type, s, block, 7);
    }
    assert_int_equal(s.len, 7000);
    for (int64_t i = 0; i < 7000; i++)
        assert_int_equal(((int64_t *)s.data)[i], i);
}

static void
test_append_within_the_capacity_writes_into_the_shared_array(void **state)
{
    (void)state;
    int64_t nine = 9;
    struct sh_slice s = sh_slice_make(&int64_type, 4, 8);
    struct sh_slice head = sh_slice_window(&int64_type, s, 0, 2);
    struct sh_slice longer = sh_slice_append(&int64_type, head, &nine, 1);
    assert_ptr_equal(longer.data, s.data);
    assert_int_equal(((int64_t *)s.data)[2], 9);
    s = sh_slice_append(&int64_type, s, NULL, 5); /* over the capacity: an array of its own */
    assert_ptr_not_equal(longer.data, s.data);
    ((int64_t *)s.data)[2] = 1;
    assert_int_equal(((int64_t *)longer.data)[2], 9);
}

static void
test_append_of_nothing_given_is_zero(void **state)
{
    (void)state;
    struct sh_slice s = sh_slice_make(&int64_type, 8, 8);
    memset(s.data, 0xff, 64);
    s = sh_slice_append(&int64_type, sh_slice_window(&int64_type, s, 0, 3), NULL, 2);
    for (int i = 0; i < 8; i++)
        assert_int_equal(((int64_t *)s.data)[i], i == 3 || i == 4 ? 0 : -1);
}

static void
test_window_shares_the_array_and_runs_to_its_end(void **state)
{
    (void)state;
    struct sh_slice s = sh_slice_make(&int64_type, 5, 10);
    struct sh_slice w = sh_slice_window(&int64_type, s, 2, 4);
    assert_ptr_equal(w.data, (int64_t *)s.data + 2);
    assert_int_equal(w.len, 2);
    assert_int_equal(w.cap, 8);
    w = sh_slice_window(&int64_type, s, 7, 10); /* beyond the length, within the capacity */
    assert_int_equal(w.len, 3);
    w = sh_slice_window(&int64_type, s, 10, 10);
    assert_int_equal(w.cap, 0);
    assert_ptr_equal(w.data, s.data); /* not past the end, where another object begins */
}

static void
cut(void *bounds)
{
    const size_t *b = bounds;
    sh_slice_window(&int64_type, sh_slice_make(&int64_type, 5, 10), b[0], b[1]);
}

static void
make(void *sizes)
{
    const size_t *s = sizes;
    sh_slice_make(&int64_type, s[0], s[1]);
}

static void
grow_too_far(void *arg)
{
    (void)arg;
    struct sh_slice s = sh_slice_make(&int64_type, 8, 8);
    sh_slice_append(&int64_type, s, NULL, SIZE_MAX - 3);
}

static void
grow_bytes_too_far(void *arg)
{
    (void)arg;
    struct sh_slice s = {NULL, 0, 0};
    sh_slice_append(&int64_type, s, NULL, SIZE_MAX / 8 + 1);
}

static void
test_impossible_bounds_and_sizes_are_fatal(void **state)
{
    (void)state;
    size_t crossed[] = {4, 3}, beyond[] = {0, 11}, longer[] = {3, 2}, huge[] = {0, SIZE_MAX / 4};
    assert_child_dies(cut, crossed, "slice bounds [4:3] with capacity 10");
    assert_child_dies(cut, beyond, "slice bounds [0:11] with capacity 10");
    assert_child_dies(make, longer, "sh_slice_make: length 3 is over the capacity 2");
    assert_child_dies(make, huge, "elements of type int64 (8 bytes) overflow");
    assert_child_dies(grow_too_far, NULL, "overflow");
    assert_child_dies(grow_bytes_too_far, NULL, "overflow");
}

static void
test_clone_has_an_array_of_its_own(void **state)
{
    (void)state;
    struct sh_slice s = sh_slice_make(&byte_type, 33, 1000);
    memset(s.data, 5, 33);
    struct sh_slice c = sh_slice_clone(&byte_type, s);
    assert_int_equal(c.len, 33);
    assert_int_equal(c.cap, 48);
    ((char *)s.data)[0] = 6;
    assert_int_equal(((char *)c.data)[0], 5);
    c = sh_slice_clone(&byte_type, (struct sh_slice){s.data, 0, 1000});
    assert_null(c.data);
    assert_int_equal(c.cap, 0);
}

static void
test_make_of_nothing_allocates_nothing(void **state)
{
    (void)state;
    struct sh_stats before, after;
    sh_stats_read(&before);
    struct sh_slice s = sh_slice_make(&int64_type, 0, 0);
    sh_stats_read(&after);
    assert_null(s.data);
    assert_int_equal(after.mallocs, before.mallocs);
}

static uintptr_t hidden[2];

static void
make_retained(void *out)
{
    struct sh_slice s = sh_slice_make(&pointer_type, 1000, 1000);
    void *element = sh_alloc(100);
    sh_store(s.data, element);
    hidden[0] = hide(s.data);
    hidden[1] = hide(element);
    *(struct sh_slice *)out = sh_slice_window(&pointer_type, s, 900, 901);
}

static void
replace_by_clone(void *slice)
{
    *(struct sh_slice *)slice = sh_slice_clone(&pointer_type, *(struct sh_slice *)slice);
}

/* The pitfall itself: one element of a window keeps the array and all that it refers to. */
static void
test_window_keeps_the_whole_array(void **state)
{
    (void)state;
    static struct sh_slice window;
    run_elsewhere(make_retained, &window);
    sh_collect();
    assert_true(is_alive(hidden[0]));
    assert_true(is_alive(hidden[1]));
    run_elsewhere(replace_by_clone, &window);
    collect();
    assert_false(is_alive(hidden[0]));
    assert_false(is_alive(hidden[1]));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appending_grows_through_the_capacities_of_go),
        cmocka_unit_test(test_bulk_append_takes_what_is_needed_rounded_up),
        cmocka_unit_test(test_capacity_always_fills_its_size_class),
        cmocka_unit_test(test_append_keeps_old_elements_and_adds_the_new),
        cmocka_unit_test(test_append_within_the_capacity_writes_into_the_shared_array),
        cmocka_unit_test(test_append_of_nothing_given_is_zero),
        cmocka_unit_test(test_window_shares_the_array_and_runs_to_its_end),
        cmocka_unit_test(test_impossible_bounds_and_sizes_are_fatal),
        cmocka_unit_test(test_clone_has_an_array_of_its_own),
        cmocka_unit_test(test_make_of_nothing_allocates_nothing),
        cmocka_unit_test(test_window_keeps_the_whole_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
