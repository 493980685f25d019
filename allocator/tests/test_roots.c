/* Where references hide: each place is tried with an object that is held from nowhere else. */
/* libs: -ldl */
#include "loaded.h"

#include "collector/threads.h"

#include <sys/mman.h>

static uintptr_t hidden;

/* Makes an object that only *slot holds, collects, and says whether it lived; then lets go. */
static void
make_into(void *slot)
{
    void *p = fresh_object(500);
    hidden = hide(p);
    *(void *volatile *)slot = p;
}

static bool
holds(void *slot)
{
    run_elsewhere(make_into, slot);
    collect();
    bool alive = is_alive(hidden);
    *(void *volatile *)slot = NULL;
    collect();
    assert_false(is_alive(hidden)); /* it was this slot that held it */
    return alive;
}

static void *in_bss;
static void *in_data[2] = {&in_bss, NULL};
static _Thread_local void *in_tls;
static _Thread_local void *in_initialised_tls = &in_bss;

static void
test_data_segment_is_a_root(void **state)
{
    (void)state;
    assert_true(holds(&in_bss));
    assert_true(holds(&in_data[1]));
}

static void
test_thread_local_of_the_main_thread_is_a_root(void **state)
{
    (void)state;
    assert_true(holds(&in_tls));
    assert_true(holds(&in_initialised_tls));
}

static void
test_memory_that_is_not_covered_holds_nothing(void **state)
{
    (void)state;
    void **outside = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(outside, MAP_FAILED);
    assert_false(holds(outside));
    munmap(outside, 4096);
}

static void
test_registered_range_is_a_root_until_it_is_removed(void **state)
{
    (void)state;
    void **outside = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sh_roots_add(outside, 64);
    assert_true(holds(&outside[0]));
    assert_true(holds(&outside[7]));
    assert_false(holds(&outside[8]));
    sh_roots_remove(outside);
    assert_false(holds(&outside[0]));
    munmap(outside, 4096);
}

static void
add_null(void *arg)
{
    sh_roots_add(NULL, *(size_t *)arg);
}

static void
add_overlap(void *arg)
{
    sh_roots_add((char *)arg, 64);
    sh_roots_add((char *)arg + 32, 64);
}

static void
remove_unknown(void *arg)
{
    sh_roots_remove(arg);
}

static void
test_impossible_ranges_are_fatal(void **state)
{
    (void)state;
    static char area[256];
    size_t size = 8;
    assert_child_dies(add_null, &size, "sh_roots_add: ");
    assert_child_dies(add_overlap, area, "overlaps");
    assert_child_dies(remove_unknown, area, "sh_roots_remove: no range begins at");
}

/* ---- pthread keys ---- */

enum { KEYS = 60 };
static pthread_key_t keys[KEYS];

static void
set_key(void *key)
{
    void *p = fresh_object(500);
    hidden = hide(p);
    pthread_setspecific(*(pthread_key_t *)key, p);
}

static NOINLINE bool
key_holds(size_t i)
{
    set_key(&keys[i]);
    collect();
    bool alive = is_alive(hidden);
    pthread_setspecific(keys[i], NULL);
    collect();
    return alive && !is_alive(hidden);
}

static void
test_values_of_pthread_keys_are_roots(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEYS; i++)
        assert_int_equal(pthread_key_create(&keys[i], NULL), 0);
    assert_true(key_holds(1));
    assert_true(key_holds(40)); /* from 32 on, glibc keeps them in memory from malloc */
    for (size_t i = 0; i < KEYS; i++)
        pthread_key_delete(keys[i]);
}

/* ---- Workers ---- */

struct worker {
    pthread_t thread;
    void (*hold)(void);
    _Atomic int stage; /* 1: it holds its object; 2: it may go on */
};

static void
wait_stage(struct worker *w, int stage)
{
    while (atomic_load(&w->stage) < stage)
        usleep(100);
}

static NOINLINE void
hold_in_tls(void)
{
    in_tls = fresh_object(500);
    hidden = hide(in_tls);
}

static NOINLINE void
hold_in_key(void)
{
    set_key(&keys[40]);
}

static void *
run_worker(void *arg)
{
    struct worker *w = arg;
    w->hold();
    clear_stack();
    atomic_store(&w->stage, 1);
    wait_stage(w, 2);
    return NULL;
}

static bool
worker_holds(void (*hold)(void))
{
    struct worker w = {.hold = hold};
    assert_int_equal(sh_thread_create(&w.thread, NULL, run_worker, &w), 0);
    wait_stage(&w, 1);
    collect();
    bool alive = is_alive(hidden);
    atomic_store(&w.stage, 2);
    sh_thread_join(w.thread, NULL);
    collect();
    assert_false(is_alive(hidden));
    return alive;
}

