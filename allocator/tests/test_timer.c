/* Timers, tickers and sleep: never early, nothing after a stop, what stop and reset return. */
/* run: native asan tsan */
#include "panic_check.h"

#include <spanheap/channel.h>
#include <spanheap/task.h>

#include "heap/os.h"

enum { MS = 1000000 };

static uint64_t
received(struct sh_channel *c)
{
    uint64_t at = 0;
    assert_true(sh_channel_receive(c, &at));
    return at;
}

static void
test_after_is_not_early_and_comes_once(void **state)
{
    (void)state;
    static const uint64_t times_ns[] = {0, 1, 1000, 3 * MS, 20 * MS};
    for (size_t i = 0; i < COUNT_OF(times_ns); i++) {
        uint64_t start_ns = os_now_ns();
        struct sh_channel *c = sh_after(times_ns[i]);
        uint64_t at_ns = received(c);
        assert_true(at_ns >= start_ns + times_ns[i]);
        assert_true(os_now_ns() >= at_ns);
        assert_int_equal(sh_channel_len(c), 0);
    }
}

static void
sleep_for_a_time(void *group)
{
    static const uint64_t times_ns[] = {0, 1, 1000, 2 * MS};
    for (size_t i = 0; i < COUNT_OF(times_ns); i++) {
        uint64_t start_ns = os_now_ns();
        sh_task_sleep(times_ns[i]);
        need(os_now_ns() >= start_ns + times_ns[i], "sleep is not too short");
    }
    sh_wait_group_done(group);
}

static void
test_sleep_is_not_too_short(void **state)
{
    (void)state;
    static struct sh_wait_group all;
    sh_wait_group_add(&all, 5);
    for (int i = 0; i < 4; i++)
        sh_task_start(sleep_for_a_time, &all);
    sleep_for_a_time(&all);
    sh_wait_group_wait(&all);
}

/* What lies beyond the end of time does not come at once. */
static void
test_times_beyond_the_last_one_do_not_come(void **state)
{
    (void)state;
    struct sh_channel *c = sh_after(UINT64_MAX);
    struct sh_timer timer = sh_timer_start(UINT64_MAX - 1);
    struct sh_ticker ticker = sh_ticker_start(UINT64_MAX);
    received(sh_after(5 * MS));
    assert_int_equal(sh_channel_len(c) + sh_channel_len(timer.channel), 0);
    assert_int_equal(sh_channel_len(ticker.channel), 0);
    assert_true(sh_timer_stop(&timer));
    sh_ticker_stop(&ticker);
}

static void
test_ticker_drops_ticks_for_a_slow_receiver(void **state)
{
    (void)state;
    struct sh_ticker ticker = sh_ticker_start(2 * MS);
    uint64_t first_ns = received(ticker.channel);
    received(sh_after(30 * MS)); /* some fifteen ticks */
    assert_int_equal(sh_channel_len(ticker.channel), 1);
    uint64_t full_ns = os_now_ns(), kept_ns = received(ticker.channel);
    assert_true(kept_ns > first_ns && kept_ns <= full_ns);
    assert_true(received(ticker.channel) >= full_ns); /* those between found no room */
    sh_ticker_stop(&ticker);
}

static void
test_nothing_comes_after_a_stop(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct sh_ticker ticker = sh_ticker_start(MS / 20);
        received(ticker.channel);
        sh_ticker_stop(&ticker);
        sh_channel_try_receive(ticker.channel, NULL); /* what came before */
        assert_int_equal(sh_channel_len(ticker.channel), 0);
        received(sh_after(2 * MS));
        assert_int_equal(sh_channel_len(ticker.channel), 0);
        sh_ticker_stop(&ticker); /* again: nothing */
    }
}

/* Go 1.19's return values. */
static void
test_stop_and_reset_tell_whether_the_timer_ran(void **state)
{
    (void)state;
    struct sh_timer timer = sh_timer_start(3600 * UINT64_C(1000) * MS);
    assert_true(sh_timer_stop(&timer));
    assert_false(sh_timer_stop(&timer));
    assert_false(sh_timer_reset(&timer, 3600 * UINT64_C(1000) * MS));
    uint64_t start_ns = os_now_ns();
    assert_true(sh_timer_reset(&timer, 3 * MS));
    assert_true(received(timer.channel) >= start_ns + 3 * MS);
    assert_false(sh_timer_stop(&timer));
    assert_false(sh_timer_reset(&timer, 0));
    while (sh_channel_len(timer.channel) == 0)
        sh_task_sleep(MS / 10);
    assert_false(sh_timer_stop(&timer)); /* it has run out, and its time stays there */
    assert_int_equal(sh_channel_len(timer.channel), 1);
    received(timer.channel);
    received(sh_after(5 * MS));
    assert_int_equal(sh_channel_len(timer.channel), 0);
}

