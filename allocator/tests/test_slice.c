/* Slices: Go's growth step by step (append.csv was observed), windows, clones. */
#include "check.h"

#include <spanheap/slice.h>

/* The table is part of the program, so that it runs from any directory. -Iallocator finds it. */
__asm__(".section .rodata\nappend_csv: .incbin \"tests/append.csv\"\n.byte 0\n.previous\n");
extern const char append_csv[];

static const struct sh_type byte_type = {"byte", 1, NULL, 0};
static const struct sh_type int64_type = {"int64", 8, NULL};
static const uint64_t pointer_mask = 1;
static const struct sh_type pointer_type = {"pointer", 8, &pointer_mask, 0};

/* Appends single elements and compares each new capacity with those of one line. */
static void
follow_line(char *line)
{
    const char *name = strtok(line, ",");
    struct sh_type type = {name, strtoul(strtok(NULL, ","), NULL, 10), NULL, 0};
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

/* Go does not grow what takes no memory ahead: each capacity is what was needed. */
static void
test_append_of_elements_without_size_has_the_capacity_it_needs(void **state)
{
    (void)state;
    static const struct sh_type nothing_type = {"nothing", 0, NULL, 0};
    struct sh_slice s = {NULL, 0, 0};
    for (size_t n = 1; n < 300; n++) {
        s = sh_slice_append(&nothing_type, s, NULL, 1);
        assert_int_equal(s.len, n);
        assert_int_equal(s.cap, n);
    }
    struct sh_slice two = sh_slice_window(&nothing_type, s, 0, 2);
    assert_int_equal(sh_slice_append(&nothing_type, two, NULL, 3).cap, 299);
    assert_int_equal(sh_slice_append(&nothing_type, two, NULL, 300).cap, 302);
    assert_int_equal(sh_slice_clone(&nothing_type, s).cap, 299);
    for (int rule = SH_SLICE_GO_1_18; rule <= SH_SLICE_GO_1_22; rule++)
        assert_int_equal(sh_slice_cap_by((enum sh_slice_rule)rule, &nothing_type, 8, 9), 9);
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

struct three {
    size_t low, high, max;
};

static void
cut_by_three(void *bounds)
{
    const struct three *b = bounds;
    sh_slice_window3(&int64_type, sh_slice_make(&int64_type, 5, 10), b->low, b->high, b->max);
}

static void
read_at(void *index)
{
    sh_slice_at(&int64_type, sh_slice_make(&int64_type, 5, 10), *(size_t *)index);
}

/* The words are those of Go 1.19; where it stops at "out of range", the values follow here. */
static void
test_impossible_bounds_and_sizes_panic_in_the_words_of_go(void **state)
{
    (void)state;
    size_t crossed[] = {4, 3}, beyond[] = {0, 11}, longer[] = {3, 2}, huge[] = {0, SIZE_MAX / 4};
    size_t too_long[] = {SIZE_MAX / 4, SIZE_MAX / 4}, five = 5;
    struct three above = {0, 5, 11}, over = {0, 6, 5}, swapped = {3, 2, 5};
    assert_child_panics(cut, crossed, "runtime error: slice bounds out of range [4:3]\n");
    assert_child_panics(cut, beyond,
                        "runtime error: slice bounds out of range [:11] with capacity 10\n");
    assert_child_panics(cut_by_three, &above,
                        "runtime error: slice bounds out of range [::11] with capacity 10\n");
    assert_child_panics(cut_by_three, &over, "runtime error: slice bounds out of range [:6:5]\n");
    assert_child_panics(cut_by_three, &swapped,
                        "runtime error: slice bounds out of range [3:2:]\n");
    assert_child_panics(read_at, &five, "runtime error: index out of range [5] with length 5\n");
    assert_child_panics(make, longer, "runtime error: makeslice: cap out of range: 2");
    assert_child_panics(make, huge, "runtime error: makeslice: cap out of range");
    assert_child_panics(make, too_long, "runtime error: makeslice: len out of range");
    assert_child_panics(grow_too_far, NULL, "runtime error: growslice: len out of range");
    assert_child_panics(grow_bytes_too_far, NULL, "runtime error: growslice: cap out of range");
}

static void
test_window_of_three_ends_its_capacity(void **state)
{
    (void)state;
    int64_t nine = 9;
    struct sh_slice s = sh_slice_make(&int64_type, 5, 10);
    struct sh_slice w = sh_slice_window3(&int64_type, s, 1, 3, 4);
    assert_ptr_equal(w.data, (int64_t *)s.data + 1);
    assert_int_equal(w.len, 2);
    assert_int_equal(w.cap, 3);
    w = sh_slice_append(&int64_type, sh_slice_clip(w), &nine, 1);
    assert_int_equal(((int64_t *)w.data)[2], 9);
    assert_int_equal(((int64_t *)s.data)[3], 0); /* not the shared array */
    w = sh_slice_window3(&int64_type, s, 10, 10, 10);
    assert_ptr_equal(w.data, s.data);
}

static void
test_copy_takes_what_both_have_and_may_overlap(void **state)
{
    (void)state;
    struct sh_slice s = sh_slice_make(&int64_type, 6, 6);
    for (int64_t i = 0; i < 6; i++)
        ((int64_t *)s.data)[i] = i;
    size_t n = sh_slice_copy(&int64_type, sh_slice_window(&int64_type, s, 1, 6), s);
    static const int64_t expected[] = {0, 0, 1, 2, 3, 4};
    assert_int_equal(n, 5);
    assert_memory_equal(s.data, expected, sizeof expected);
    assert_int_equal(sh_slice_copy(&int64_type, (struct sh_slice){NULL, 0, 0}, s), 0);
}

static void
test_typed_append_is_append(void **state)
{
    (void)state;
    SH_SLICE_OF(int64_t) numbers = {{NULL, 0, 0}};
    SH_SLICE_OF(char *) texts = {{NULL, 0, 0}};
    for (int64_t i = 0; i < 1000; i++) {
        sh_append(&int64_type, &numbers, i);
        sh_append(&pointer_type, &texts, sh_alloc_noscan(16));
        texts.data[i][0] = (char)i;
    }
    collect();
    assert_int_equal(numbers.len, 1000);
    assert_int_equal(numbers.cap, 1280);
    for (int64_t i = 0; i < 1000; i++) {
        assert_int_equal(numbers.data[i], i);
        assert_int_equal(texts.data[i][0], (char)i);
    }
}

static void
append_another_type(void *arg)
{
    (void)arg;
    SH_SLICE_OF(char) text = {{NULL, 0, 0}};
    sh_append(&int64_type, &text, 'x');
}

static void
test_typed_append_knows_another_type(void **state)
{
    (void)state;
    assert_child_dies(append_another_type, NULL,
                      "sh_append: type int64 has 8 bytes, the value has 1");
}

/* Of append one by one. 1.0 to 1.17: runtime/slice.go of Go 1.17; 1.22: msize.go and slice.go. */
static void
test_other_rules_are_those_of_other_versions(void **state)
{
    (void)state;
    static const size_t old_caps[] = {1,   2,   4,   8,    16,   32,   64,
                                      128, 256, 512, 1024, 1280, 1696, 2304};
    struct sh_slice s = {NULL, 0, 0};
    assert_int_equal(sh_slice_set_rule(SH_SLICE_GO_1_0), SH_SLICE_GO_1_18);
    for (size_t i = 0; i < COUNT_OF(old_caps); i++) {
        s = sh_slice_append(&int64_type, s, NULL, s.cap - s.len + 1);
        assert_int_equal(s.cap, old_caps[i]);
    }
    assert_int_equal(sh_slice_set_rule(SH_SLICE_GO_1_18), SH_SLICE_GO_1_0);
    assert_int_equal(sh_slice_cap_by(SH_SLICE_GO_1_22, &pointer_type, 32, 33), 64);
    assert_int_equal(sh_slice_cap_by(SH_SLICE_GO_1_22, &pointer_type, 64, 65), 143);
    assert_int_equal(sh_slice_cap_by(SH_SLICE_GO_1_22, &int64_type, 64, 65), 128);
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
        cmocka_unit_test(test_append_of_elements_without_size_has_the_capacity_it_needs),
        cmocka_unit_test(test_window_shares_the_array_and_runs_to_its_end),
        cmocka_unit_test(test_impossible_bounds_and_sizes_panic_in_the_words_of_go),
        cmocka_unit_test(test_window_of_three_ends_its_capacity),
        cmocka_unit_test(test_copy_takes_what_both_have_and_may_overlap),
        cmocka_unit_test(test_typed_append_is_append),
        cmocka_unit_test(test_typed_append_knows_another_type),
        cmocka_unit_test(test_other_rules_are_those_of_other_versions),
        cmocka_unit_test(test_clone_has_an_array_of_its_own),
        cmocka_unit_test(test_make_of_nothing_allocates_nothing),
        cmocka_unit_test(test_window_keeps_the_whole_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
