/* Threads: stopped wherever they are, attached and gone at the right time, not disturbed in system
 * calls. */
#include "check.h"

#include "collector/verify.h"
#include "collector/world.h"

#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>

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

/* ---- Stopping ---- */

/* Each thread checks a chain of its own; the chain's memory must never be given to another. */
static void *
chain_and_check(void *arg)
{
    uintptr_t own = (uintptr_t)arg;
    atomic_fetch_add(&ready, 1);
    while (!atomic_load(&stop)) {
        uintptr_t *volatile first = NULL;
        for (int i = 0; i < 100; i++) {
            uintptr_t *n = sh_alloc(24);
            n[1] = own;
            n[0] = (uintptr_t)first;
            first = n;
        }
        for (uintptr_t *n = first; n != NULL; n = (uintptr_t *)n[0])
            if (n[1] != own)
                abort();
    }
    return NULL;
}

static void
test_world_stops_with_many_threads(void **state)
{
    (void)state;
    enum { THREADS = 20 };
    pthread_t threads[THREADS];
    begin();
    for (uintptr_t i = 0; i < THREADS; i++)
        threads[i] = start(chain_and_check, (void *)(i + 1));
    wait_ready(THREADS);
    for (int i = 0; i < 50; i++) {
        sh_collect();
        verify_now();
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < THREADS; i++)
        sh_thread_join(threads[i], NULL);
}

static void *
compute_with_all_signals_blocked(void *arg)
{
    sigset_t all, now;
    sigfillset(&all);
    sh_thread_sigmask(SIG_SETMASK, &all, NULL);
    sh_thread_sigmask(SIG_BLOCK, NULL, &now);
    *(int *)arg = sigismember(&now, SIGUSR1) && !sigismember(&now, world.signal);
    atomic_store(&ready, 1);
    for (volatile unsigned n = 0; !atomic_load(&stop); n++) {
    }
    return NULL;
}

static void
test_worker_that_blocks_every_signal_is_stopped(void **state)
{
    (void)state;
    int masked_well = 0;
    begin();
    pthread_t thread = start(compute_with_all_signals_blocked, &masked_well);
    wait_ready(1);
    sh_collect();
    sh_collect();
    atomic_store(&stop, 1);
    sh_thread_join(thread, NULL);
    assert_true(masked_well);
}

static int ends[2];

static void *
read_one_byte(void *arg)
{
    char byte = 0;
    atomic_store(&ready, 1);
    if (*(bool *)arg)
        sh_blocking_begin();
    ssize_t n = read(ends[0], &byte, 1);
    if (*(bool *)arg)
        sh_blocking_end();
    return (void *)(uintptr_t)(n == 1 && byte == 'x');
}

/* SA_RESTART: read() goes on by itself after the stop. */
static void
test_thread_in_a_blocking_read_is_stopped_and_reads_on(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        bool in_blocking_region = i == 1;
        void *good = NULL;
        assert_int_equal(pipe(ends), 0);
        begin();
        pthread_t thread = start(read_one_byte, &in_blocking_region);
        wait_ready(1);
        for (int n = 0; n < 200; n++)
            sh_collect();
        assert_int_equal(write(ends[1], "x", 1), 1);
        sh_thread_join(thread, &good);
        assert_non_null(good);
        close(ends[0]);
        close(ends[1]);
    }
}

static void *
poll_in_blocking_region(void *arg)
{
    struct pollfd fd = {.fd = ends[0], .events = POLLIN};
    (void)arg;
    sh_blocking_begin();
    atomic_store(&ready, 1);
    int n = poll(&fd, 1, -1);
    sh_blocking_end();
    return (void *)(uintptr_t)(n == 1);
}

/* poll() is never restarted, so it must not be interrupted at all. */
static void
test_blocking_region_is_not_interrupted_by_the_stop_signal(void **state)
{
    (void)state;
    void *good = NULL;
    assert_int_equal(pipe(ends), 0);
    begin();
    pthread_t thread = start(poll_in_blocking_region, NULL);
    wait_ready(1);
    for (int i = 0; i < 500; i++)
        sh_collect();
    assert_int_equal(write(ends[1], "x", 1), 1);
    sh_thread_join(thread, &good);
    assert_non_null(good);
    close(ends[0]);
    close(ends[1]);
}

