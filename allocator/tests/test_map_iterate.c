/* Maps: iteration while they change, by Go's rules. */
/* run: native asan tsan */
#include "map_check.h"

#include <math.h>

static struct sh_map_type pointer_to_pointer = {.key = &pointer_type, .element = &pointer_type};

static void
test_iteration_shows_each_entry_once_from_changing_starts(void **state)
{
    (void)state;
    struct sh_map *map = sh_map_make(&int_to_int, 0);
    bool first_was[8] = {false};
    for (int64_t i = 0; i < 8; i++)
        put(map, i, i);
    for (int i = 0; i < 500; i++) {
        struct sh_map_iterator it = sh_map_iterate(map);
        unsigned seen = 0, n = 0;
        for (; sh_map_next(&it); n++, seen |= 1U << *(int64_t *)it.key)
            if (n == 0)
                first_was[*(int64_t *)it.key] = true;
        assert_int_equal(n, 8);
        assert_int_equal(seen, 0xff);
    }
    for (int i = 0; i < 8; i++)
        assert_true(first_was[i]);
}

static void
test_elements_may_be_changed_where_iteration_shows_them(void **state)
{
    (void)state;
    struct sh_map *map = sh_map_make(&int_to_int, 0);
    for (int64_t i = 0; i < 1000; i++)
        put(map, i, i);
    struct sh_map_iterator it = sh_map_iterate(map);
    while (sh_map_next(&it))
        *(int64_t *)it.element = -*(int64_t *)it.element;
    for (int64_t i = 0; i < 1000; i++)
        assert_int_equal(value_of(map, i), -i);
}

/*
 * Begins with a map of `size` entries, in each state of growth. While it is shown, new entries come
 * (so that it grows several times), old ones go, and others change. Old entries are 0 to size - 1,
 * new ones are above.
 */
static void
iterate_while_it_changes(struct sh_map_type *type, int64_t size, int64_t added, struct rng *rng)
{
    enum { MAX = 4000 };
    static uint8_t shown[MAX];
    static bool gone[MAX];
    struct sh_map *map = sh_map_make(type, 0);
    int64_t next = size;
    memset(shown, 0, sizeof shown);
    memset(gone, 0, sizeof gone);
    for (int64_t i = 0; i < size; i++)
        put(map, i, i);
    struct sh_map_iterator it = sh_map_iterate(map);
    while (sh_map_next(&it)) {
        int64_t key = *(int64_t *)it.key, value = *(int64_t *)it.element;
        assert_true(key == value || key == -value);
        assert_true(key >= 0 && key < next);
        assert_false(gone[key]);
        assert_int_equal(shown[key]++, 0);
        for (size_t n = rng_below(rng, 4); n > 0 && next < size + added; n--, next++)
            put(map, next, next);
        int64_t victim = (int64_t)rng_below(rng, (size_t)size), other = victim / 2;
        if (victim % 3 == 0 && sh_map_delete(map, &victim))
            gone[victim] = true;
        if (!gone[other])
            put(map, other, -other);
        if (rng_below(rng, 200) == 0)
            sh_collect();
    }
    for (int64_t i = 0; i < size; i++)
        assert_true(gone[i] || shown[i] == 1);
}

static void
test_iteration_stays_right_while_the_map_grows_and_shrinks(void **state)
{
    (void)state;
    struct rng rng = {2024};
    for (int64_t size = 1; size < 700; size += 1 + size / 20) {
        iterate_while_it_changes(&int_to_int, size, 3 * size + 10, &rng);
        iterate_while_it_changes(&double_to_int, size, 3 * size + 10, &rng);
        iterate_while_it_changes(&pointer_to_pointer, size, 3 * size + 10, &rng); /* scanned */
        iterate_while_it_changes(&colliding, size < 200 ? size : 200, 50, &rng);
    }
}

/* Also when a growth ends and one of the same size follows, within one step of the iterator. */
static void
test_iteration_stays_right_through_growths_of_both_kinds(void **state)
{
    (void)state;
    for (int64_t start = 400; start < 480; start += 3) {
        struct sh_map *map = sh_map_make(&int_to_int, 0);
        uint8_t shown[480] = {0};
        for (int64_t i = 0; i < start; i++)
            put(map, i, i);
        struct sh_map_iterator it = sh_map_iterate(map);
        int64_t next = 1000;
        for (size_t n = 0; sh_map_next(&it); n++) {
            int64_t key = *(int64_t *)it.key;
            if (key < start)
                assert_int_equal(shown[key]++, 0);
            for (int i = 0; i < 20000 && n % 100 == 3; i++, next++) { /* keys that come and go */
                put(map, next, next);
                if (next >= 1360)
                    sh_map_delete(map, &(int64_t){next - 360});
            }
        }
        for (int64_t i = 0; i < start; i++)
            assert_int_equal(shown[i], 1);
    }
}

static void
test_nan_is_shown_once_while_the_map_grows(void **state)
{
    (void)state;
    for (int64_t size = 1; size < 200; size++) {
        struct sh_map *map = sh_map_make(&double_to_int, 0);
        uint8_t shown[200] = {0};
        double nan = NAN, number = 1;
        for (int64_t i = 0; i < size; i++)
            sh_map_set(map, &nan, &i);
        struct sh_map_iterator it = sh_map_iterate(map);
        while (sh_map_next(&it)) {
            int64_t value = *(int64_t *)it.element;
            if (value < size)
                assert_int_equal(shown[value]++, 0);
            for (int i = 0; i < 3; i++, number += 1)
                if (number < 4 * (double)size)
                    sh_map_set(map, &number, &(int64_t){1000});
        }
        for (int64_t i = 0; i < size; i++)
            assert_int_equal(shown[i], 1);
    }
}

static void
test_iteration_ends_when_the_map_is_cleared(void **state)
{
    (void)state;
    double nan = NAN;
    for (int64_t size = 2; size < 120; size++) {
        struct sh_map *map = sh_map_make(&double_to_int, 0);
        for (int64_t i = 0; i < size; i++)
            sh_map_set(map, &nan, &i);
        struct sh_map_iterator it = sh_map_iterate(map);
        assert_true(sh_map_next(&it));
        sh_map_clear(map);
        double number = 1;
        sh_map_set(map, &number, &(int64_t){1000});
        while (sh_map_next(&it))
            assert_int_equal(*(int64_t *)it.element, 1000);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_iteration_shows_each_entry_once_from_changing_starts),
        cmocka_unit_test(test_elements_may_be_changed_where_iteration_shows_them),
        cmocka_unit_test(test_iteration_stays_right_while_the_map_grows_and_shrinks),
        cmocka_unit_test(test_iteration_stays_right_through_growths_of_both_kinds),
        cmocka_unit_test(test_nan_is_shown_once_while_the_map_grows),
        cmocka_unit_test(test_iteration_ends_when_the_map_is_cleared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
