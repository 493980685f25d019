/* The heap profile's rate, its threads, fork, and its file. That pprof reads the file is tested in
 * harness/tests/test_profile_file.py. */
#include "folder.h"
#include "profile_check.h"

#include "heap/watch.h"

#include "heap/cache.h"

#include <sys/stat.h>

static struct outcome out;

/* ---- The rate ---- */

SITE(site_when_off, sh_alloc(size))

static void
test_rate_is_told_and_nothing_is_sampled_when_it_is_0(void **state)
{
    (void)state;
    sh_alloc(48);
    assert_int_equal(sh_profile_set_rate(4096), 0);
    assert_null(atomic_load(&cache_fast));
    assert_int_equal(sh_profile_set_rate(0), 4096);
    assert_ptr_equal(atomic_load(&cache_fast), heap_watch.on ? NULL : cache_self);
    for (int i = 0; i < 1000; i++)
        site_when_off(1000);
    collect();
    assert_totals("site_when_off", 0, 0, 1024);
}

static void
test_sampling_leaves_errno_alone(void **state)
{
    (void)state;
    sh_profile_set_rate(1);
    errno = 12345;
    site_when_off(1000);
    assert_int_equal(errno, 12345);
    sh_profile_set_rate(0);
}

/* ---- Threads and fork ---- */

SITE(site_of_threads, sh_alloc(size))

static _Atomic bool is_over;

static void *
allocate_much(void *arg)
{
    for (int i = 0; i < 3000; i++) {
        void *p = site_of_threads(100);
        if (i % 3 == 0)
            sh_free(p);
    }
    return arg;
}

static void *
set_rates(void *arg)
{
    for (size_t rate_b = 1; !atomic_load(&is_over); rate_b = rate_b * 3 % 100000 + 1)
        sh_profile_set_rate(rate_b % 5 == 0 ? 0 : rate_b);
    return arg;
}

static void *
read_often(void *arg)
{
    while (!atomic_load(&is_over)) {
        totals_of(NULL);
        usleep(1000);
    }
    return arg;
}

static void
run_threads(void)
{
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(sh_thread_create(&threads[i], NULL, allocate_much, NULL), 0);
    for (int i = 0; i < 20; i++)
        sh_collect();
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        sh_thread_join(threads[i], NULL);
    clear_stack();
}

static void
test_no_sample_of_any_thread_is_lost(void **state)
{
    (void)state;
    sh_profile_set_rate(1);
    run_threads();
    sh_profile_set_rate(0);
    collect();
    assert_int_equal(totals_of("site_of_threads").alloc_objects, 4 * 3000);
    assert_true(totals_of("site_of_threads").inuse_objects < 10);
}

static void
test_rate_may_change_and_profile_be_read_at_any_time(void **state)
{
    (void)state;
    pthread_t setter, reader;
    atomic_store(&is_over, false);
    assert_int_equal(sh_thread_create(&setter, NULL, set_rates, NULL), 0);
    assert_int_equal(sh_thread_create(&reader, NULL, read_often, NULL), 0);
    for (int i = 0; i < 5; i++)
        run_threads();
    atomic_store(&is_over, true);
    sh_thread_join(setter, NULL);
    sh_thread_join(reader, NULL);
    sh_profile_set_rate(0);
    collect();
    assert_true(totals_of("site_of_threads").inuse_objects < 100);
}

static void
go_on_in_child(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++)
        site_of_threads(100);
    sh_collect();
    need(totals_of("site_of_threads").alloc_objects >= 1000, "the child's own samples");
    need(sh_profile_write("/dev/null") == 0, "the child writes a profile");
}

static void *
allocate_until_over(void *arg)
{
    while (!atomic_load(&is_over))
        site_of_threads(100);
    return arg;
}

static void
test_child_of_fork_goes_on(void **state)
{
    (void)state;
    pthread_t threads[2];
    sh_profile_set_rate(1);
    atomic_store(&is_over, false);
    assert_int_equal(sh_thread_create(&threads[0], NULL, allocate_until_over, NULL), 0);
    assert_int_equal(sh_thread_create(&threads[1], NULL, read_often, NULL), 0);
    for (int i = 0; i < 20; i++)
        assert_child_succeeds(go_on_in_child, NULL);
    atomic_store(&is_over, true);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        sh_thread_join(threads[i], NULL);
    sh_profile_set_rate(0);
}

/* ---- Files ---- */

static void *volatile held[1000];

SITE(site_of_part, sh_alloc(size))

static long
size_of(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 ? (long)about.st_size : -1;
}

static void
need_refused(const char *path, int error)
{
    errno = 0;
    need(sh_profile_write(path) == -1, "it is refused");
    need(errno == error, "for that reason");
}

static void
part_never(void)
{
    need_refused("/dev/null", EINVAL);
    need(sh_profile_read(NULL, 0) == 0, "there are no records");
}

