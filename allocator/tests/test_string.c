/* Strings: windows into bytes that nobody changes. */
#include "check.h"

#include <spanheap/string.h>

static void
test_substring_shares_the_bytes(void **state)
{
    (void)state;
    struct sh_string s = sh_string_from("spanheap");
    struct sh_string heap = sh_string_sub(s, 4, 8);
    assert_ptr_equal(heap.data, s.data + 4);
    assert_true(sh_string_equal(heap, SH_STRING("heap")));
    assert_int_equal(sh_string_at(s, 7), 'p');
    struct sh_string end = sh_string_sub(s, 8, 8);
    assert_int_equal(end.len, 0);
    assert_ptr_equal(end.data, s.data); /* not past the end, where another object begins */
}

static uintptr_t hidden;
static struct sh_string kept;

static void
keep_a_piece(void *arg)
{
    (void)arg;
    char *large = fresh_object(1 << 20);
    hidden = hide(large);
    memset(large, 'x', 3);
    kept = sh_string_sub((struct sh_string){large, 1 << 20}, 0, 3);
}

static void
replace_by_clone(void *arg)
{
    (void)arg;
    kept = sh_string_clone(kept);
}

/* The pitfall itself, and its fix. */
static void
test_substring_keeps_all_of_the_bytes_and_a_clone_does_not(void **state)
{
    (void)state;
    run_elsewhere(keep_a_piece, NULL);
    collect();
    assert_true(is_alive(hidden));
    run_elsewhere(replace_by_clone, NULL);
    collect();
    assert_false(is_alive(hidden));
    assert_true(sh_string_equal(kept, SH_STRING("xxx")));
}

static void
test_concat_copies_only_if_it_must(void **state)
{
    (void)state;
    struct sh_string a = sh_string_from("span"), none = {NULL, 0};
    assert_ptr_equal(sh_string_concat(a, none).data, a.data);
    assert_ptr_equal(sh_string_concat(none, a).data, a.data);
    assert_true(sh_string_equal(sh_string_concat(a, SH_STRING("heap")), SH_STRING("spanheap")));
    assert_string_equal(sh_string_to_c(a), "span");
    assert_string_equal(sh_string_to_c(none), "");
}

static void
test_compare_is_by_bytes(void **state)
{
    (void)state;
    assert_true(sh_string_compare(SH_STRING("a"), SH_STRING("b")) < 0);
    assert_true(sh_string_compare(SH_STRING("b"), SH_STRING("abc")) > 0);
    assert_true(sh_string_compare(SH_STRING("ab"), SH_STRING("abc")) < 0);
    assert_true(sh_string_compare(SH_STRING("\xff"), SH_STRING("a")) > 0);
    assert_int_equal(sh_string_compare(SH_STRING("abc"), SH_STRING("abc")), 0);
    assert_false(sh_string_equal(SH_STRING("ab"), SH_STRING("abc")));
}

static void
test_bytes_and_strings_share_nothing(void **state)
{
    (void)state;
    struct sh_slice bytes = sh_string_to_bytes(SH_STRING("hello, long string of 37 bytes, really"));
    assert_int_equal(bytes.len, 38);
    assert_int_equal(bytes.cap, 48);
    struct sh_string s = sh_string_of_bytes(bytes);
    ((char *)bytes.data)[0] = 'j';
    assert_int_equal(s.data[0], 'h');
    assert_int_equal(sh_string_to_bytes((struct sh_string){NULL, 0}).cap, 0);
}

struct bounds {
    size_t low, high;
};

static void
cut(void *bounds)
{
    const struct bounds *b = bounds;
    sh_string_sub(SH_STRING("abc"), b->low, b->high);
}

static void
read_at(void *index)
{
    sh_string_at(SH_STRING("abc"), *(size_t *)index);
}

/* Nobody can have such strings, but a length may be wrong. */
static void
join(void *len)
{
    struct sh_string s = {"abc", *(size_t *)len};
    sh_string_concat(s, s);
}

static void
test_concat_that_is_too_long_panics_in_the_words_of_go(void **state)
{
    (void)state;
    size_t half = SIZE_MAX / 4 + 1, most = SIZE_MAX;
    assert_child_panics(join, &half,
                        "string concatenation too long: 4611686018427387904 bytes and "
                        "4611686018427387904\n");
    assert_child_panics(join, &most, "string concatenation too long: ");
}

static void
test_impossible_bounds_panic_in_the_words_of_go(void **state)
{
    (void)state;
    struct bounds beyond = {1, 4}, crossed = {3, 2};
    size_t three = 3;
    assert_child_panics(cut, &beyond,
                        "runtime error: slice bounds out of range [:4] with length 3\n");
    assert_child_panics(cut, &crossed, "runtime error: slice bounds out of range [3:2]\n");
    assert_child_panics(read_at, &three, "runtime error: index out of range [3] with length 3\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_substring_shares_the_bytes),
        cmocka_unit_test(test_substring_keeps_all_of_the_bytes_and_a_clone_does_not),
        cmocka_unit_test(test_concat_copies_only_if_it_must),
        cmocka_unit_test(test_compare_is_by_bytes),
        cmocka_unit_test(test_bytes_and_strings_share_nothing),
        cmocka_unit_test(test_concat_that_is_too_long_panics_in_the_words_of_go),
        cmocka_unit_test(test_impossible_bounds_panic_in_the_words_of_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
