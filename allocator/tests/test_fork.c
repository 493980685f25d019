/* fork: the child has a whole heap, one thread, and every lock free. */
#include "check.h"

#include "collector/verify.h"
#include "heap/cache.h"

enum { FORKS = 200, SLOTS = 64 };

static void **held;
static _Atomic int stop, ready;

static void
fill(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char *p = sh_alloc(16 + i * 37 % 3000);
        memset(p, (int)(i % SLOTS), 16);
        sh_store(&held[i % SLOTS], p);
    }
}

static bool
is_whole(void)
{
    for (int i = 0; i < SLOTS; i++) {
        const char *p = held[i];
        if (p != NULL && (sh_object_base(p) != p || p[0] != i || p[15] != i))
            return false;
    }
    return true;
}

static void
allocate_and_collect(void *arg)
{
    (void)arg;
    need(is_whole(), "the parent's objects are there");
    fill(5000);
    for (int i = 0; i < 3; i++) {
        sh_collect();
        verify_now();
        need(is_whole(), "objects survive a collection in the child");
    }
}

static void
test_child_allocates_and_collects(void **state)
{
    (void)state;
    fill(1000);
    assert_child_succeeds(allocate_and_collect, NULL);
    sh_collect();
    assert_true(is_whole());
}

static void
fork_again(void *arg)
{
    fill(100);
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        allocate_and_collect(arg);
        _exit(0);
    }
    waitpid(child, &status, 0);
    need(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the grandchild works");
    allocate_and_collect(arg);
}

static void
test_grandchild_works_too(void **state)
{
    (void)state;
    assert_child_succeeds(fork_again, NULL);
}

static void *
return_sum(void *arg)
{
    fill(500);
    return arg;
}

static void
make_threads(void *arg)
{
    struct sh_stats stats;
    sh_stats_read(&stats);
    need(stats.num_threads == 1, "the child has one thread");
    for (int i = 0; i < 10; i++) {
        pthread_t thread;
        need(sh_thread_create(&thread, NULL, return_sum, arg) == 0, "a thread can be made");
        sh_collect();
        sh_thread_join(thread, NULL);
    }
    sh_stats_read(&stats);
    need(stats.num_threads == 1, "the child's threads have gone");
}

static void *
collect_once(void *done)
{
    sh_collect();
    atomic_store((_Atomic int *)done, 1);
    return NULL;
}

/* The signal must find the child's thread, not one of the parent's number. */
static void
compute_while_another_collects(void *arg)
{
    pthread_t thread;
    _Atomic int done = 0;
    (void)arg;
    need(sh_thread_create(&thread, NULL, collect_once, &done) == 0, "a thread can be made");
    while (!atomic_load(&done)) {
    }
    sh_thread_join(thread, NULL);
}

static void
test_child_s_own_thread_can_be_stopped(void **state)
{
    (void)state;
    assert_child_succeeds(compute_while_another_collects, NULL);
}

static void *
allocate_hard(void *arg)
{
    unsigned char *volatile kept[8] = {NULL};
    atomic_fetch_add(&ready, 1);
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        size_t size = 1 + i * 131 % (i % 100 == 0 ? 200000 : 4000);
        unsigned char *p = i % 3 == 0 ? sh_alloc_noscan(size) : sh_alloc(size);
        p[size - 1] = 1;
        if (i % 5 == 0)
            sh_free(kept[i % 8]);
        kept[i % 8] = size >= 16 ? p : NULL;
    }
    return arg;
}

static void
with_hard_workers(unsigned workers, void (*work)(void *), int times)
{
    pthread_t threads[4];
    atomic_store(&stop, 0);
    atomic_store(&ready, 0);
    for (unsigned i = 0; i < workers; i++)
        assert_int_equal(sh_thread_create(&threads[i], NULL, allocate_hard, NULL), 0);
    while (atomic_load(&ready) < (int)workers)
        usleep(100);
    for (int i = 0; i < times; i++)
        assert_child_succeeds(work, NULL);
    atomic_store(&stop, 1);
    for (unsigned i = 0; i < workers; i++)
        sh_thread_join(threads[i], NULL);
    verify_now();
}

