/* The heap goal: the formula, its floor, off, and that the heap lives by it. */
#include "check.h"

#include "collector/pacer.h"

#include <unistd.h>

#define MIB ((uint64_t)1 << 20)

static void
test_goal_grows_from_marked_stacks_and_globals(void **state)
{
    (void)state;
    assert_int_equal(pacer_heap_goal(10 * MIB, 1 * MIB, 2 * MIB, 100), 23 * MIB);
    assert_int_equal(pacer_heap_goal(10 * MIB, 1 * MIB, 2 * MIB, 200), 36 * MIB);
    assert_int_equal(pacer_heap_goal(100 * MIB, 0, 0, 25), 125 * MIB);
    assert_int_equal(pacer_heap_goal(50 * MIB, 0, 50 * MIB, 100), 150 * MIB);
}

static void
test_goal_is_at_least_4_mib_at_100_percent(void **state)
{
    (void)state;
    assert_int_equal(pacer_heap_goal(0, 0, 0, 100), 4 * MIB);
    assert_int_equal(pacer_heap_goal(1 * MIB, 0, 0, 100), 4 * MIB);
    assert_int_equal(pacer_heap_goal(2 * MIB, 0, 0, 100), 4 * MIB);
    assert_int_equal(pacer_heap_goal(2 * MIB + 1, 0, 0, 100), 4 * MIB + 2);
    assert_int_equal(pacer_heap_goal(0, 0, 0, 200), 8 * MIB);
    assert_int_equal(pacer_heap_goal(0, 0, 0, 50), 2 * MIB);
}

static void
test_zero_percent_is_what_is_live(void **state)
{
    (void)state;
    assert_int_equal(pacer_heap_goal(7 * MIB, 3 * MIB, 3 * MIB, 0), 7 * MIB);
}

static void
test_off_is_no_goal(void **state)
{
    (void)state;
    assert_true(pacer_heap_goal(0, 0, 0, SH_GOGC_OFF) == UINT64_MAX);
    assert_true(pacer_heap_goal(1 << 30, 5, 5, SH_GOGC_OFF) == UINT64_MAX);
}

static void
test_goal_of_a_huge_heap_does_not_overflow(void **state)
{
    (void)state;
    uint64_t tib = (uint64_t)1 << 40;
    assert_int_equal(pacer_heap_goal(tib, 0, 0, 100), 2 * tib);
    assert_int_equal(pacer_heap_goal(100 * tib, 0, 0, 1000), 1100 * tib);
}

static void
test_goal_follows_each_collection(void **state)
{
    (void)state;
    struct sh_stats stats;
    void *kept = sh_alloc_noscan(20 * MIB);
    static const int percents[] = {100, 50, 300};
    for (size_t i = 0; i < COUNT_OF(percents); i++) {
        sh_set_gogc(percents[i]);
        sh_collect();
        sh_stats_read(&stats);
        assert_true(stats.marked_b >= 20 * MIB);
        assert_int_equal(stats.next_gc_b, pacer_heap_goal(stats.marked_b, stats.stack_roots_b,
                                                          stats.data_roots_b, percents[i]));
    }
    SH_KEEP_ALIVE(kept);
    sh_set_gogc(100);
}

static void
test_change_of_gogc_takes_effect_at_once(void **state)
{
    (void)state;
    struct sh_stats stats;
    assert_int_equal(sh_set_gogc(400), 100);
    sh_stats_read(&stats);
    uint64_t goal_b = stats.next_gc_b;
    assert_int_equal(sh_set_gogc(SH_GOGC_OFF), 400);
    sh_stats_read(&stats);
    assert_true(stats.next_gc_b == UINT64_MAX);
    assert_int_equal(sh_set_gogc(200), SH_GOGC_OFF);
    sh_stats_read(&stats);
    assert_true(stats.next_gc_b < goal_b);
    assert_int_equal(sh_set_gogc(100), 200);
}

