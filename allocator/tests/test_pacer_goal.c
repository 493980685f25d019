/* Goal and trigger by hand: settings, memory limit, runway, clamps. */
#include "pacer_states.h"

/* ---- Settings ---- */

static void
test_first_goal_is_the_minimum(void **state)
{
    (void)state;
    struct pacer p;
    pacer_init(&p, 100, NONE);
    assert_int_equal(pacer_goal(&p), 4 * MIB);
    assert_int_equal(pacer_trigger(&p), 4 * MIB / 64 * 61);
    pacer_init(&p, 50, NONE);
    assert_int_equal(pacer_goal(&p), 2 * MIB);
}

static void
test_setters_return_the_old_value(void **state)
{
    (void)state;
    struct pacer p;
    pacer_init(&p, 100, NONE);
    assert_int_equal(pacer_set_gogc(&p, -7), 100);
    assert_int_equal(pacer_set_gogc(&p, 0), -1);
    assert_int_equal(pacer_set_gogc(&p, 200), 0);
    assert_true(pacer_set_memory_limit(&p, 5 * MIB) == NONE);
    assert_int_equal(pacer_set_memory_limit(&p, 0), 5 * MIB);
}

static void
test_settings_take_effect_at_commit(void **state)
{
    (void)state;
    struct pacer p = pacer_after(100 * MIB, 10 * MIB);
    pacer_set_gogc(&p, 50);
    assert_int_equal(pacer_goal(&p), 200 * MIB);
    pacer_commit(&p, true);
    assert_int_equal(pacer_goal(&p), 150 * MIB);
}

static void
test_least_goal_holds_whatever_lives(void **state)
{
    (void)state;
    struct pacer p = pacer_after(100 * MIB, 10 * MIB);
    p.least_goal_b = 500 * MIB;
    pacer_commit(&p, true);
    assert_int_equal(pacer_goal(&p), 500 * MIB);
    p.least_goal_b = 150 * MIB;
    pacer_commit(&p, true);
    assert_int_equal(pacer_goal(&p), 200 * MIB);
}

static void
test_off_has_neither_goal_nor_trigger(void **state)
{
    (void)state;
    struct pacer p = pacer_after(100 * MIB, 10 * MIB);
    pacer_set_gogc(&p, -1);
    pacer_commit(&p, false);
    assert_true(pacer_goal(&p) == UINT64_MAX);
    assert_true(pacer_trigger(&p) == UINT64_MAX);
}

/* ---- The memory limit ---- */

static const struct pacer_memory no_memory;

static void
test_limit_leaves_headroom(void **state)
{
    (void)state;
    assert_int_equal(pacer_limit_goal(512 * MIB, &no_memory, 0), 511 * MIB);
    assert_int_equal(pacer_limit_goal(2 * MIB, &no_memory, 0), MIB);
    assert_int_equal(pacer_limit_goal(2 * MIB - 1, &no_memory, 0), MIB);
    assert_int_equal(pacer_limit_goal(1, &no_memory, 0), MIB);
    assert_true(pacer_limit_goal(NONE, &no_memory, 0) == NONE);
}

static void
test_limit_excludes_what_cannot_become_objects(void **state)
{
    (void)state;
    /* 20 of 100 mapped are neither free nor objects. */
    struct pacer_memory m = {.mapped_b = 100 * MIB, .free_b = 30 * MIB, .objects_b = 50 * MIB};
    assert_int_equal(pacer_limit_goal(200 * MIB, &m, 10 * MIB), 179 * MIB);
    /* Counters read one after the other may not add up. */
    m.objects_b = 90 * MIB;
    assert_int_equal(pacer_limit_goal(200 * MIB, &m, 10 * MIB), 199 * MIB);
}

static void
test_what_is_over_the_limit_is_taken_off_the_goal(void **state)
{
    (void)state;
    struct pacer_memory m = {.mapped_b = 100 * MIB, .free_b = 30 * MIB, .objects_b = 50 * MIB};
    assert_int_equal(pacer_limit_goal(90 * MIB, &m, 10 * MIB), (90 - 20 - 10 - 1) * MIB);
}

static void
test_goal_of_a_limit_is_never_below_what_lives(void **state)
{
    (void)state;
    struct pacer_memory m = {.mapped_b = 100 * MIB, .objects_b = 80 * MIB};
    assert_int_equal(pacer_limit_goal(20 * MIB, &m, 7 * MIB), 7 * MIB);
    assert_int_equal(pacer_limit_goal(0, &no_memory, 7 * MIB), 7 * MIB);
    assert_int_equal(pacer_limit_goal(50 * MIB, &no_memory, 60 * MIB), 60 * MIB);
}

static void
test_the_lower_goal_wins(void **state)
{
    (void)state;
    struct pacer p = pacer_after(100 * MIB, 10 * MIB);
    pacer_set_memory_limit(&p, 151 * MIB);
    assert_int_equal(pacer_goal(&p), 150 * MIB);
    pacer_set_memory_limit(&p, 500 * MIB);
    assert_int_equal(pacer_goal(&p), 200 * MIB);
    pacer_set_gogc(&p, -1);
    pacer_commit(&p, true);
    assert_int_equal(pacer_goal(&p), 499 * MIB);
}

/* ---- The trigger ---- */