static void
test_child_has_one_thread_and_makes_new_ones(void **state)
{
    (void)state;
    with_hard_workers(3, make_threads, 5);
}

static void
work_a_little(void *arg)
{
    (void)arg;
    need(is_whole(), "the parent's objects are there");
    fill(200);
    sh_collect();
    verify_now();
    need(is_whole(), "objects survive a collection in the child");
}

static void
test_fork_while_others_allocate_hard(void **state)
{
    (void)state;
    with_hard_workers(3, work_a_little, FORKS);
}

/* Nobody else is in the heap while the flag changes. */
static void
test_fork_where_the_kernel_cannot_fence_others(void **state)
{
    (void)state;
    bool can = cache_fences_others;
    cache_fences_others = false;
    with_hard_workers(3, work_a_little, FORKS / 4);
    cache_fences_others = can;
}

static void *
collect_hard(void *arg)
{
    atomic_fetch_add(&ready, 1);
    while (!atomic_load(&stop))
        sh_collect();
    return arg;
}

static void *
release_hard(void *arg)
{
    atomic_fetch_add(&ready, 1);
    while (!atomic_load(&stop)) {
        void *p = sh_alloc_noscan(1 << 20);
        memset(p, 1, 1 << 20);
        sh_free(p);
        sh_release_memory();
    }
    return arg;
}

static void
test_fork_while_another_collects_and_releases(void **state)
{
    (void)state;
    pthread_t threads[2];
    atomic_store(&stop, 0);
    atomic_store(&ready, 0);
    assert_int_equal(sh_thread_create(&threads[0], NULL, collect_hard, NULL), 0);
    assert_int_equal(sh_thread_create(&threads[1], NULL, release_hard, NULL), 0);
    while (atomic_load(&ready) < 2)
        usleep(100);
    for (int i = 0; i < FORKS / 4; i++)
        assert_child_succeeds(work_a_little, NULL);
    atomic_store(&stop, 1);
    sh_thread_join(threads[0], NULL);
    sh_thread_join(threads[1], NULL);
}

static void *
fork_from_here(void *arg)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        work_a_little(arg);
        _exit(0);
    }
    waitpid(child, &status, 0);
    return (void *)(uintptr_t)(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
test_any_thread_may_fork(void **state)
{
    (void)state;
    pthread_t thread;
    void *good = NULL;
    assert_int_equal(sh_thread_create(&thread, NULL, fork_from_here, NULL), 0);
    sh_thread_join(thread, &good);
    assert_non_null(good);
}

static void *
fork_and_exit(void *arg)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        _exit(7);
    waitpid(child, &status, 0);
    return (void *)(uintptr_t)(WIFEXITED(status) && WEXITSTATUS(status) == 7 && arg == NULL);
}

static void
test_thread_that_is_not_attached_may_fork(void **state)
{
    (void)state;
    pthread_t thread;
    void *good = NULL;
    assert_int_equal(pthread_create(&thread, NULL, fork_and_exit, NULL), 0);
    pthread_join(thread, &good);
    assert_non_null(good);
    sh_collect();
}

int
main(void)
{
    held = sh_alloc(SLOTS * sizeof *held);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_child_allocates_and_collects),
        cmocka_unit_test(test_grandchild_works_too),
        cmocka_unit_test(test_child_s_own_thread_can_be_stopped),
        cmocka_unit_test(test_child_has_one_thread_and_makes_new_ones),
        cmocka_unit_test(test_fork_while_others_allocate_hard),
        cmocka_unit_test(test_fork_where_the_kernel_cannot_fence_others),
        cmocka_unit_test(test_fork_while_another_collects_and_releases),
        cmocka_unit_test(test_any_thread_may_fork),
        cmocka_unit_test(test_thread_that_is_not_attached_may_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
