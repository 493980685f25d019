/* A cycle by hand: workers, assist ratio, what is learned at its end. */
#include "pacer_states.h"

/* ---- Workers ---- */

static void
test_a_quarter_of_the_processors_marks(void **state)
{
    (void)state;
    static const struct {
        unsigned processors, dedicated;
        double fractional;
    } cases[] = {{1, 0, 0.25}, {2, 0, 0.25}, {3, 0, 0.25}, {4, 1, 0},  {5, 1, 0},  {6, 1, 0.5 / 6},
                 {7, 2, 0},    {8, 2, 0},    {9, 2, 0},    {10, 3, 0}, {12, 3, 0}, {128, 32, 0}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct pacer_workers w = pacer_plan_workers(cases[i].processors, false);
        assert_int_equal(w.dedicated, cases[i].dedicated);
        assert_int_equal(w.idle_max, cases[i].processors - cases[i].dedicated);
        assert_near(w.fractional, cases[i].fractional);
    }
}

static void
test_a_periodic_cycle_has_one_worker_at_least(void **state)
{
    (void)state;
    assert_int_equal(pacer_plan_workers(8, true).idle_max, 0);
    assert_int_equal(pacer_plan_workers(2, true).idle_max, 1);
}

/* ---- Assists ---- */

static void
test_start_clears_the_work_and_sets_the_first_ratio(void **state)
{
    (void)state;
    struct pacer p = pacer_after(100 * MIB, 10 * MIB);
    p.done = (struct pacer_work){1, 2, 3};
    p.live_b = pacer_trigger(&p);
    pacer_start_cycle(&p, 8, false);
    assert_int_equal(p.done.heap_b + p.done.stacks_b + p.done.globals_b, 0);
    assert_int_equal(p.triggered_b, 196 * MIB);
    assert_int_equal(p.workers.dedicated, 2);
    assert_near(p.assist_work_per_byte, 10.0 / 4);
    assert_near(p.assist_bytes_per_work, 4.0 / 10);
}

static void
test_ratio_is_work_left_over_way_left(void **state)
{
    (void)state;
    struct pacer p = pacer_marking(100 * MIB, 10 * MIB);
    p.globals_b = 2 * MIB;
    p.done = (struct pacer_work){.heap_b = 3 * MIB, .globals_b = 1 * MIB};
    p.live_b += MIB;
    pacer_revise(&p);
    assert_near(p.assist_work_per_byte, (12.0 - 4) / 3);
}

static void
test_work_left_is_never_nothing(void **state)
{
    (void)state;
    struct pacer p = pacer_marking(100 * MIB, 10 * MIB);
    p.done.heap_b = 10 * MIB - 1;
    pacer_revise(&p);
    assert_near(p.assist_work_per_byte, 1000.0 / (4 * MIB));
    assert_near(p.assist_bytes_per_work, 4 * MIB / 1000.0);
    p.scannable_b = 1000 * MIB;
    p.done.heap_b = 10 * MIB; /* all that is expected, and not more */
    pacer_revise(&p);
    assert_near(p.assist_work_per_byte, 1000.0 / (4 * MIB));
}

/* The way from trigger to goal, 4 MiB for 10 expected, becomes as much longer as the work does. */
static void
test_more_work_than_expected_moves_the_goal_and_keeps_the_ratio(void **state)
{
    (void)state;
    struct pacer p = pacer_marking(100 * MIB, 10 * MIB);
    p.scannable_b = 40 * MIB;
    p.done.heap_b = 10 * MIB + 4;
    p.live_b = 200 * MIB;
    pacer_revise(&p);
    assert_near(p.assist_work_per_byte, (30.0 * MIB - 4) / (12 * MIB));
}

/* 196 MiB are the start; 4 MiB * 1000 / 10 beyond it would be 596 MiB, twice the goal is 400. */
static void
test_the_moved_goal_has_a_hard_end(void **state)
{
    (void)state;
    struct pacer p = pacer_marking(100 * MIB, 10 * MIB);
    p.scannable_b = 1000 * MIB;
    p.done.heap_b = 20 * MIB;
    p.live_b = 200 * MIB;
    pacer_revise(&p);
    assert_near(p.assist_work_per_byte, 980.0 / 200);
    pacer_set_gogc(&p, 50); /* the goal that was committed stays: (1 + 50/100) * 200 */
    pacer_revise(&p);
    assert_near(p.assist_work_per_byte, 980.0 / 100);
}

static void
test_without_a_percentage_the_hard_end_is_far(void **state)
{
    (void)state;
    struct pacer p = pacer_after(100 * MIB, 10 * MIB);
    pacer_set_gogc(&p, -1);
    pacer_set_memory_limit(&p, 201 * MIB);
    pacer_commit(&p, true);
    p.live_b = 196 * MIB;
    pacer_start_cycle(&p, 8, false);
    p.scannable_b = 10000 * MIB; /* the goal becomes 196 + 4 * 1000 */
    p.done.heap_b = 20 * MIB;
    pacer_revise(&p);
    assert_near(p.assist_work_per_byte, 9980.0 / 4000);
}