/* No collection has been yet. */
static void
part_early(void)
{
    for (size_t i = 0; i < 10; i++)
        held[i] = site_of_part(100);
    sh_free(held[0]);
    struct totals t = totals_of("site_of_part");
    need(t.alloc_objects == 10 && t.inuse_objects == 9, "all is shown");
}

static void
part_exit(void)
{
    for (int i = 0; i < 1000; i++)
        held[i] = site_of_part(10000);
    if (chdir("/") != 0)
        abort();
    exit(3);
}

static void
part_fork(void)
{
    pid_t child = fork();
    if (child == 0)
        exit(0);
    waitpid(child, NULL, 0);
    fprintf(stderr, "%d %d", (int)getpid(), (int)child);
    const char *name = getenv("SH_PROFILE");
    need(name != NULL && size_of(name) <= 0, "the child has not written here");
    exit(0);
}

static const struct program_part parts[] = {
    {"never", part_never},
    {"early", part_early},
    {"exit", part_exit},
    {"fork", part_fork},
};

static void
run_profiling(const char *part, const char *path, const char *more)
{
    char setting[PATH_MAX + 16];
    snprintf(setting, sizeof setting, "SH_PROFILE=%s", path);
    run_anew(&out, part, (const char *const[]){setting, more, NULL});
}

static void
test_before_the_first_collection_all_is_shown(void **state)
{
    (void)state;
    run_anew(&out, "early", (const char *const[]){"SH_PROFILE_RATE=1", "SH_GOGC=off", NULL});
    assert_success(&out);
}

static void
test_failure_is_told_by_errno(void **state)
{
    (void)state;
    run_anew(&out, "never", NULL);
    assert_success(&out);
    sh_profile_set_rate(4096);
    need_refused(NULL, EINVAL);
    need_refused(in_folder("none/file"), ENOENT);
    need_refused(folder, EISDIR);
    need_refused("/dev/full", ENOSPC);
    assert_int_equal(sh_profile_write(in_folder("good")), 0);
    assert_true(size_of(in_folder("good")) > 100);
    sh_profile_set_rate(0);
    assert_int_equal(sh_profile_write(in_folder("good")), 0);
}

static void
test_profile_is_written_at_exit(void **state)
{
    (void)state;
    run_profiling("exit", in_folder("at-exit"), NULL);
    assert_int_equal(out.code, 3);
    assert_string_equal(out.text, "");
    assert_true(size_of(in_folder("at-exit")) > 100);
    run_profiling("exit", "/dev/full", NULL);
    assert_int_equal(out.code, 3);
    assert_non_null(strstr(out.text, "SH_PROFILE=/dev/full: the heap profile cannot be written: "
                                     "No space left on device"));
}

static void
test_percent_p_gives_each_process_a_file(void **state)
{
    (void)state;
    int parent = 0, child = 0;
    char name[64];
    run_profiling("fork", in_folder("fork"), NULL);
    assert_success(&out);
    run_profiling("fork", in_folder("of-%p"), NULL);
    assert_success(&out);
    assert_int_equal(sscanf(out.text, "%d %d", &parent, &child), 2);
    snprintf(name, sizeof name, "of-%d", parent);
    assert_true(size_of(in_folder(name)) > 100);
    snprintf(name, sizeof name, "of-%d", child);
    assert_true(size_of(in_folder(name)) > 100);
}

static void
test_setting_that_cannot_be_used_is_fatal_at_the_start(void **state)
{
    (void)state;
    run_profiling("exit", "/none/profile", NULL);
    assert_fatal(&out, "SH_PROFILE=/none/profile cannot be written: No such file or directory");
    run_profiling("exit", "", NULL);
    assert_fatal(&out, "SH_PROFILE= cannot be read; give the name of the heap profile to write");
    run_profiling("exit", in_folder("rate"), "SH_PROFILE_RATE=often");
    assert_fatal(&out, "SH_PROFILE_RATE=often cannot be read; give bytes between two samples");
}

int
main(int argc, char **argv)
{
    if (argc > 1)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_before_the_first_collection_all_is_shown),
        cmocka_unit_test(test_rate_is_told_and_nothing_is_sampled_when_it_is_0),
        cmocka_unit_test(test_sampling_leaves_errno_alone),
        cmocka_unit_test(test_no_sample_of_any_thread_is_lost),
        cmocka_unit_test(test_rate_may_change_and_profile_be_read_at_any_time),
        cmocka_unit_test(test_child_of_fork_goes_on),
        cmocka_unit_test(test_failure_is_told_by_errno),
        cmocka_unit_test(test_profile_is_written_at_exit),
        cmocka_unit_test(test_percent_p_gives_each_process_a_file),
        cmocka_unit_test(test_setting_that_cannot_be_used_is_fatal_at_the_start),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