static void
test_trigger_is_a_runway_before_the_goal(void **state)
{
    (void)state;
    struct pacer p = pacer_after(100 * MIB, 10 * MIB);
    p.cons_mark = 0.5;
    pacer_commit(&p, true);
    assert_int_equal(p.runway_b, 15 * MIB);
    assert_int_equal(pacer_trigger(&p), 185 * MIB);
    /* Stacks and globals are scanned too. */
    p.last_stacks_b = 2 * MIB;
    p.globals_b = 4 * MIB;
    pacer_commit(&p, true);
    assert_int_equal(p.runway_b, 24 * MIB);
    assert_int_equal(pacer_trigger(&p), pacer_goal(&p) - 24 * MIB);
}

static void
test_trigger_keeps_to_its_clamps(void **state)
{
    (void)state;
    struct pacer p = pacer_after(100 * MIB + 1, 10 * MIB);
    uint64_t goal = 200 * MIB + 2, way = 100 * MIB + 1;
    p.cons_mark = 0;
    pacer_commit(&p, true);
    assert_int_equal(pacer_trigger(&p), goal - 4 * MIB); /* less than 3/64 of a large heap */
    p.cons_mark = 1000;
    pacer_commit(&p, true);
    assert_int_equal(pacer_trigger(&p), 100 * MIB + 1 + way / 64 * 45);
    p = pacer_after(10 * MIB, 10 * MIB);
    assert_int_equal(pacer_trigger(&p), 10 * MIB + 10 * MIB / 64 * 61);
}

/* The division comes first: 127 / 64 * 45 is 45. */
static void
test_parts_of_the_way_are_whole(void **state)
{
    (void)state;
    struct pacer p;
    pacer_init(&p, 100, NONE);
    p.percent_goal_b = 1127;
    p.marked_b = 1000;
    p.runway_b = 1000000;
    assert_int_equal(pacer_trigger(&p), 1045);
    p.runway_b = 0;
    assert_int_equal(pacer_trigger(&p), 1061);
}

static void
test_a_negative_estimate_gives_the_earliest_trigger(void **state)
{
    (void)state;
    struct pacer p = pacer_after(100 * MIB, 10 * MIB);
    p.cons_mark = -0.1;
    pacer_commit(&p, true);
    assert_int_equal(pacer_trigger(&p), 100 * MIB + 100 * MIB / 64 * 45);
    p.cons_mark = -1e-12; /* less than a byte */
    pacer_commit(&p, true);
    assert_int_equal(pacer_trigger(&p), 196 * MIB);
}

static void
test_sweeping_is_given_a_mebibyte(void **state)
{
    (void)state;
    struct pacer p = pacer_after(100 * MIB, 10 * MIB);
    pacer_set_gogc(&p, 0);
    pacer_commit(&p, true);
    assert_int_equal(pacer_goal(&p), 100 * MIB);
    assert_int_equal(pacer_trigger(&p), 100 * MIB);
    p.live_b += MIB;
    pacer_commit(&p, false);
    assert_int_equal(pacer_goal(&p), 102 * MIB);
    assert_int_equal(pacer_trigger(&p), 102 * MIB);
    /* But not against a memory limit that holds. */
    pacer_set_gogc(&p, 100);
    pacer_set_memory_limit(&p, 102 * MIB);
    pacer_commit(&p, false);
    assert_int_equal(pacer_goal(&p), 101 * MIB);
    assert_int_equal(pacer_trigger(&p), 100 * MIB + MIB / 64 * 61);
}

static void
test_a_heap_over_its_limit_is_collected_at_once(void **state)
{
    (void)state;
    struct pacer p = pacer_after(100 * MIB, 10 * MIB);
    pacer_set_memory_limit(&p, 50 * MIB);
    pacer_commit(&p, false);
    assert_int_equal(pacer_goal(&p), 100 * MIB);
    assert_int_equal(pacer_trigger(&p), 100 * MIB);
}

static void
test_goal_of_a_cycle_is_a_little_beyond_its_start(void **state)
{
    (void)state;
    struct pacer p = pacer_after(100 * MIB, 10 * MIB);
    p.triggered_b = 200 * MIB;
    assert_int_equal(pacer_goal(&p), 200 * MIB + 64 * KIB);
    p.triggered_b = 200 * MIB - 64 * KIB;
    assert_int_equal(pacer_goal(&p), 200 * MIB);
    pacer_set_memory_limit(&p, 101 * MIB);
    p.triggered_b = 100 * MIB;
    assert_int_equal(pacer_goal(&p), 100 * MIB);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_goal_is_the_minimum),
        cmocka_unit_test(test_setters_return_the_old_value),
        cmocka_unit_test(test_settings_take_effect_at_commit),
        cmocka_unit_test(test_least_goal_holds_whatever_lives),
        cmocka_unit_test(test_off_has_neither_goal_nor_trigger),
        cmocka_unit_test(test_limit_leaves_headroom),
        cmocka_unit_test(test_limit_excludes_what_cannot_become_objects),
        cmocka_unit_test(test_what_is_over_the_limit_is_taken_off_the_goal),
        cmocka_unit_test(test_goal_of_a_limit_is_never_below_what_lives),
        cmocka_unit_test(test_the_lower_goal_wins),
        cmocka_unit_test(test_trigger_is_a_runway_before_the_goal),
        cmocka_unit_test(test_trigger_keeps_to_its_clamps),
        cmocka_unit_test(test_parts_of_the_way_are_whole),
        cmocka_unit_test(test_a_negative_estimate_gives_the_earliest_trigger),
        cmocka_unit_test(test_sweeping_is_given_a_mebibyte),
        cmocka_unit_test(test_a_heap_over_its_limit_is_collected_at_once),
        cmocka_unit_test(test_goal_of_a_cycle_is_a_little_beyond_its_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
