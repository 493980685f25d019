/* The heap profile while several threads allocate, free, read it, collect, and change its rate. */
/* run: native asan tsan */
#include "profile_check.h"

enum { THREADS = 3, EACH = UNDER_TSAN || UNDER_ASAN ? 3000 : 20000, OBJECT_B = 144 };

SITE(site_of_many, sh_alloc_noscan(size))
SITE(site_of_freed, sh_alloc(size))

static _Atomic int running;

static void *
allocate_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < EACH; i++) {
        site_of_many(OBJECT_B);
        sh_free(site_of_freed(OBJECT_B));
        sh_safepoint();
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

static void
start(pthread_t *threads)
{
    atomic_store(&running, THREADS);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(sh_thread_create(&threads[i], NULL, allocate_many, NULL), 0);
}

static void
join(const pthread_t *threads)
{
    for (int i = 0; i < THREADS; i++)
        sh_thread_join(threads[i], NULL);
}

static void
test_every_object_of_every_thread_is_counted(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    sh_profile_set_rate(1);
    start(threads);
    while (atomic_load(&running) > 0) {
        struct totals t = totals_of("site_of_many");
        assert_true(t.inuse_objects <= t.alloc_objects);
        assert_true(t.alloc_objects <= (uint64_t)THREADS * EACH);
        sh_collect();
    }
    join(threads);
    sh_profile_set_rate(0);
    clear_stack();
    sh_collect();
    sh_collect();
    assert_int_equal(totals_of("site_of_many").alloc_objects, THREADS * EACH);
    assert_int_equal(totals_of("site_of_many").alloc_b, (uint64_t)THREADS * EACH * OBJECT_B);
    assert_true(totals_of("site_of_many").inuse_objects <= THREADS + 1); /* stale words */
    assert_int_equal(totals_of("site_of_freed").alloc_objects, THREADS * EACH);
    assert_int_equal(totals_of("site_of_freed").inuse_objects, 0);
}

static void
test_rate_may_change_and_a_file_be_written_meanwhile(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    char path[] = "/tmp/spanheap-profile-XXXXXX";
    int fd = mkstemp(path);
    start(threads);
    for (size_t i = 0; atomic_load(&running) > 0; i++) {
        static const size_t rates[] = {1, 512, 0, 100000};
        sh_profile_set_rate(rates[i % COUNT_OF(rates)]);
        assert_int_equal(sh_profile_write(path), 0);
        if (i % 4 == 3)
            sh_collect();
    }
    join(threads);
    sh_profile_set_rate(0);
    sh_collect();
    assert_int_equal(sh_profile_write(path), 0);
    assert_true(lseek(fd, 0, SEEK_END) > 100);
    close(fd);
    unlink(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_object_of_every_thread_is_counted),
        cmocka_unit_test(test_rate_may_change_and_a_file_be_written_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