static void
test_a_heap_beyond_its_goal_has_a_tenth_to_finish(void **state)
{
    (void)state;
    struct pacer p = pacer_marking(100 * MIB, 10 * MIB);
    p.scannable_b = 150 * MIB;
    p.done.heap_b = 5 * MIB;
    p.live_b = 210 * MIB;
    pacer_revise(&p);
    assert_near(p.assist_work_per_byte, 145.0 / 10);
    p.live_b = 300 * MIB; /* and no way at all beyond that */
    pacer_revise(&p);
    assert_near(p.assist_work_per_byte, 145.0 * MIB);
}

static void
test_a_forced_cycle_without_a_goal_needs_no_assists(void **state)
{
    (void)state;
    struct pacer p = pacer_after(100 * MIB, 10 * MIB);
    pacer_set_gogc(&p, -1);
    pacer_commit(&p, true);
    pacer_start_cycle(&p, 8, false);
    assert_true(p.assist_work_per_byte < 1e-9);
    p.done.heap_b = 20 * MIB; /* more than expected */
    p.live_b += MIB;
    pacer_revise(&p);
    assert_true(p.assist_work_per_byte < 1e-9);
    struct pacer_times times = {MIB, 0, 0, 8, PACER_BACKGROUND};
    pacer_end_cycle(&p, &times);
    assert_true(p.cons_mark == 0);
}

/* ---- The end ---- */

static const struct pacer_times a_second = {
    .duration_ns = 1000000000, .processors = 8, .background = PACER_BACKGROUND};

/* A cycle in which 3 MiB were allocated and 10 scanned. */
static struct pacer
pacer_marked(void)
{
    struct pacer p = pacer_marking(100 * MIB, 10 * MIB);
    p.live_b += 3 * MIB;
    p.done = (struct pacer_work){.heap_b = 8 * MIB, .stacks_b = 1 * MIB, .globals_b = 1 * MIB};
    return p;
}

static void
test_cons_mark_is_learned_from_shares_of_time(void **state)
{
    (void)state;
    struct pacer p = pacer_marked();
    pacer_end_cycle(&p, &a_second);
    assert_near(p.cons_mark, 0.9 * (3 * 0.25) / (10 * 0.75));
    /* Two seconds of assists in eight: half of the processors. */
    struct pacer_times times = a_second;
    times.assist_ns = 2000000000;
    p = pacer_marked();
    pacer_end_cycle(&p, &times);
    assert_near(p.cons_mark, 0.9 * (3 * 0.5) / (10 * 0.5));
    /* Idle workers scan, but take nothing from the program. */
    times.idle_ns = 800000000;
    p = pacer_marked();
    pacer_end_cycle(&p, &times);
    assert_near(p.cons_mark, 0.9 * (3 * 0.6) / (10 * 0.5));
}

static void
test_the_share_that_workers_really_had_counts(void **state)
{
    (void)state;
    struct pacer_times times = a_second;
    times.background = 0.4;
    struct pacer p = pacer_marked();
    pacer_end_cycle(&p, &times);
    assert_near(p.cons_mark, 0.9 * (3 * 0.4) / (10 * 0.6));
}

static void
test_a_cycle_of_no_length_counts_the_background_alone(void **state)
{
    (void)state;
    struct pacer_times times = a_second;
    times.duration_ns = 0;
    times.assist_ns = 5;
    struct pacer p = pacer_marked();
    pacer_end_cycle(&p, &times);
    assert_near(p.cons_mark, 0.9 * (3 * 0.25) / (10 * 0.75));
}

static void
test_a_cycle_without_allocation_teaches_nothing(void **state)
{
    (void)state;
    struct pacer p = pacer_marked();
    p.cons_mark = 0.5;
    p.live_b = p.triggered_b;
    pacer_end_cycle(&p, &a_second);
    assert_true(p.cons_mark == 0.5);
}

static void
test_a_cycle_that_left_no_time_teaches_nothing(void **state)
{
    (void)state;
    struct pacer_times times = a_second;
    struct pacer p = pacer_marked();
    p.cons_mark = 0.5;
    times.assist_ns = 6000000000; /* the other three quarters */
    pacer_end_cycle(&p, &times);
    assert_true(p.cons_mark == 0.5);
    times.assist_ns = 6100000000; /* clocks of threads disagree a little */
    pacer_end_cycle(&p, &times);
    assert_true(p.cons_mark == 0.5);
}

static void
test_an_estimate_is_a_thousand_at_most(void **state)
{
    (void)state;
    struct pacer p = pacer_marked();
    p.done = (struct pacer_work){.heap_b = 1};
    pacer_end_cycle(&p, &a_second);
    assert_true(p.cons_mark == 1000);
    double measured = 3.0 * MIB * 0.25 / 0.75;
    assert_near(p.pi.integral, 0.9 / 4 * measured + (1000 - 0.9 * measured) / 1000);
    p = pacer_marked();
    p.cons_mark = 1e9;
    pacer_end_cycle(&p, &a_second);
    assert_true(p.cons_mark == -1000);
}