/* As in Go, where it is there already. Here what the collection frees can be used for it. */
static void
test_goal_counts_the_large_object_that_begins_a_collection(void **state)
{
    (void)state;
    struct sh_stats before, after;
    sh_collect();
    sh_stats_read(&before);
    void *kept = sh_alloc_noscan(64 * MIB);
    do {
        usleep(1000);
        sh_stats_read(&after);
    } while (after.num_gc == before.num_gc);
    assert_int_equal(after.num_gc, before.num_gc + 1);
    assert_true(after.next_gc_b >= 128 * MIB);
    SH_KEEP_ALIVE(kept);
}

/* Of the garbage before it, each object has room: the heap need not grow. */
static void
test_large_object_has_the_room_of_those_before(void **state)
{
    (void)state;
    struct sh_stats stats;
    sh_collect();
    for (int i = 0; i < 30; i++)
        *(volatile char *)sh_alloc_noscan(20 * MIB) = 1;
    sh_stats_read(&stats);
    assert_true(stats.heap_sys_b - stats.heap_released_b < 200 * MIB);
}

static uint32_t
collections_while_allocating(size_t bytes)
{
    struct sh_stats before, after;
    sh_stats_read(&before);
    for (size_t done = 0; done < bytes; done += 1024)
        sh_alloc_noscan(1024);
    sh_stats_read(&after);
    return after.num_gc - before.num_gc;
}

static void
test_off_means_no_collection(void **state)
{
    (void)state;
    sh_set_gogc(SH_GOGC_OFF);
    assert_int_equal(collections_while_allocating(40 * MIB), 0);
    sh_set_gogc(100);
    assert_true(collections_while_allocating(40 * MIB) > 0);
}

/* The heap that a collection leaves grows to the goal, again and again. */
static void
test_collections_come_each_time_the_goal_is_reached(void **state)
{
    (void)state;
    struct sh_stats stats;
    sh_set_gogc(100);
    sh_collect();
    sh_stats_read(&stats);
    uint64_t growth_b = stats.next_gc_b - stats.marked_b, expected = 64 * MIB / growth_b;
    /* A collection begins before the goal, at the earliest at 45/64 of the way to it. */
    assert_in_range(collections_while_allocating(64 * MIB), expected - expected / 8,
                    expected * 64 / 45 + expected / 8 + 1);
}

static void
test_more_percent_means_fewer_collections(void **state)
{
    (void)state;
    sh_set_gogc(100);
    sh_collect();
    uint32_t at_100 = collections_while_allocating(64 * MIB);
    sh_set_gogc(400);
    sh_collect();
    uint32_t at_400 = collections_while_allocating(64 * MIB);
    sh_set_gogc(100);
    assert_true(at_400 < at_100);
}

static void
set_minus_two(void *arg)
{
    (void)arg;
    sh_set_gogc(-2);
}

static void
test_percentage_below_off_is_fatal(void **state)
{
    (void)state;
    assert_child_dies(set_minus_two, NULL, "sh_set_gogc: -2");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goal_grows_from_marked_stacks_and_globals),
        cmocka_unit_test(test_goal_is_at_least_4_mib_at_100_percent),
        cmocka_unit_test(test_zero_percent_is_what_is_live),
        cmocka_unit_test(test_off_is_no_goal),
        cmocka_unit_test(test_goal_of_a_huge_heap_does_not_overflow),
        cmocka_unit_test(test_goal_follows_each_collection),
        cmocka_unit_test(test_change_of_gogc_takes_effect_at_once),
        cmocka_unit_test(test_goal_counts_the_large_object_that_begins_a_collection),
        cmocka_unit_test(test_large_object_has_the_room_of_those_before),
        cmocka_unit_test(test_off_means_no_collection),
        cmocka_unit_test(test_collections_come_each_time_the_goal_is_reached),
        cmocka_unit_test(test_more_percent_means_fewer_collections),
        cmocka_unit_test(test_percentage_below_off_is_fatal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