static void
test_reset_ticker_has_another_period(void **state)
{
    (void)state;
    struct sh_ticker ticker = sh_ticker_start(3600 * UINT64_C(1000) * MS);
    uint64_t start_ns = os_now_ns(), before_ns = start_ns;
    sh_ticker_reset(&ticker, MS);
    for (int i = 1; i <= 3; i++) {
        uint64_t at_ns = received(ticker.channel);
        assert_true(at_ns >= start_ns + (uint64_t)i * MS && at_ns > before_ns);
        before_ns = at_ns;
    }
    sh_ticker_stop(&ticker);
    sh_ticker_reset(&ticker, MS); /* goes on */
    sh_channel_try_receive(ticker.channel, NULL);
    received(ticker.channel);
    sh_ticker_stop(&ticker);
}

static void
start_ticker_of_0(void *arg)
{
    (void)arg;
    sh_ticker_start(0);
}

static void
reset_ticker_to_0(void *arg)
{
    (void)arg;
    sh_ticker_reset(&(struct sh_ticker){NULL}, 0);
}

static void
reset_no_ticker(void *arg)
{
    (void)arg;
    sh_ticker_reset(&(struct sh_ticker){NULL}, 1);
}

static void
stop_no_timer(void *arg)
{
    (void)arg;
    sh_timer_stop(&(struct sh_timer){NULL});
}

static void
reset_no_timer(void *arg)
{
    (void)arg;
    sh_timer_reset(&(struct sh_timer){NULL}, 1);
}

static void
test_misuse_panics_in_the_words_of_go(void **state)
{
    (void)state;
    assert_string_equal(panic_of(start_ticker_of_0, NULL), "non-positive interval for NewTicker");
    assert_string_equal(panic_of(reset_ticker_to_0, NULL),
                        "non-positive interval for Ticker.Reset");
    assert_string_equal(panic_of(reset_no_ticker, NULL),
                        "time: Reset called on uninitialized Ticker");
    assert_string_equal(panic_of(stop_no_timer, NULL), "time: Stop called on uninitialized Timer");
    assert_string_equal(panic_of(reset_no_timer, NULL),
                        "time: Reset called on uninitialized Timer");
}

/* ---- Beside the scheduler ---- */

static struct sh_wait_group all;

static void
sleep_shortly_and_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2000; i++)
        sh_task_sleep(i % 2 == 0 ? 0 : 1);
    sh_wait_group_done(&all);
}

/* Each has run out by the time that the task parks. */
static void
test_sleeps_that_end_at_once_do_end(void **state)
{
    (void)state;
    sh_wait_group_add(&all, 3);
    for (int i = 0; i < 3; i++)
        sh_task_start(sleep_shortly_and_often, NULL);
    sh_wait_group_wait(&all);
}

static void
receive_many_ticks(void *arg)
{
    (void)arg;
    struct sh_ticker ticker = sh_ticker_start(1);
    for (int i = 0; i < 2000; i++)
        sh_channel_receive(ticker.channel, NULL);
    sh_ticker_stop(&ticker);
    sh_wait_group_done(&all);
}

/* A tick is due whenever the receiver parks, and holds the channel's lock. */
static void
test_tick_that_is_due_while_its_receiver_parks_arrives(void **state)
{
    (void)state;
    sh_wait_group_add(&all, 3);
    for (int i = 0; i < 3; i++)
        sh_task_start(receive_many_ticks, NULL);
    sh_wait_group_wait(&all);
}

static void
sleep_a_moment(void *arg)
{
    (void)arg;
    sh_task_sleep(5 * MS);
    sh_wait_group_done(&all);
}

static void
test_stopping_a_ticker_that_is_none_wakes_and_loses_nobody(void **state)
{
    (void)state;
    sh_wait_group_add(&all, 10);
    for (int i = 0; i < 10; i++)
        sh_task_start(sleep_a_moment, NULL);
    for (int i = 0; i < 20; i++)
        sh_ticker_stop(&(struct sh_ticker){NULL});
    sh_wait_group_wait(&all);
}

static void
test_channel_that_the_program_has_closed_gets_no_time(void **state)
{
    (void)state;
    struct sh_ticker ticker = sh_ticker_start(MS / 10);
    struct sh_channel *c = sh_after(MS);
    sh_channel_close(ticker.channel);
    sh_channel_close(c);
    received(sh_after(5 * MS));
    while (sh_channel_receive(ticker.channel, NULL) || sh_channel_receive(c, NULL)) {
    }
    sh_ticker_stop(&ticker);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_after_is_not_early_and_comes_once),
        cmocka_unit_test(test_sleep_is_not_too_short),
        cmocka_unit_test(test_times_beyond_the_last_one_do_not_come),
        cmocka_unit_test(test_ticker_drops_ticks_for_a_slow_receiver),
        cmocka_unit_test(test_nothing_comes_after_a_stop),
        cmocka_unit_test(test_stop_and_reset_tell_whether_the_timer_ran),
        cmocka_unit_test(test_reset_ticker_has_another_period),
        cmocka_unit_test(test_misuse_panics_in_the_words_of_go),
        cmocka_unit_test(test_sleeps_that_end_at_once_do_end),
        cmocka_unit_test(test_tick_that_is_due_while_its_receiver_parks_arrives),
        cmocka_unit_test(test_stopping_a_ticker_that_is_none_wakes_and_loses_nobody),
        cmocka_unit_test(test_channel_that_the_program_has_closed_gets_no_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
