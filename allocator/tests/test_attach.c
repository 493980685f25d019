/* Threads that come and go: attached and forgotten at the right time, whatever way they end. */
#include "check.h"

#include "collector/threads.h"
#include "collector/verify.h"

#include <sched.h>

#define SEED UINT64_C(31337)

static _Atomic int ready, stop;

static void
wait_ready(int n)
{
    while (atomic_load(&ready) < n)
        sched_yield();
}

static void
begin(void)
{
    atomic_store(&ready, 0);
    atomic_store(&stop, 0);
}

static pthread_t
start(void *(*run)(void *), void *arg)
{
    pthread_t thread;
    assert_int_equal(sh_thread_create(&thread, NULL, run, arg), 0);
    return thread;
}

static int ends[2];

/* ---- Attached or not ---- */

static void *
use_heap(void *attach)
{
    if (attach != NULL)
        sh_thread_attach();
    void *p = sh_alloc(100);
    bool live = sh_object_base(p) == p;
    if (attach != NULL) {
        sh_thread_attach(); /* again: nothing */
        sh_collect();
        sh_thread_leave();
        sh_thread_attach();
        sh_alloc(100);
    }
    return (void *)(uintptr_t)live;
}

static void
run_unattached(void *arg)
{
    pthread_t thread;
    pthread_create(&thread, NULL, use_heap, arg);
    pthread_join(thread, NULL);
}

static void
test_heap_call_of_an_unknown_thread_is_fatal(void **state)
{
    (void)state;
    assert_child_dies(run_unattached, NULL, "a thread that is not attached uses the heap");
}

static void
test_thread_made_elsewhere_may_attach_leave_and_attach(void **state)
{
    (void)state;
    struct sh_stats before, after;
    pthread_t threads[8];
    sh_stats_read(&before);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_heap, &ready), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        void *good = NULL;
        sh_blocking_begin();
        pthread_join(threads[i], &good);
        sh_blocking_end();
        assert_non_null(good);
    }
    sh_stats_read(&after);
    assert_int_equal(after.num_threads, before.num_threads);
    assert_int_equal(after.mallocs - before.mallocs, 16);
}

/* A thread's key destructors may still use the heap. */
static pthread_key_t late_key;

static void
allocate_late(void *arg)
{
    void **p = sh_alloc(64);
    if (sh_object_base(p) != p || sh_object_base(arg) != arg)
        abort();
    atomic_fetch_add(&ready, 1);
}

static void *
set_late_key(void *arg)
{
    pthread_setspecific(late_key, sh_alloc(64));
    return arg;
}

static void
test_key_destructors_may_use_the_heap(void **state)
{
    (void)state;
    begin();
    assert_int_equal(pthread_key_create(&late_key, allocate_late), 0);
    for (int i = 0; i < 50; i++)
        sh_thread_join(start(set_late_key, NULL), NULL);
    assert_int_equal(atomic_load(&ready), 50);
    pthread_key_delete(late_key);
}

/* ---- Coming and going ---- */

static void *
allocate_a_little(void *arg)
{
    struct rng rng = {SEED + (uintptr_t)arg};
    void **kept = sh_alloc(256);
    for (int i = 0; i < 32; i++)
        sh_store(&kept[i], sh_alloc(1 + rng_below(&rng, 2000)));
    for (int i = 0; i < 32; i++)
        if (sh_object_base(kept[i]) != kept[i])
            abort();
    return kept;
}

static void *
churn(void *arg)
{
    for (uintptr_t i = 0; i < 60; i++) {
        void *result = NULL;
        pthread_t a = start(allocate_a_little, (void *)(i + (uintptr_t)arg));
        pthread_t b = start(allocate_a_little, (void *)i);
        sh_thread_join(a, &result);
        if (sh_object_base(result) != result)
            abort();
        sh_thread_detach(b);
    }
    atomic_fetch_add(&stop, 1);
    return NULL;
}

static void
wait_until_alone(uint32_t threads)
{
    struct sh_stats stats;
    do {
        usleep(1000);
        sh_stats_read(&stats);
    } while (stats.num_threads > threads);
    assert_int_equal(stats.num_threads, threads);
}

static void
test_threads_may_come_and_go_while_the_heap_is_collected(void **state)
{
    (void)state;
    struct sh_stats stats;
    sh_stats_read(&stats);
    begin();
    pthread_t a = start(churn, (void *)1000), b = start(churn, (void *)2000);
    while (atomic_load(&stop) < 2) {
        sh_collect();
        verify_now();
        usleep(300); /* or the others do not get on */
    }
    sh_thread_join(a, NULL);
    sh_thread_join(b, NULL);
    wait_until_alone(stats.num_threads);
    verify_now();
}

/* ---- The C library uses a handle again as soon as a thread is joined ---- */

static pthread_t reused;
static void *(*second_start)(void *);
static void *second_arg;

static size_t
count_records(void)
{
    size_t n = 0;
    world_lock_safely(&world.lock);
    for (struct thread *t = world.threads; t != NULL && n < 1000; t = t->next)
        n++;
    lock_drop(&world.lock);
    return n;
}