static void *
sleep_in_blocking_region(void *arg)
{
    struct timespec moment = {0, 20000000};
    struct thread *_Atomic *self = arg;
    atomic_store(self, thread_self());
    while (!atomic_load(&ready))
        sched_yield();
    sh_blocking_begin();
    int error = clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
    sh_blocking_end();
    return (void *)(uintptr_t)(error == 0);
}

/* Nor by a signal that was decided on while the thread was running, and sent too late. */
static void
test_blocking_region_is_not_interrupted_by_a_late_signal(void **state)
{
    (void)state;
    void *good = NULL;
    struct thread *_Atomic t = NULL;
    begin();
    pthread_t thread = start(sleep_in_blocking_region, &t);
    while (atomic_load(&t) == NULL)
        sched_yield();
    atomic_fetch_add(&atomic_load(&t)->signals, 1); /* as world_stop() does */
    atomic_store(&ready, 1);
    while (atomic_load(&atomic_load(&t)->state) != THREAD_SAFE)
        sched_yield();
    usleep(1000);
    syscall(SYS_tgkill, getpid(), atomic_load(&t)->tid, world.signal);
    atomic_fetch_add(&atomic_load(&t)->signals, 1);
    sh_thread_join(thread, &good);
    assert_non_null(good);
}

static void *
keep_errno(void *arg)
{
    (void)arg;
    atomic_store(&ready, 1);
    while (!atomic_load(&stop)) {
        errno = 4242;
        for (volatile int i = 0; i < 1000; i++) {
        }
        __asm__ volatile("" : : : "memory"); /* errno is read anew */
        if (errno != 4242)
            return NULL;
    }
    return &ready;
}

static void
test_errno_survives_a_stop(void **state)
{
    (void)state;
    void *good = NULL;
    begin();
    pthread_t thread = start(keep_errno, NULL);
    wait_ready(1);
    for (int i = 0; i < 300; i++)
        sh_collect();
    atomic_store(&stop, 1);
    sh_thread_join(thread, &good);
    assert_non_null(good);
}

static void
block_end_alone(void *arg)
{
    (void)arg;
    sh_blocking_end();
}

static void
test_blocking_regions_nest_and_must_match(void **state)
{
    (void)state;
    sh_blocking_begin();
    sh_blocking_begin();
    sh_blocking_end();
    assert_int_equal(atomic_load(&thread_self()->state), THREAD_SAFE);
    sh_blocking_end();
    assert_int_equal(atomic_load(&thread_self()->state), THREAD_RUNNING);
    assert_child_dies(block_end_alone, NULL, "sh_blocking_end without sh_blocking_begin");
}

static void *
compute_only(void *arg)
{
    sigset_t now;
    sh_thread_sigmask(SIG_BLOCK, NULL, &now);
    *(int *)arg = sigismember(&now, SIGUSR1) && !sigismember(&now, world.signal);
    atomic_store(&ready, 1);
    while (!atomic_load(&stop)) {
    }
    return NULL;
}

static void *
make_thread_with_mask(void *arg)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL); /* not filtered in the static library */
    pthread_t thread = start(compute_only, arg);
    sh_thread_sigmask(SIG_SETMASK, &(sigset_t){0}, NULL);
    sh_thread_join(thread, NULL);
    return NULL;
}

static void
test_stop_signal_is_not_blocked_by_an_inherited_mask(void **state)
{
    (void)state;
    int masked_well = 0;
    begin();
    pthread_t thread = start(make_thread_with_mask, &masked_well);
    wait_ready(1);
    sh_collect();
    atomic_store(&stop, 1);
    sh_thread_join(thread, NULL);
    assert_true(masked_well);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_world_stops_with_many_threads),
        cmocka_unit_test(test_worker_that_blocks_every_signal_is_stopped),
        cmocka_unit_test(test_thread_in_a_blocking_read_is_stopped_and_reads_on),
        cmocka_unit_test(test_blocking_region_is_not_interrupted_by_the_stop_signal),
        cmocka_unit_test(test_blocking_region_is_not_interrupted_by_a_late_signal),
        cmocka_unit_test(test_errno_survives_a_stop),
        cmocka_unit_test(test_blocking_regions_nest_and_must_match),
        cmocka_unit_test(test_stop_signal_is_not_blocked_by_an_inherited_mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