static void
test_an_impossible_measurement_starts_anew(void **state)
{
    (void)state;
    struct pacer p = pacer_marked();
    p.cons_mark = 0.5;
    p.pi.integral = 0.5;
    p.done = (struct pacer_work){0};
    pacer_end_cycle(&p, &a_second);
    assert_true(p.cons_mark == 0);
    assert_true(p.pi.integral == 0);
}

static void
test_the_goal_of_the_cycle_is_noted(void **state)
{
    (void)state;
    struct pacer p = pacer_marked();
    assert_int_equal(p.last_goal_b, 0);
    pacer_end_cycle(&p, &a_second);
    assert_int_equal(p.last_goal_b, 200 * MIB);
}

static void
test_what_was_scanned_is_scannable(void **state)
{
    (void)state;
    struct pacer p = pacer_marked();
    pacer_end_cycle(&p, &a_second);
    pacer_reset_live(&p, 90 * MIB);
    assert_int_equal(p.marked_b, 90 * MIB);
    assert_int_equal(p.live_b, 90 * MIB);
    assert_int_equal(p.scannable_b, 8 * MIB);
    assert_int_equal(p.last_heap_b, 8 * MIB);
    assert_int_equal(p.last_stacks_b, 1 * MIB);
    assert_true(p.triggered_b == UINT64_MAX);
    p.globals_b = 2 * MIB;
    pacer_commit(&p, true);
    assert_int_equal(pacer_goal(&p), (90 + 90 + 1 + 2) * MIB);
}

/* ---- Huge numbers ---- */

static void
test_nothing_wraps(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0, 1, MIB, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX};
    struct rng r = {99};
    for (int i = 0; i < 200000; i++) {
        struct pacer p;
        uint64_t v[12];
        for (size_t k = 0; k < COUNT_OF(v); k++)
            v[k] = numbers[rng_below(&r, COUNT_OF(numbers))] - rng_below(&r, 2);
        pacer_init(&p, (int)(v[0] & INT32_MAX) - 1, v[1]);
        p.done = (struct pacer_work){v[2], v[3], v[4]};
        p.memory = (struct pacer_memory){v[5], v[6], v[7]};
        p.cons_mark = (double)(v[8] >> 1) - 1e18;
        p.globals_b = v[8];
        pacer_reset_live(&p, v[9]);
        pacer_commit(&p, v[10] & 1);
        assert_true(pacer_trigger(&p) <= pacer_goal(&p));
        assert_true(pacer_goal(&p) >= p.marked_b);
        pacer_start_cycle(&p, 1 + (v[10] & 63), false);
        p.live_b = v[11];
        p.done = (struct pacer_work){v[4], v[3], v[2]};
        p.scannable_b = v[10];
        p.stacks_b = v[0];
        pacer_revise(&p);
        assert_true(p.assist_work_per_byte > 0 && isfinite(p.assist_work_per_byte));
        assert_true(p.assist_bytes_per_work > 0 && isfinite(p.assist_bytes_per_work));
        struct pacer_times times = {v[3], v[5], v[7], 1 + (v[9] & 63), PACER_BACKGROUND};
        pacer_end_cycle(&p, &times);
        assert_true(isfinite(p.cons_mark));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_quarter_of_the_processors_marks),
        cmocka_unit_test(test_a_periodic_cycle_has_one_worker_at_least),
        cmocka_unit_test(test_start_clears_the_work_and_sets_the_first_ratio),
        cmocka_unit_test(test_ratio_is_work_left_over_way_left),
        cmocka_unit_test(test_work_left_is_never_nothing),
        cmocka_unit_test(test_more_work_than_expected_moves_the_goal_and_keeps_the_ratio),
        cmocka_unit_test(test_the_moved_goal_has_a_hard_end),
        cmocka_unit_test(test_without_a_percentage_the_hard_end_is_far),
        cmocka_unit_test(test_a_heap_beyond_its_goal_has_a_tenth_to_finish),
        cmocka_unit_test(test_a_forced_cycle_without_a_goal_needs_no_assists),
        cmocka_unit_test(test_cons_mark_is_learned_from_shares_of_time),
        cmocka_unit_test(test_the_share_that_workers_really_had_counts),
        cmocka_unit_test(test_a_cycle_of_no_length_counts_the_background_alone),
        cmocka_unit_test(test_a_cycle_without_allocation_teaches_nothing),
        cmocka_unit_test(test_a_cycle_that_left_no_time_teaches_nothing),
        cmocka_unit_test(test_an_estimate_is_a_thousand_at_most),
        cmocka_unit_test(test_an_impossible_measurement_starts_anew),
        cmocka_unit_test(test_the_goal_of_the_cycle_is_noted),
        cmocka_unit_test(test_what_was_scanned_is_scannable),
        cmocka_unit_test(test_nothing_wraps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
