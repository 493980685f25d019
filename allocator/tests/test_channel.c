/* Channels: the table of what Go does, order, select, values with pointers. */
/* run: native asan tsan valgrind */
#include "panic_check.h"

#include <spanheap/channel.h>
#include <spanheap/task.h>

static const uint64_t pointer_mask = 1;
static const struct sh_type pointer_type = {"pointer", 8, &pointer_mask, 0};
static const struct sh_type int_type = {"int", sizeof(int), NULL, 0};
static const struct sh_type nothing_type = {"nothing", 0, NULL, 0};

/* ---- One operation, and what comes of it ---- */

static void
send_one(void *channel)
{
    int one = 1;
    sh_channel_send(channel, &one);
}

static void
try_send_one(void *channel)
{
    int one = 1;
    sh_channel_try_send(channel, &one);
}

static void
select_send_one(void *channel)
{
    int one = 1;
    struct sh_select_case cases[] = {{channel, &one, SH_SELECT_SEND, false}};
    sh_select(cases, 1, true);
}

static void
close_it(void *channel)
{
    sh_channel_close(channel);
}

static struct sh_channel *
made(size_t capacity, int filled, bool closed)
{
    struct sh_channel *c = sh_channel_make(&int_type, capacity);
    for (int i = 1; i <= filled; i++)
        sh_channel_send(c, &i);
    if (closed)
        sh_channel_close(c);
    return c;
}

