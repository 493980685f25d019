/* The limiter: what fills its bucket, what drains it, and when it limits. */
#include "check.h"

#include "collector/limiter.h"

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)
#define PROCESSORS 14u
#define CAPACITY_NS (PROCESSORS * SECOND)

/* A limiter in the middle of marking, with an empty bucket. */
static struct limiter
limiter_marking(uint64_t now_ns)
{
    struct limiter l;
    limiter_init(&l, now_ns, PROCESSORS);
    limiter_begin_transition(&l, true, now_ns);
    limiter_end_transition(&l, now_ns);
    return l;
}

/* The collector has this share of all processors for that long, background workers' included. */
static void
run_with_share(struct limiter *l, double share, uint64_t ns)
{
    l->assist_ns += (uint64_t)((share - 0.25) * (double)ns * PROCESSORS);
    limiter_update(l, l->updated_ns + ns);
}

static void
test_a_program_alone_leaves_the_bucket_empty(void **state)
{
    (void)state;
    struct limiter l;
    limiter_init(&l, 5 * SECOND, PROCESSORS);
    assert_int_equal(l.capacity_ns, CAPACITY_NS);
    limiter_update(&l, 6 * SECOND);
    limiter_update(&l, 3600 * SECOND);
    assert_int_equal(l.fill_ns, 0);
    assert_false(l.limiting);
}

static void
test_update_is_due_after_ten_milliseconds(void **state)
{
    (void)state;
    struct limiter l;
    limiter_init(&l, SECOND, PROCESSORS);
    assert_false(limiter_is_due(&l, SECOND + 10 * MS));
    assert_true(limiter_is_due(&l, SECOND + 10 * MS + 1));
    assert_false(limiter_is_due(&l, 0));
    limiter_update(&l, SECOND + 15 * MS);
    assert_false(limiter_is_due(&l, SECOND + 20 * MS));
}

static void
test_a_stop_counts_on_every_processor(void **state)
{
    (void)state;
    struct limiter l;
    limiter_init(&l, 0, PROCESSORS);
    limiter_begin_transition(&l, true, 109 * MS);
    limiter_end_transition(&l, 111 * MS);
    assert_true(l.marking);
    assert_int_equal(l.fill_ns, 2 * MS * PROCESSORS);
}

static void
test_background_workers_alone_drain_it(void **state)
{
    (void)state;
    struct limiter l = limiter_marking(0);
    l.fill_ns = 100 * MS * PROCESSORS;
    run_with_share(&l, 0.25, 100 * MS); /* a quarter in, three quarters out */
    assert_int_equal(l.fill_ns, 50 * MS * PROCESSORS);
}

static void
test_half_of_the_processors_moves_nothing(void **state)
{
    (void)state;
    struct limiter l = limiter_marking(0);
    run_with_share(&l, 0.5, 10 * MS);
    assert_int_equal(l.fill_ns, 0);
    run_with_share(&l, 1, 2 * SECOND);
    assert_true(l.limiting);
    run_with_share(&l, 0.5, SECOND);
    assert_int_equal(l.fill_ns, CAPACITY_NS);
    assert_true(l.limiting);
}

static void
test_a_full_bucket_limits_and_an_emptier_one_does_not(void **state)
{
    (void)state;
    struct limiter l = limiter_marking(0);
    run_with_share(&l, 1, SECOND - MS);
    assert_int_equal(l.fill_ns, CAPACITY_NS - MS * PROCESSORS);
    assert_false(l.limiting);
    run_with_share(&l, 1, MS);
    assert_int_equal(l.fill_ns, CAPACITY_NS);
    assert_true(l.limiting);
    assert_int_equal(l.overflow_ns, 0);
    run_with_share(&l, 0.25, SECOND);
    assert_int_equal(l.fill_ns, CAPACITY_NS / 2);
    assert_false(l.limiting);
    run_with_share(&l, 1, SECOND);
    assert_int_equal(l.overflow_ns, CAPACITY_NS / 2);
    assert_true(l.limiting);
}

static void
test_assists_are_counted_once(void **state)
{
    (void)state;
    struct limiter l = limiter_marking(0);
    run_with_share(&l, 1, 10 * MS);
    assert_int_equal(l.assist_ns, 0);
    assert_int_equal(l.fill_ns, 10 * MS * PROCESSORS);
    limiter_begin_transition(&l, false, l.updated_ns);
    limiter_end_transition(&l, l.updated_ns);
    assert_false(l.marking);
    limiter_update(&l, l.updated_ns + 4 * MS); /* no background any more */
    assert_int_equal(l.fill_ns, 6 * MS * PROCESSORS);
}

