/* needs-shared */
/* run: native */
/* What the shared library takes over: threads made by the C library's own functions are attached,
   and the stop signal cannot be shut out. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spanheap.h>
#include <string.h>
#include <threads.h>

#define ROUNDS 20

static _Atomic int stage;

static void
wait_for(int wanted)
{
    while (stage < wanted)
        thrd_yield();
}

static void *
hold_argument(void *arg)
{
    int *value = arg;
    stage = 1;
    wait_for(2);
    int *copy = sh_alloc_noscan(sizeof *copy * 8);
    *copy = *value + 1;
    return copy;
}

static int *
fresh_number(int n)
{
    int *p = sh_alloc_noscan(64);
    *p = n;
    return p;
}

static void
collect_and_overwrite(void)
{
    for (int i = 0; i < 1000; i++)
        memset(sh_alloc_noscan(64), 0xee, 64);
    sh_collect();
}

static void
test_pthread_create_attaches_and_keeps_argument_and_result(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_t thread;
        void *result;
        stage = 0;
        assert_int_equal(pthread_create(&thread, NULL, hold_argument, fresh_number(i)), 0);
        collect_and_overwrite();
        wait_for(1);
        stage = 2;
        collect_and_overwrite();
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_int_equal(*(int *)result, i + 1);
    }
}

static int
c11_thread(void *arg)
{
    collect_and_overwrite();
    return *(int *)arg;
}

static void
test_thrd_create_attaches_and_returns_its_int(void **state)
{
    (void)state;
    thrd_t thread;
    int result = 0;
    assert_int_equal(thrd_create(&thread, c11_thread, fresh_number(-7)), thrd_success);
    assert_int_equal(thrd_join(thread, &result), thrd_success);
    assert_int_equal(result, -7);
}

static void *
block_every_signal(void *arg)
{
    sigset_t all;
    sigfillset(&all);
    *(int *)arg = pthread_sigmask(SIG_SETMASK, &all, NULL) | sigprocmask(SIG_BLOCK, &all, NULL);
    stage = 1;
    while (stage < 2) {
        struct timespec brief = {0, 1000000};
        ppoll(NULL, 0, &brief, &all);
    }
    return NULL;
}

static void
test_thread_that_blocks_every_signal_still_stops(void **state)
{
    (void)state;
    pthread_t thread;
    int error = -1;
    stage = 0;
    assert_int_equal(pthread_create(&thread, NULL, block_every_signal, &error), 0);
    wait_for(1);
    assert_int_equal(error, 0);
    for (int i = 0; i < ROUNDS; i++)
        sh_collect();
    stage = 2;
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void
test_handler_of_the_stop_signal_cannot_be_replaced(void **state)
{
    (void)state;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    errno = 0;
    assert_int_equal(sigaction(SIGPWR, &ignore, NULL), -1);
    assert_int_equal(errno, EINVAL);
    assert_true(signal(SIGPWR, SIG_IGN) == SIG_ERR);
    assert_int_equal(sigaction(SIGUSR1, &ignore, NULL), 0);
}

static void *
return_at_once(void *arg)
{
    return arg;
}

static void
test_every_way_to_end_a_thread_forgets_it(void **state)
{
    (void)state;
    struct sh_stats before, after;
    struct timespec far = {INT32_MAX, 0};
    sh_stats_read(&before);
    for (int i = 0; i < ROUNDS; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, return_at_once, NULL), 0);
        if (i % 3 == 0)
            assert_int_equal(pthread_timedjoin_np(thread, NULL, &far), 0);
        else if (i % 3 == 1)
            while (pthread_tryjoin_np(thread, NULL) == EBUSY)
                thrd_yield();
        else
            assert_int_equal(pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &far), 0);
    }
    sh_stats_read(&after);
    assert_int_equal(after.num_threads, before.num_threads);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pthread_create_attaches_and_keeps_argument_and_result),
        cmocka_unit_test(test_thrd_create_attaches_and_returns_its_int),
        cmocka_unit_test(test_thread_that_blocks_every_signal_still_stops),
        cmocka_unit_test(test_handler_of_the_stop_signal_cannot_be_replaced),
        cmocka_unit_test(test_every_way_to_end_a_thread_forgets_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