static void
test_thread_local_and_keys_of_a_worker_are_roots(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEYS; i++)
        assert_int_equal(pthread_key_create(&keys[i], NULL), 0);
    assert_true(worker_holds(hold_in_tls));
    assert_true(worker_holds(hold_in_key));
    for (size_t i = 0; i < KEYS; i++)
        pthread_key_delete(keys[i]);
}

/* ---- A library loaded at run time ---- */

static void **(*library_slot)(void);

static const char two_slots[] =
    "static __thread void *slot[3000]; static void *data;"
    "void **tls_slot(void) { return &slot[2999]; } void **data_slot(void) { return &data; }";

static NOINLINE void
hold_in_library_tls(void)
{
    void *p = fresh_object(500);
    hidden = hide(p);
    *library_slot() = p;
}

static void
test_data_and_thread_local_of_a_loaded_library_are_roots(void **state)
{
    (void)state;
    const char *path = build_library("slots.so", two_slots);
    collect(); /* the table of segments is older than the library */
    void *library = dlopen(path, RTLD_NOW);
    assert_non_null(library);
    *(void **)&library_slot = dlsym(library, "data_slot");
    assert_true(holds(library_slot()));
    *(void **)&library_slot = dlsym(library, "tls_slot");
    assert_true(holds(library_slot()));
    assert_true(worker_holds(hold_in_library_tls));
    dlclose(library);
    collect();
}

/* ---- Start arguments and results ---- */

static void *(*delayed_start)(void *);
static void *delayed_arg;

/* A pthread_create that takes its time. */
static int
create_later(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
    (void)attr;
    *thread = pthread_self();
    delayed_start = start;
    delayed_arg = arg;
    return 0;
}

static void *
check_argument(void *arg)
{
    return (void *)(uintptr_t)(arg == (void *)~hidden && is_alive(hidden));
}

static void
create_with_object(void *arg)
{
    (void)arg;
    pthread_t ignored;
    pthread_attr_t attr;
    void *p = fresh_object(500);
    hidden = hide(p);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (threads_create(create_later, &ignored, &attr, check_argument, p) != 0)
        abort();
    pthread_attr_destroy(&attr);
}

static void
test_start_argument_is_a_root_before_the_thread_runs(void **state)
{
    (void)state;
    pthread_t thread;
    void *good = NULL;
    run_elsewhere(create_with_object, NULL);
    collect();
    assert_true(is_alive(hidden));
    assert_int_equal(pthread_create(&thread, NULL, delayed_start, delayed_arg), 0);
    pthread_join(thread, &good);
    assert_non_null(good);
    collect();
    assert_false(is_alive(hidden));
}

static void *
return_object(void *unused)
{
    (void)unused;
    void *p = fresh_object(500);
    hidden = hide(p);
    return p;
}

static void *
exit_with_object(void *unused)
{
    sh_thread_exit(return_object(unused));
}

static void
wait_until_ended(void)
{
    for (bool ended = false; !ended; usleep(100)) {
        world_lock_safely(&world.lock);
        for (struct thread *t = world.threads; t != NULL; t = t->next)
            ended = ended || t->life == LIFE_ENDED;
        lock_drop(&world.lock);
    }
}

static void
join_and_check(void *thread)
{
    void *result = NULL;
    sh_thread_join(*(pthread_t *)thread, &result);
    if (result != (void *)~hidden)
        abort();
}

static void
expect_result_kept(void *(*start)(void *))
{
    pthread_t thread;
    assert_int_equal(sh_thread_create(&thread, NULL, start, NULL), 0);
    wait_until_ended();
    collect();
    assert_true(is_alive(hidden));
    run_elsewhere(join_and_check, &thread);
    collect();
    assert_false(is_alive(hidden));
}

static void
test_result_is_a_root_until_it_is_joined(void **state)
{
    (void)state;
    expect_result_kept(return_object);
    expect_result_kept(exit_with_object);
}

static void
test_result_of_a_detached_thread_is_not_kept(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(sh_thread_create(&thread, NULL, return_object, NULL), 0);
    wait_until_ended();
    collect();
    assert_true(is_alive(hidden));
    assert_int_equal(sh_thread_detach(thread), 0);
    collect();
    assert_false(is_alive(hidden));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_segment_is_a_root),
        cmocka_unit_test(test_thread_local_of_the_main_thread_is_a_root),
        cmocka_unit_test(test_memory_that_is_not_covered_holds_nothing),
        cmocka_unit_test(test_registered_range_is_a_root_until_it_is_removed),
        cmocka_unit_test(test_impossible_ranges_are_fatal),
        cmocka_unit_test(test_values_of_pthread_keys_are_roots),
        cmocka_unit_test(test_thread_local_and_keys_of_a_worker_are_roots),
        cmocka_unit_test(test_data_and_thread_local_of_a_loaded_library_are_roots),
        cmocka_unit_test(test_start_argument_is_a_root_before_the_thread_runs),
        cmocka_unit_test(test_result_is_a_root_until_it_is_joined),
        cmocka_unit_test(test_result_of_a_detached_thread_is_not_kept),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
