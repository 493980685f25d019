/* The store family: what each stores, that stops lose nothing, and the restartable section. */
#include "check.h"

#include "collector/barrier.h"
#include "collector/registers.h"
#include "collector/world.h"
#include "heap/os.h"

#include <ucontext.h>

#define SEED UINT64_C(90210)

static void
test_store_puts_the_value_into_the_slot(void **state)
{
    (void)state;
    void **slots = sh_alloc(64), *value = sh_alloc(16);
    sh_store(&slots[3], value);
    assert_ptr_equal(slots[3], value);
    assert_null(slots[2]);
    assert_null(slots[4]);
    sh_store(&slots[3], NULL);
    assert_null(slots[3]);
}

static void
test_store_with_the_barrier_on_stores_as_well(void **state)
{
    (void)state;
    void **slots = sh_alloc(64), *value = sh_alloc(16);
    atomic_store(&barrier_enabled, 1);
    sh_store(&slots[0], value);
    atomic_store(&barrier_enabled, 0);
    assert_ptr_equal(slots[0], value);
}

static void
test_exchange_returns_what_was_there(void **state)
{
    (void)state;
    void **slot = sh_alloc(16), *a = sh_alloc(16), *b = sh_alloc(16);
    assert_null(sh_exchange(slot, a));
    assert_ptr_equal(sh_exchange(slot, b), a);
    assert_ptr_equal(*slot, b);
}

static void
test_compare_exchange_stores_only_over_the_expected(void **state)
{
    (void)state;
    void **slot = sh_alloc(16), *a = sh_alloc(16), *b = sh_alloc(16), *expected = NULL;
    assert_true(sh_compare_exchange(slot, &expected, a));
    assert_ptr_equal(*slot, a);
    assert_false(sh_compare_exchange(slot, &expected, b));
    assert_ptr_equal(expected, a);
    assert_ptr_equal(*slot, a);
    assert_true(sh_compare_exchange(slot, &expected, b));
    assert_ptr_equal(*slot, b);
}

static void
test_memmove_and_memset_do_what_the_c_library_does(void **state)
{
    (void)state;
    struct rng rng = {SEED};
    unsigned char expected[512], *actual = sh_alloc(512);
    for (int i = 0; i < 512; i++)
        expected[i] = actual[i] = (unsigned char)rng_next(&rng);
    for (int i = 0; i < 4000; i++) {
        size_t unit = i % 2 == 0 ? 8 : 1; /* whole words, or anything */
        size_t size = rng_below(&rng, 200 / unit) * unit;
        size_t from = rng_below(&rng, 300 / unit) * unit, to = rng_below(&rng, 300 / unit) * unit;
        if (i % 5 == 0) {
            assert_ptr_equal(sh_memset(actual + to, i, size), actual + to);
            memset(expected + to, i, size);
        } else {
            assert_ptr_equal(sh_memmove(actual + to, actual + from, size), actual + to);
            memmove(expected + to, expected + from, size);
        }
        assert_seeded(memcmp(expected, actual, 512) == 0, SEED);
    }
}

struct item {
    uint64_t *key;
    uint32_t order;
    char rest[5];
};

static int
by_key(const void *a, const void *b, void *arg)
{
    ++*(size_t *)arg;
    uint64_t x = *((const struct item *)a)->key, y = *((const struct item *)b)->key;
    return (x > y) - (x < y);
}

static void
test_sort_orders_and_loses_nothing(void **state)
{
    (void)state;
    struct rng rng = {SEED + 1};
    static const size_t counts[] = {0, 1, 2, 3, 10, 1000, 4097};
    for (size_t c = 0; c < COUNT_OF(counts); c++) {
        size_t n = counts[c], calls = 0;
        uint64_t sum = 0, sum_after = 0;
        struct item *items = sh_alloc((n + 1) * sizeof *items);
        for (size_t i = 0; i < n; i++) {
            uint64_t *key = sh_alloc(8);
            *key = rng_below(&rng, 2 * n);
            sum += *key;
            sh_store(&items[i].key, key);
            items[i].order = (uint32_t)*key;
            items[i].rest[4] = (char)*key;
        }
        sh_sort(items, n, sizeof *items, by_key, &calls);
        sh_collect();
        for (size_t i = 0; i < n; i++) {
            assert_seeded(i == 0 || *items[i - 1].key <= *items[i].key, SEED + 1);
            assert_seeded(items[i].order == *items[i].key, SEED + 1);
            assert_seeded(items[i].rest[4] == (char)*items[i].key, SEED + 1);
            sum_after += *items[i].key;
        }
        assert_seeded(sum == sum_after, SEED + 1);
    }
}

static int
compare_longs(const void *a, const void *b, void *arg)
{
    (void)arg;
    return (*(const long *)a > *(const long *)b) - (*(const long *)a < *(const long *)b);
}

static void
test_sort_is_fast_on_sorted_and_equal_input(void **state)
{
    (void)state;
    enum { N = 100000 };
    long *sorted = sh_alloc_noscan(N * sizeof *sorted);
    for (long i = 0; i < N; i++)
        sorted[i] = N - i;
    sh_sort(sorted, N, sizeof *sorted, compare_longs, NULL);
    for (long i = 0; i < N; i++)
        assert_int_equal(sorted[i], i + 1);
}

