/* The histogram of pauses: how exact it is over all magnitudes, and what the library counts in it.
 */
#include "check.h"

#include "observe/histogram.h"

#include <math.h>

#define HOUR_NS UINT64_C(3600000000000)

static struct histogram h;

static void
clear(void)
{
    memset(&h, 0, sizeof h);
}

static void
assert_close(uint64_t got, uint64_t wanted)
{
    if (got < wanted || (double)(got - wanted) > 0.01 * (double)wanted)
        fail_msg("%llu is not within 1 %% above %llu", (unsigned long long)got,
                 (unsigned long long)wanted);
}

static void
test_empty_histogram_has_no_quantile(void **state)
{
    (void)state;
    clear();
    assert_int_equal(histogram_quantile(&h, 0), 0);
    assert_int_equal(histogram_quantile(&h, 0.5), 0);
    assert_int_equal(histogram_quantile(&h, 1), 0);
}

/* Each value alone below a far larger one, so that its own bucket's end is the answer. */
static void
test_every_magnitude_is_told_within_one_percent(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < HISTOGRAM_VALUE_BITS; bit++) {
        uint64_t base = UINT64_C(1) << bit;
        for (unsigned eighths = 0; eighths < 8; eighths++) {
            for (int off = -1; off <= 1; off++) {
                uint64_t value = base + base / 8 * eighths + (uint64_t)off;
                clear();
                histogram_record(&h, value);
                histogram_record(&h, UINT64_MAX);
                assert_close(histogram_quantile(&h, 0.5), value);
            }
        }
    }
}

static void
test_short_lengths_and_the_largest_are_exact(void **state)
{
    (void)state;
    for (uint64_t value = 0; value < 256; value++) {
        clear();
        histogram_record(&h, value);
        histogram_record(&h, 1000000);
        assert_int_equal(histogram_quantile(&h, 0.5), value);
    }
    clear();
    static const uint64_t lengths[] = {999, 123456789, 5 * HOUR_NS + 1, UINT64_MAX};
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        histogram_record(&h, lengths[i]);
        assert_int_equal(histogram_quantile(&h, 1), lengths[i]);
        assert_int_equal(h.max, lengths[i]);
    }
}

static int
by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* A length from 1 ns to hours, each magnitude as likely as the next. */
static uint64_t
random_length(struct rng *rng)
{
    return (rng_next(rng) | UINT64_C(1) << 63) >> (64 - 44 + rng_below(rng, 44));
}

static void
test_quantiles_are_those_of_the_sorted_values(void **state)
{
    (void)state;
    enum { N = 20000 };
    static uint64_t values[N];
    const uint64_t seed = 20240607;
    struct rng rng = {seed};
    clear();
    for (size_t i = 0; i < N; i++) {
        values[i] = random_length(&rng);
        histogram_record(&h, values[i]);
    }
    qsort(values, N, sizeof *values, by_value);
    assert_seeded(values[0] <= 2 && values[N - 1] > 4 * HOUR_NS, seed);
    for (size_t i = 0; i < N; i++) /* rank i + 1 of N: every recorded value is asked for */
        assert_close(histogram_quantile(&h, (double)(i + 1) / N), values[i]);
    assert_close(histogram_quantile(&h, 0), values[0]);
}

static void
test_rank_is_not_rounded_up_by_arithmetic(void **state)
{
    (void)state;
    clear();
    for (uint64_t value = 1; value <= 100; value++)
        histogram_record(&h, value);
    for (uint64_t percent = 1; percent <= 100; percent++)
        assert_int_equal(histogram_quantile(&h, (double)percent / 100), percent);
    assert_int_equal(histogram_quantile(&h, 0.001), 1);
    assert_int_equal(histogram_quantile(&h, 0.0701), 8);
}

/* ---- What the library counts ---- */

static uint64_t
counted(unsigned cause)
{
    struct sh_pause_histogram p;
    sh_pause_histogram_read((enum sh_stop_cause)cause, &p, NULL, NULL, 0);
    assert_true(p.max_ns <= p.total_ns);
    return p.count;
}

static void
test_pauses_are_counted_by_cause_since_the_start(void **state)
{
    (void)state;
    uint64_t marks = counted(SH_STOP_MARK) + counted(SH_STOP_MARK_END),
             reads = counted(SH_STOP_STATISTICS), all = counted(SH_STOP_ANY);
    struct sh_stats stats;
    for (int i = 0; i < 300; i++) /* more than are kept one by one */
        sh_stats_read(&stats);
    for (int i = 0; i < 5; i++)
        sh_collect();
    assert_int_equal(counted(SH_STOP_STATISTICS), reads + 300);
    assert_int_equal(counted(SH_STOP_MARK) + counted(SH_STOP_MARK_END), marks + 5);
    assert_true(counted(SH_STOP_ANY) >= all + 305);
    sh_stats_read(&stats);
    assert_int_equal(counted(SH_STOP_ANY), stats.num_stops);
}

static void
test_quantiles_of_pauses_rise_to_the_longest(void **state)
{
    (void)state;
    static const double quantiles[] = {0, 0.5, 0.9, 0.99, 1};
    uint64_t lengths_ns[COUNT_OF(quantiles)];
    struct sh_pause_histogram p;
    struct sh_pause last;
    for (int i = 0; i < 20; i++)
        sh_collect();
    sh_pause_histogram_read(SH_STOP_ANY, &p, quantiles, lengths_ns, COUNT_OF(quantiles));
    sh_pauses_read(&last, 1);
    assert_true(lengths_ns[0] > 0);
    for (size_t i = 1; i < COUNT_OF(quantiles); i++)
        assert_true(lengths_ns[i] >= lengths_ns[i - 1]);
    assert_int_equal(lengths_ns[4], p.max_ns);
    assert_true(last.length_ns <= p.max_ns);
    struct sh_stats stats;
    sh_pause_histogram_read(SH_STOP_ANY, &p, NULL, NULL, 0);
    uint64_t total_ns = p.total_ns;
    sh_stats_read(&stats); /* counts its own pause after it has filled in the rest */
    assert_int_equal(stats.pause_total_ns, total_ns);
}

static void
ask_unknown_cause(void *arg)
{
    struct sh_pause_histogram p;
    sh_pause_histogram_read((enum sh_stop_cause)77, &p, arg, NULL, 0);
}

static void
ask_quantile(void *q)
{
    struct sh_pause_histogram p;
    uint64_t length_ns;
    sh_pause_histogram_read(SH_STOP_ANY, &p, q, &length_ns, 1);
}

static void
test_bad_question_is_fatal(void **state)
{
    (void)state;
    double bad[] = {-0.01, 1.01, NAN};
    assert_child_dies(ask_unknown_cause, NULL, "sh_pause_histogram_read: cause 77");
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_child_dies(ask_quantile, &bad[i], "sh_pause_histogram_read: a quantile");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_histogram_has_no_quantile),
        cmocka_unit_test(test_every_magnitude_is_told_within_one_percent),
        cmocka_unit_test(test_short_lengths_and_the_largest_are_exact),
        cmocka_unit_test(test_quantiles_are_those_of_the_sorted_values),
        cmocka_unit_test(test_rank_is_not_rounded_up_by_arithmetic),
        cmocka_unit_test(test_pauses_are_counted_by_cause_since_the_start),
        cmocka_unit_test(test_quantiles_of_pauses_rise_to_the_longest),
        cmocka_unit_test(test_bad_question_is_fatal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
