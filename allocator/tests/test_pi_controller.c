/* The controller that smooths what the pacer measures. */
#include "check.h"

#include "collector/pi_controller.h"

#include <math.h>

static const struct pi_controller as_in_the_pacer = {
    .gain = 0.9, .integral_time = 4, .reset_time = 1000, .min = -1000, .max = 1000};

static void
test_a_step_is_proportion_plus_integral(void **state)
{
    (void)state;
    struct pi_controller c = as_in_the_pacer;
    double x = 0;
    assert_true(pi_controller_step(&c, x, 2, 1, &x));
    assert_true(fabs(x - 1.8) < 1e-12);           /* 0.9 * 2 */
    assert_true(fabs(c.integral - 0.45) < 1e-12); /* 0.9 * 1/4 * 2 */
    assert_true(pi_controller_step(&c, x, 2, 1, &x));
    assert_true(fabs(x - (0.9 * 0.2 + 0.45)) < 1e-12);
}

static void
test_a_lasting_value_is_reached(void **state)
{
    (void)state;
    struct pi_controller c = as_in_the_pacer;
    double x = 0;
    for (int i = 0; i < 60; i++)
        assert_true(pi_controller_step(&c, x, 0.3, 1, &x));
    assert_true(fabs(x - 0.3) < 1e-3);
}

static void
test_the_period_scales_the_integral(void **state)
{
    (void)state;
    struct pi_controller c = as_in_the_pacer;
    double x;
    assert_true(pi_controller_step(&c, 0, 2, 3, &x));
    assert_true(fabs(c.integral - 1.35) < 1e-12);
}

static void
test_output_is_clipped_and_the_rest_slowly_forgotten(void **state)
{
    (void)state;
    struct pi_controller c = as_in_the_pacer;
    double x;
    assert_true(pi_controller_step(&c, 0, 10000, 1, &x));
    assert_true(x == 1000);
    assert_true(fabs(c.integral - (2250 - 8)) < 1e-9); /* (1000 - 9000) / 1000 */
    c = as_in_the_pacer;
    assert_true(pi_controller_step(&c, 10000, 0, 1, &x));
    assert_true(x == -1000);
    assert_true(fabs(c.integral + (2250 - 8)) < 1e-9);
}

static void
test_what_is_no_number_resets_it(void **state)
{
    (void)state;
    static const double bad[] = {INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct pi_controller c = as_in_the_pacer;
        double x = 0;
        pi_controller_step(&c, 0, 5, 1, &x);
        assert_false(pi_controller_step(&c, x, bad[i], 1, &x));
        assert_true(x == -1000);
        assert_true(c.integral == 0);
    }
}

static void
test_an_integral_that_overflows_resets_it(void **state)
{
    (void)state;
    struct pi_controller c = as_in_the_pacer;
    double x;
    c.integral_time = 1e-300;
    assert_false(pi_controller_step(&c, 0, 1e300, 1, &x));
    assert_true(x == -1000);
    assert_true(c.integral == 0);
}

/* Any bits as input: the output is a number within the limits. */
static void
test_output_is_always_a_number(void **state)
{
    (void)state;
    struct rng r = {800};
    for (int run = 0; run < 1000; run++) {
        struct pi_controller c = as_in_the_pacer;
        for (int i = 0; i < 100; i++) {
            uint64_t bits = rng_next(&r);
            double input, x;
            memcpy(&input, &bits, sizeof input);
            pi_controller_step(&c, input, 0.84, 1, &x);
            assert_true(x >= -1000 && x <= 1000);
            assert_true(isfinite(c.integral));
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_step_is_proportion_plus_integral),
        cmocka_unit_test(test_a_lasting_value_is_reached),
        cmocka_unit_test(test_the_period_scales_the_integral),
        cmocka_unit_test(test_output_is_clipped_and_the_rest_slowly_forgotten),
        cmocka_unit_test(test_what_is_no_number_resets_it),
        cmocka_unit_test(test_an_integral_that_overflows_resets_it),
        cmocka_unit_test(test_output_is_always_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