static void
test_work_until_the_stop_is_counted(void **state)
{
    (void)state;
    struct limiter l = limiter_marking(0);
    l.assist_ns = 75 * MS * PROCESSORS / 10;
    limiter_begin_transition(&l, false, 10 * MS);
    assert_int_equal(l.fill_ns, 10 * MS * PROCESSORS);
    limiter_end_transition(&l, 15 * MS);
    assert_int_equal(l.fill_ns, 15 * MS * PROCESSORS);
}

/* One busy thread on fourteen processors: the collector's quarter is more than it has. */
static void
test_idle_processors_do_not_hide_a_collector_that_thrashes(void **state)
{
    (void)state;
    struct limiter l = limiter_marking(0);
    l.idle_ns = 10 * MS * 10;
    limiter_update(&l, 10 * MS); /* 140: 35 collector, 100 idle, 5 program */
    assert_int_equal(l.fill_ns, 30 * MS);
    assert_int_equal(l.idle_ns, 0);
    l.idle_ns = 10 * MS * 12; /* clocks disagree: 155 of 140 */
    limiter_update(&l, 20 * MS);
    assert_int_equal(l.fill_ns, 30 * MS + 50 * MS);
}

static void
test_the_measured_background_counts(void **state)
{
    (void)state;
    struct limiter l = limiter_marking(0);
    l.background = 0.75;
    limiter_update(&l, 10 * MS);
    assert_int_equal(l.fill_ns, 5 * MS * PROCESSORS);
}

static void
test_more_processors_end_the_limit_and_fewer_begin_it(void **state)
{
    (void)state;
    struct limiter l;
    limiter_init(&l, 0, PROCESSORS);
    l.fill_ns = l.capacity_ns;
    l.limiting = true;
    limiter_set_processors(&l, PROCESSORS, 0);
    assert_true(l.limiting);
    limiter_set_processors(&l, PROCESSORS + 10, 0);
    assert_int_equal(l.fill_ns, CAPACITY_NS);
    assert_false(l.limiting);
    limiter_set_processors(&l, PROCESSORS - 10, 0);
    assert_int_equal(l.fill_ns, 4 * SECOND);
    assert_true(l.limiting);
    assert_int_equal(l.overflow_ns, 0); /* nobody worked too much */
}

static void
test_time_does_not_run_backwards(void **state)
{
    (void)state;
    struct limiter l = limiter_marking(SECOND);
    l.assist_ns = 77;
    limiter_update(&l, SECOND - 1);
    assert_int_equal(l.updated_ns, SECOND);
    assert_int_equal(l.assist_ns, 77);
    assert_int_equal(l.fill_ns, 0);
}

static void
test_huge_times_stay_within_the_bucket(void **state)
{
    (void)state;
    struct limiter l = limiter_marking(0);
    l.assist_ns = UINT64_MAX;
    limiter_update(&l, MS);
    assert_int_equal(l.fill_ns, CAPACITY_NS);
    limiter_begin_transition(&l, false, 2 * MS);
    limiter_end_transition(&l, UINT64_MAX);
    assert_int_equal(l.fill_ns, CAPACITY_NS);
    assert_true(l.overflow_ns == UINT64_MAX);
    l.idle_ns = UINT64_MAX;
    limiter_update(&l, UINT64_MAX);
    assert_int_equal(l.fill_ns, CAPACITY_NS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_program_alone_leaves_the_bucket_empty),
        cmocka_unit_test(test_update_is_due_after_ten_milliseconds),
        cmocka_unit_test(test_a_stop_counts_on_every_processor),
        cmocka_unit_test(test_background_workers_alone_drain_it),
        cmocka_unit_test(test_half_of_the_processors_moves_nothing),
        cmocka_unit_test(test_a_full_bucket_limits_and_an_emptier_one_does_not),
        cmocka_unit_test(test_assists_are_counted_once),
        cmocka_unit_test(test_work_until_the_stop_is_counted),
        cmocka_unit_test(test_idle_processors_do_not_hide_a_collector_that_thrashes),
        cmocka_unit_test(test_the_measured_background_counts),
        cmocka_unit_test(test_more_processors_end_the_limit_and_fewer_begin_it),
        cmocka_unit_test(test_time_does_not_run_backwards),
        cmocka_unit_test(test_huge_times_stay_within_the_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