static void
test_misuse_panics_in_the_words_of_go(void **state)
{
    (void)state;
    static const struct {
        void (*work)(void *arg);
        int kind; /* 0: nil, 1: open with room, 2: closed, 3: closed and not empty */
        const char *message;
    } cases[] = {
        {send_one, 1, NULL},
        {send_one, 2, "send on closed channel"},
        {send_one, 3, "send on closed channel"},
        {try_send_one, 0, NULL},
        {try_send_one, 1, NULL},
        {try_send_one, 2, "send on closed channel"},
        {select_send_one, 0, NULL},
        {select_send_one, 1, NULL},
        {select_send_one, 2, "send on closed channel"},
        {close_it, 0, "close of nil channel"},
        {close_it, 1, NULL},
        {close_it, 2, "close of closed channel"},
        {close_it, 3, "close of closed channel"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sh_channel *c =
            cases[i].kind == 0 ? NULL : made(2, cases[i].kind == 3, cases[i].kind >= 2);
        const char *message = panic_of(cases[i].work, c);
        if (cases[i].message == NULL)
            assert_null(message);
        else
            assert_string_equal(message, cases[i].message);
    }
}

static void
make_huge(void *arg)
{
    (void)arg;
    sh_channel_make(&int_type, SIZE_MAX / 2);
}

static void
test_size_that_overflows_panics(void **state)
{
    (void)state;
    assert_memory_equal(panic_of(make_huge, NULL), "makechan: size out of range", 27);
}

static void
select_too_many(void *cases)
{
    sh_select(cases, SH_SELECT_MAX + 1, true);
}

static void
test_too_many_cases_panic(void **state)
{
    (void)state;
    struct sh_channel *full = made(1, 1, false);
    struct sh_select_case *cases = calloc(SH_SELECT_MAX + 1, sizeof *cases);
    for (size_t i = 0; i < SH_SELECT_MAX; i++)
        cases[i].kind = SH_SELECT_RECEIVE;
    assert_string_equal(panic_of(select_too_many, cases),
                        "sh_select: too many cases: 65537 (max 65536)");
    assert_int_equal(sh_select(cases, SH_SELECT_MAX, true), SH_SELECT_NONE);
    cases[SH_SELECT_MAX - 1].channel = full;
    assert_int_equal(sh_select(cases, SH_SELECT_MAX, false), SH_SELECT_MAX - 1);
    free(cases);
}

static void
test_trying_never_waits(void **state)
{
    (void)state;
    int v = 9;
    struct sh_channel *full = made(2, 2, false), *empty = made(2, 0, false);
    struct sh_channel *closed = made(2, 1, true), *bare = made(0, 0, false);
    assert_int_equal(sh_channel_try_send(full, &v), SH_CHANNEL_WOULD_WAIT);
    assert_int_equal(sh_channel_try_send(bare, &v), SH_CHANNEL_WOULD_WAIT);
    assert_int_equal(sh_channel_try_send(NULL, &v), SH_CHANNEL_WOULD_WAIT);
    assert_int_equal(sh_channel_try_receive(empty, &v), SH_CHANNEL_WOULD_WAIT);
    assert_int_equal(sh_channel_try_receive(bare, &v), SH_CHANNEL_WOULD_WAIT);
    assert_int_equal(sh_channel_try_receive(NULL, &v), SH_CHANNEL_WOULD_WAIT);
    assert_int_equal(v, 9);
    assert_int_equal(sh_channel_try_receive(closed, &v), SH_CHANNEL_DONE);
    assert_int_equal(v, 1);
    assert_int_equal(sh_channel_try_receive(closed, &v), SH_CHANNEL_CLOSED);
    assert_int_equal(v, 0);
    assert_int_equal(sh_channel_try_receive(full, NULL), SH_CHANNEL_DONE);
    assert_int_equal(sh_channel_try_send(full, &v), SH_CHANNEL_DONE);
    struct sh_select_case cases[] = {{bare, &v, SH_SELECT_RECEIVE, true},
                                     {NULL, &v, SH_SELECT_RECEIVE, true}};
    assert_int_equal(sh_select(cases, 2, true), SH_SELECT_NONE);
    assert_int_equal(sh_select(cases, 0, true), SH_SELECT_NONE);
}

static void
test_buffer_is_a_queue_of_its_capacity(void **state)
{
    (void)state;
    struct sh_channel *c = made(3, 0, false);
    int next = 0, expected = 0, got;
    assert_int_equal(sh_channel_cap(c), 3);
    assert_int_equal(sh_channel_cap(NULL) + sh_channel_len(NULL), 0);
    for (int round = 0; round < 20; round++) {
        while (sh_channel_try_send(c, &next) == SH_CHANNEL_DONE)
            next++;
        assert_int_equal(sh_channel_len(c), 3);
        for (int i = 0; i <= round % 3; i++) {
            assert_true(sh_channel_receive(c, &got));
            assert_int_equal(got, expected++);
        }
    }
    sh_channel_close(c);
    while (sh_channel_receive(c, &got))
        assert_int_equal(got, expected++);
    assert_int_equal(expected, next);
    assert_int_equal(got, 0);
}

static void
test_elements_of_no_size_are_counted(void **state)
{
    (void)state;
    struct sh_channel *c = sh_channel_make(&nothing_type, 2);
    char nothing;
    sh_channel_send(c, &nothing);
    sh_channel_send(c, &nothing);
    assert_int_equal(sh_channel_try_send(c, &nothing), SH_CHANNEL_WOULD_WAIT);
    assert_true(sh_channel_receive(c, &nothing));
    assert_int_equal(sh_channel_len(c), 1);
}

/* ---- Between tasks ---- */

enum { SENDERS = 8, EACH = 2000 };
static struct sh_wait_group all;
static struct sh_channel *shared;
static _Atomic uint64_t total;

static void
send_many(void *arg)
{
    for (uint64_t i = 0; i < EACH; i++) {
        uint64_t value = (uint64_t)(uintptr_t)arg * EACH + i;
        sh_channel_send(shared, &value);
        sh_safepoint();
    }
    sh_wait_group_done(&all);
}

static void
receive_many(void *arg)
{
    (void)arg;
    uint64_t value, last[SENDERS] = {0};
    while (sh_channel_receive(shared, &value)) {
        uint64_t *before = &last[value / EACH];
        need(value % EACH == 0 || value % EACH + 1 > *before,
             "values of a sender keep their order");
        *before = value % EACH + 1;
        atomic_fetch_add(&total, value);
        sh_safepoint();
    }
    sh_wait_group_done(&all);
}

static void
test_every_value_arrives_once_and_in_order(void **state)
{
    (void)state;
    static const size_t capacities[] = {0, 1, 100};
    for (size_t i = 0; i < COUNT_OF(capacities); i++) {
        shared = sh_channel_make(&sh_uint64_type, capacities[i]);
        total = 0;
        sh_wait_group_add(&all, SENDERS);
        for (uintptr_t s = 0; s < SENDERS; s++)
            sh_task_start(send_many, (void *)s);
        uint64_t before = sh_tasks_newest();
        for (int r = 0; r < 3; r++) {
            sh_wait_group_add(&all, 1);
            sh_task_start(receive_many, NULL);
        }
        while (atomic_load(&total) < (uint64_t)SENDERS * EACH * (SENDERS * EACH - 1) / 2)
            sh_task_sleep(100000);
        sh_channel_close(shared);
        sh_wait_group_wait(&all);
        assert_int_equal(total, (uint64_t)SENDERS * EACH * (SENDERS * EACH - 1) / 2);
        assert_int_equal(sh_tasks_leaked(before, 2000000000, NULL, 0), 0);
    }
}

/* Threads and tasks on both sides of a select. */
static struct sh_channel *several[3];

static void *
select_in_thread(void *arg)
{
    uint64_t sum = 0;
    for (int i = 0; i < EACH; i++) {
        uint64_t value = 0;
        struct sh_select_case cases[] = {{several[0], &value, SH_SELECT_RECEIVE, false},
                                         {several[1], &value, SH_SELECT_RECEIVE, false},
                                         {several[2], &value, SH_SELECT_RECEIVE, false},
                                         {several[0], &value, SH_SELECT_RECEIVE, false}};
        size_t won = sh_select(cases, COUNT_OF(cases), false);
        need(won < COUNT_OF(cases) && cases[won].received, "a case was received");
        need(value % 3 == won % 3, "it is that channel's");
        sum += value;
    }
    *(uint64_t *)arg = sum;
    return NULL;
}

static void
send_to_several(void *arg)
{
    (void)arg;
    for (uint64_t i = 0; i < 2 * EACH; i++) {
        uint64_t value = 3 * i, values[3] = {value, value + 1, value + 2};
        struct sh_select_case cases[] = {{several[0], &values[0], SH_SELECT_SEND, false},
                                         {several[1], &values[1], SH_SELECT_SEND, false},
                                         {several[2], &values[2], SH_SELECT_SEND, false}};
        size_t won = sh_select(cases, 3, false);
        atomic_fetch_add(&total, values[won]);
    }
    sh_wait_group_done(&all);
}

static void
test_select_takes_one_case(void **state)
{
    (void)state;
    pthread_t threads[2];
    uint64_t sums[2];
    total = 0;
    for (size_t i = 0; i < 3; i++)
        several[i] = sh_channel_make(&sh_uint64_type, i);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sh_thread_create(&threads[i], NULL, select_in_thread, &sums[i]), 0);
    sh_wait_group_add(&all, 1);
    sh_task_start(send_to_several, NULL);
    sh_wait_group_wait(&all);
    for (int i = 0; i < 2; i++)
        sh_thread_join(threads[i], NULL);
    uint64_t left = 0, value;
    for (size_t i = 0; i < 3; i++)
        while (sh_channel_try_receive(several[i], &value) == SH_CHANNEL_DONE)
            left += value;
    assert_int_equal(sums[0] + sums[1] + left, total);
}