/* ---- Stops ---- */

static _Atomic int stop, ready;

static void *
hammer(void *arg)
{
    void **slots = sh_alloc(256), *values[2] = {sh_alloc(16), sh_alloc(32)};
    (void)arg;
    atomic_fetch_add(&ready, 1);
    for (uintptr_t i = 0; !atomic_load(&stop); i++) {
        void **slot = &slots[i % 32];
        sh_store(slot, values[i % 2]);
        if (*(void *volatile *)slot != values[i % 2])
            return NULL;
        if (sh_exchange(slot, NULL) != values[i % 2])
            return NULL;
    }
    return &ready;
}

static void
test_no_store_is_lost_under_frequent_stops(void **state)
{
    (void)state;
    pthread_t threads[3];
    struct sh_stats stats;
    atomic_store(&ready, 0);
    atomic_store(&stop, 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(sh_thread_create(&threads[i], NULL, hammer, NULL), 0);
    while (atomic_load(&ready) < (int)COUNT_OF(threads))
        usleep(100);
    for (int i = 0; i < 3000; i++)
        sh_stats_read(&stats);
    atomic_store(&stop, 1);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        void *good = NULL;
        sh_thread_join(threads[i], &good);
        assert_non_null(good);
    }
}

#if defined(__x86_64__)
#define TRAP_FLAG 0x100

/*
 * Each instruction of sh_store in turn is the one at which a stop arrives, and the barrier is
 * switched on in that stop. The processor's single-step trap leads from one to the next; the trap's
 * handler plays the stop by calling the library's own handler with the interrupted context.
 */
static struct {
    struct sigaction library;
    int stop_at, step; /* which instruction of the section, from 1 */
    uintptr_t after_stop;
    bool stopped, stored_past_barrier;
} section;

static void
on_step(int signal, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    uintptr_t pc = (uintptr_t)registers[REG_RIP];
    (void)signal;
    if (pc < (uintptr_t)sh_store_begin || pc > (uintptr_t)sh_store_commit)
        return;
    if (section.stopped && pc == (uintptr_t)sh_store_commit)
        section.stored_past_barrier = true; /* about to store although the barrier is on */
    if (section.stopped || ++section.step != section.stop_at)
        return;
    section.stopped = true;
    atomic_store(&barrier_enabled, 1);
    atomic_store(&world.stopping, 1);
    section.library.sa_sigaction(world.signal, info, context);
    section.after_stop = (uintptr_t)registers[REG_RIP];
}

/* Lets the stopped thread go on, as world_start() does. */
static void *
let_go(void *arg)
{
    while (!atomic_load(&stop)) {
        if (atomic_load(&world.stopping) &&
            atomic_load(&((struct thread *)arg)->state) == THREAD_SAFE) {
            atomic_store(&world.stopping, 0);
            os_futex_wake_all(&world.stopping);
        }
        sched_yield();
    }
    return NULL;
}

static NOINLINE void
store_stepped(void *slot, const void *value)
{
    __asm__ volatile("pushfq; orq %0, (%%rsp); popfq" : : "i"(TRAP_FLAG) : "memory", "cc");
    sh_store(slot, value);
    __asm__ volatile("pushfq; andq %0, (%%rsp); popfq" : : "i"(~TRAP_FLAG) : "memory", "cc");
}

static void
stop_at_each_instruction(void *arg)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO};
    pthread_t helper;
    void **slot = sh_alloc(16), *value = sh_alloc(16);
    (void)arg;
    action.sa_sigaction = on_step;
    sigaction(SIGTRAP, &action, NULL);
    sigaction(world.signal, NULL, &section.library);
    pthread_create(&helper, NULL, let_go, thread_self());
    for (section.stop_at = 1;; section.stop_at++) {
        section.step = 0;
        section.stopped = false;
        *slot = NULL;
        store_stepped(slot, value);
        atomic_store(&barrier_enabled, 0);
        need(*slot == value, "the value is stored");
        if (!section.stopped)
            break;
        need(section.after_stop == (uintptr_t)sh_store_begin, "the store begins again");
        need(!section.stored_past_barrier, "nothing is stored past the barrier");
    }
    need(section.stop_at == 4, "the section has three instructions");
    atomic_store(&stop, 1);
    pthread_join(helper, NULL);
}

static void
test_store_that_is_stopped_in_the_middle_begins_again(void **state)
{
    (void)state;
    atomic_store(&stop, 0);
    assert_child_succeeds(stop_at_each_instruction, NULL);
}
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_puts_the_value_into_the_slot),
        cmocka_unit_test(test_store_with_the_barrier_on_stores_as_well),
        cmocka_unit_test(test_exchange_returns_what_was_there),
        cmocka_unit_test(test_compare_exchange_stores_only_over_the_expected),
        cmocka_unit_test(test_memmove_and_memset_do_what_the_c_library_does),
        cmocka_unit_test(test_sort_orders_and_loses_nothing),
        cmocka_unit_test(test_sort_is_fast_on_sorted_and_equal_input),
        cmocka_unit_test(test_no_store_is_lost_under_frequent_stops),
#if defined(__x86_64__)
        cmocka_unit_test(test_store_that_is_stopped_in_the_middle_begins_again),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
