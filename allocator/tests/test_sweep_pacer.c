/* Proportional sweeping: the last page is swept before the trigger, at an even pace. */
#include "check.h"

#include "collector/sweep_pacer.h"

#define MIB ((uint64_t)1 << 20)
#define PAGE ((uint64_t)8192)

static void
test_pages_are_spread_over_the_way_to_the_trigger(void **state)
{
    (void)state;
    struct sweep_pacer s;
    sweep_pacer_set(&s, 51 * MIB, 10 * MIB, 4000, 0);
    assert_true(s.pages_per_byte == 4000.0 / (40 * MIB));
    assert_int_equal(sweep_pacer_debt(&s, 10 * MIB, 0, 0, 0), 0);
    assert_int_equal(sweep_pacer_debt(&s, 20 * MIB, 0, 0, 0), 1000);
    assert_int_equal(sweep_pacer_debt(&s, 20 * MIB, 0, 400, 0), 600);
    assert_int_equal(sweep_pacer_debt(&s, 20 * MIB, 0, 1000, 0), 0);
    assert_int_equal(sweep_pacer_debt(&s, 20 * MIB, 0, 3000, 0), 0);
    assert_int_equal(sweep_pacer_debt(&s, 50 * MIB, 0, 0, 0), 4000); /* 1 MiB before the trigger */
}

static void
test_a_span_pays_before_it_is_taken(void **state)
{
    (void)state;
    struct sweep_pacer s;
    sweep_pacer_set(&s, 51 * MIB, 10 * MIB, 4000, 0);
    assert_int_equal(sweep_pacer_debt(&s, 20 * MIB, 10 * MIB, 1000, 0), 1000);
    assert_int_equal(sweep_pacer_debt(&s, 20 * MIB, 10 * MIB, 1000, 300), 700);
    assert_int_equal(sweep_pacer_debt(&s, 20 * MIB, 10 * MIB, 1000, 5000), 0);
}

static void
test_swept_pages_are_not_swept_again(void **state)
{
    (void)state;
    struct sweep_pacer s;
    sweep_pacer_set(&s, 51 * MIB, 10 * MIB, 5000, 1000);
    assert_true(s.pages_per_byte == 4000.0 / (40 * MIB));
    assert_int_equal(sweep_pacer_debt(&s, 20 * MIB, 0, 1000, 0), 1000);
    sweep_pacer_set(&s, 51 * MIB, 10 * MIB, 5000, 5000);
    assert_true(s.pages_per_byte == 0);
    sweep_pacer_set(&s, 51 * MIB, 10 * MIB, 5000, 6000); /* spans were freed meanwhile */
    assert_true(s.pages_per_byte == 0);
    assert_int_equal(sweep_pacer_debt(&s, 50 * MIB, MIB, 0, 0), 0);
}

static void
test_a_short_way_is_one_page_at_least(void **state)
{
    (void)state;
    struct sweep_pacer s;
    sweep_pacer_set(&s, 11 * MIB, 10 * MIB, 4000, 0);
    assert_true(s.pages_per_byte == 4000.0 / PAGE);
    sweep_pacer_set(&s, 11 * MIB + PAGE + 8, 10 * MIB, 4000, 0);
    assert_true(s.pages_per_byte == 4000.0 / (PAGE + 8));
    sweep_pacer_set(&s, 5 * MIB, 10 * MIB, 4000, 0);
    assert_true(s.pages_per_byte == 4000.0 / PAGE);
}

static void
test_without_a_trigger_there_is_time(void **state)
{
    (void)state;
    struct sweep_pacer s;
    sweep_pacer_set(&s, UINT64_MAX, 10 * MIB, 4000, 0);
    assert_int_equal(sweep_pacer_debt(&s, 1000 * MIB, MIB, 0, 0), 0);
}

static void
test_an_old_reading_gives_a_small_debt(void **state)
{
    (void)state;
    struct sweep_pacer s;
    sweep_pacer_set(&s, 51 * MIB, 10 * MIB, 4000, 500);
    assert_int_equal(sweep_pacer_debt(&s, 9 * MIB, 8192, 500, 0), 0);
    assert_int_equal(sweep_pacer_debt(&s, 10 * MIB, 8 * 8192, 400, 0), 5);
}

/* Any sequence of spans up to the trigger, each paying its debt, leaves nothing. */
static void
test_nothing_is_left_at_the_trigger(void **state)
{
    (void)state;
    struct rng r = {4711};
    for (int i = 0; i < 1000; i++) {
        struct sweep_pacer s;
        uint64_t live = rng_below(&r, 64 * MIB), swept = rng_below(&r, 100);
        uint64_t trigger = live + MIB + PAGE + rng_below(&r, 64 * MIB);
        uint64_t pages = swept + live / PAGE + rng_below(&r, 1000);
        sweep_pacer_set(&s, trigger, live, pages, swept);
        while (live + MIB < trigger) {
            uint64_t span = PAGE * (1 + rng_below(&r, 16));
            swept += sweep_pacer_debt(&s, live, span, swept, 0);
            live += span;
        }
        assert_true(swept + 1 >= pages);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_are_spread_over_the_way_to_the_trigger),
        cmocka_unit_test(test_a_span_pays_before_it_is_taken),
        cmocka_unit_test(test_swept_pages_are_not_swept_again),
        cmocka_unit_test(test_a_short_way_is_one_page_at_least),
        cmocka_unit_test(test_without_a_trigger_there_is_time),
        cmocka_unit_test(test_an_old_reading_gives_a_small_debt),
        cmocka_unit_test(test_nothing_is_left_at_the_trigger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