static void *
return_argument(void *arg)
{
    return arg;
}

/* The second thread's record is entered before the first one's, and gets the same handle later. */
static int
create_with_the_handle_of_another(pthread_t *thread, const pthread_attr_t *attr,
                                  void *(*run)(void *), void *arg)
{
    (void)attr;
    second_start = run;
    second_arg = arg;
    if (sh_thread_create(&reused, NULL, return_argument, NULL) != 0)
        return EAGAIN;
    *thread = reused;
    return 0;
}

static int
detach_nothing(pthread_t thread)
{
    (void)thread;
    return 0;
}

/* Joined, not yet forgotten: at this moment the handle means the second thread. */
static int
join_while_the_second_is_detached(pthread_t thread, void **result)
{
    int error = pthread_join(thread, result);
    need(threads_detach(detach_nothing, thread) == 0, "the second thread is detached");
    return error;
}

static void
reuse_handle(void *arg)
{
    (void)arg;
    size_t before = count_records();
    pthread_t second;
    need(threads_create(create_with_the_handle_of_another, &second, NULL, return_argument, NULL) ==
             0,
         "two threads with one handle");
    need(threads_join(join_while_the_second_is_detached, reused, NULL) == 0, "the first is joined");
    need(pthread_create(&second, NULL, second_start, second_arg) == 0, "the second runs");
    sh_blocking_begin();
    pthread_join(second, NULL);
    sh_blocking_end();
    need(count_records() == before, "each record is gone, once");
    sh_thread_join(start(return_argument, NULL), NULL);
    need(count_records() == before, "the list is whole");
}

static void
test_reused_handle_does_not_find_the_old_thread(void **state)
{
    (void)state;
    assert_child_succeeds(reuse_handle, NULL);
}

static void *
change_roots(void *range)
{
    atomic_store(&ready, 1);
    while (!atomic_load(&stop)) {
        sh_roots_add(range, 64);
        sh_roots_remove(range);
    }
    return NULL;
}

/* The bookkeeping's lock must not be held by a stopped thread: the stop needs it too. */
static void
test_roots_may_change_while_others_stop_the_world(void **state)
{
    (void)state;
    static int range[16];
    struct sh_stats stats;
    begin();
    pthread_t thread = start(change_roots, range);
    wait_ready(1);
    alarm(60);
    for (int i = 0; i < 20000; i++)
        sh_stats_read(&stats);
    alarm(0);
    atomic_store(&stop, 1);
    sh_thread_join(thread, NULL);
}

static void *
fail_to_start(void *arg)
{
    return arg;
}

static void
test_thread_that_cannot_be_made_leaves_nothing_behind(void **state)
{
    (void)state;
    struct sh_stats before, after;
    pthread_attr_t attr;
    pthread_t thread;
    sh_stats_read(&before);
    pthread_attr_init(&attr);
    assert_int_equal(pthread_attr_setstacksize(&attr, (size_t)1 << 60), 0);
    assert_int_not_equal(sh_thread_create(&thread, &attr, fail_to_start, NULL), 0);
    pthread_attr_destroy(&attr);
    sh_stats_read(&after);
    assert_int_equal(after.num_threads, before.num_threads);
    verify_now();
}

static void
use_heap_at_end(void *slot)
{
    *(void **)slot = sh_alloc(100);
    sh_collect();
}

static void *
wait_to_be_cancelled(void *arg)
{
    void *volatile slot = NULL;
    char byte;
    pthread_cleanup_push(use_heap_at_end, (void *)&slot);
    atomic_store(&ready, 1);
    for (;;)
        (void)!read(ends[0], &byte, 1);
    pthread_cleanup_pop(0);
    return arg;
}

static void
test_cancelled_thread_leaves_in_order(void **state)
{
    (void)state;
    struct sh_stats before, after;
    assert_int_equal(pipe(ends), 0);
    sh_stats_read(&before);
    begin();
    void *result = NULL;
    pthread_t thread = start(wait_to_be_cancelled, NULL);
    wait_ready(1);
    sh_collect();
    assert_int_equal(pthread_cancel(thread), 0);
    sh_thread_join(thread, &result);
    assert_ptr_equal(result, PTHREAD_CANCELED);
    sh_stats_read(&after);
    assert_int_equal(after.num_threads, before.num_threads);
    verify_now();
    close(ends[0]);
    close(ends[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heap_call_of_an_unknown_thread_is_fatal),
        cmocka_unit_test(test_thread_made_elsewhere_may_attach_leave_and_attach),
        cmocka_unit_test(test_key_destructors_may_use_the_heap),
        cmocka_unit_test(test_reused_handle_does_not_find_the_old_thread),
        cmocka_unit_test(test_threads_may_come_and_go_while_the_heap_is_collected),
        cmocka_unit_test(test_roots_may_change_while_others_stop_the_world),
        cmocka_unit_test(test_thread_that_cannot_be_made_leaves_nothing_behind),
        cmocka_unit_test(test_cancelled_thread_leaves_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