static void
test_select_of_ready_cases_is_fair(void **state)
{
    (void)state;
    size_t wins[40] = {0};
    struct sh_select_case cases[40];
    int value;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cases[i] = (struct sh_select_case){made(0, 0, true), &value, SH_SELECT_RECEIVE, true};
    for (int i = 0; i < 40000; i++) {
        size_t won = sh_select(cases, COUNT_OF(cases), false);
        assert_false(cases[won].received);
        wins[won]++;
    }
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_true(wins[i] > 700 && wins[i] < 1300); /* 1000 +- 9 standard deviations */
}

static void
close_later(void *channel)
{
    sh_task_sleep(5000000);
    sh_channel_close(channel);
}

static void
test_closing_wakes_all_who_wait(void **state)
{
    (void)state;
    struct sh_channel *c = made(0, 0, false), *d = made(0, 0, false);
    int value = 7;
    sh_task_start(close_later, c);
    assert_false(sh_channel_receive(c, &value));
    assert_int_equal(value, 0);
    sh_task_start(close_later, d);
    assert_string_equal(panic_of(send_one, d), "send on closed channel"); /* while it waits */
    struct sh_channel *e = made(0, 0, false);
    struct sh_select_case cases[] = {{e, &value, SH_SELECT_RECEIVE, true},
                                     {NULL, NULL, SH_SELECT_RECEIVE, true}};
    sh_task_start(close_later, e);
    assert_int_equal(sh_select(cases, 2, false), 0);
    assert_false(cases[0].received);
}

/* ---- Values that are pointers ---- */

static void
test_channel_keeps_what_lies_in_it_and_no_more(void **state)
{
    (void)state;
    static uintptr_t hidden[64];
    static struct sh_channel *c;
    c = sh_channel_make(&pointer_type, 64);
    for (size_t i = 0; i < COUNT_OF(hidden); i++) {
        void *p = fresh_object(400);
        hidden[i] = hide(p);
        sh_channel_send(c, &p);
    }
    collect();
    assert_int_equal(count_alive(hidden, 64), 64);
    for (int i = 0; i < 60; i++)
        assert_true(sh_channel_receive(c, NULL));
    collect();
    assert_true(count_alive(hidden, 64) <= 6); /* a word or two of this thread's */
    assert_true(is_alive(hidden[63]) && is_alive(hidden[60]));
    c = NULL;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_misuse_panics_in_the_words_of_go),
        cmocka_unit_test(test_size_that_overflows_panics),
        cmocka_unit_test(test_too_many_cases_panic),
        cmocka_unit_test(test_trying_never_waits),
        cmocka_unit_test(test_buffer_is_a_queue_of_its_capacity),
        cmocka_unit_test(test_elements_of_no_size_are_counted),
        cmocka_unit_test(test_every_value_arrives_once_and_in_order),
        cmocka_unit_test(test_select_takes_one_case),
        cmocka_unit_test(test_select_of_ready_cases_is_fair),
        cmocka_unit_test(test_closing_wakes_all_who_wait),
        cmocka_unit_test(test_channel_keeps_what_lies_in_it_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
