/* What the scavenger leaves with the heap. */
#include "check.h"

#include "collector/scavenge_pacer.h"

#define MIB ((uint64_t)1 << 20)
#define NONE UINT64_MAX

/* 100 MiB were in use at a goal of 200; the goal is 300, so 150 are expected and 165 kept. */
static const struct scavenge_state growing = {
    .goal_b = 300 * MIB,
    .last_goal_b = 200 * MIB,
    .last_in_use_b = 100 * MIB,
    .retained_b = 400 * MIB,
    .memory_limit_b = NONE,
    .mapped_b = 500 * MIB,
    .page_b = 4096,
};

static void
test_a_tenth_more_than_the_goal_calls_for_is_kept(void **state)
{
    (void)state;
    struct scavenge_goals goals = scavenge_pacer_goals(&growing);
    assert_int_equal(goals.heap_b, 165 * MIB);
    assert_true(goals.limit_b == NONE);
}

static void
test_goal_is_in_whole_pages_of_the_system(void **state)
{
    (void)state;
    struct scavenge_state s = growing;
    s.last_in_use_b = 100 * MIB + 1;
    assert_int_equal(scavenge_pacer_goals(&s).heap_b, 165 * MIB + 4096);
    s.page_b = 65536;
    assert_int_equal(scavenge_pacer_goals(&s).heap_b, 165 * MIB + 65536);
}

static void
test_less_than_a_page_too_much_is_nothing_to_do(void **state)
{
    (void)state;
    struct scavenge_state s = growing;
    s.retained_b = 165 * MIB + 4096;
    assert_int_equal(scavenge_pacer_goals(&s).heap_b, 165 * MIB);
    s.retained_b -= 1;
    assert_true(scavenge_pacer_goals(&s).heap_b == NONE);
    s.retained_b = 10 * MIB;
    assert_true(scavenge_pacer_goals(&s).heap_b == NONE);
}

static void
test_before_a_cycle_and_without_a_goal_all_is_kept(void **state)
{
    (void)state;
    struct scavenge_state s = growing;
    s.last_goal_b = s.last_in_use_b = 0;
    assert_true(scavenge_pacer_goals(&s).heap_b == NONE);
    s = growing;
    s.goal_b = NONE;
    assert_true(scavenge_pacer_goals(&s).heap_b == NONE);
}

static void
test_95_percent_of_a_limit_is_aimed_at(void **state)
{
    (void)state;
    struct scavenge_state s = growing;
    s.memory_limit_b = 500 * MIB;
    assert_int_equal(scavenge_pacer_goals(&s).limit_b, 475 * MIB);
    s.mapped_b = 475 * MIB;
    assert_true(scavenge_pacer_goals(&s).limit_b == NONE);
    s.mapped_b = 475 * MIB + 1;
    assert_int_equal(scavenge_pacer_goals(&s).limit_b, 475 * MIB);
}

static void
test_the_goals_do_not_depend_on_each_other(void **state)
{
    (void)state;
    struct scavenge_state s = growing;
    s.last_goal_b = 0;
    s.memory_limit_b = 100 * MIB;
    struct scavenge_goals goals = scavenge_pacer_goals(&s);
    assert_true(goals.heap_b == NONE);
    assert_int_equal(goals.limit_b, 95 * MIB);
}

static void
test_huge_numbers_mean_nothing_to_do(void **state)
{
    (void)state;
    struct scavenge_state s = growing;
    s.goal_b = NONE - 1;
    s.last_goal_b = 1;
    assert_true(scavenge_pacer_goals(&s).heap_b == NONE);
    s.last_in_use_b = NONE;
    s.retained_b = NONE;
    assert_true(scavenge_pacer_goals(&s).heap_b == NONE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_tenth_more_than_the_goal_calls_for_is_kept),
        cmocka_unit_test(test_goal_is_in_whole_pages_of_the_system),
        cmocka_unit_test(test_less_than_a_page_too_much_is_nothing_to_do),
        cmocka_unit_test(test_before_a_cycle_and_without_a_goal_all_is_kept),
        cmocka_unit_test(test_95_percent_of_a_limit_is_aimed_at),
        cmocka_unit_test(test_the_goals_do_not_depend_on_each_other),
        cmocka_unit_test(test_huge_numbers_mean_nothing_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
