/*
 * What tools see of the heap: an access to what is freed, swept, or not handed out is reported, at
 * the access; one to a live object is not. Without a tool the same programs go on unnoticed.
 */
/* run: native asan valgrind */
#include "check.h"

#include "collector/verify.h"
#include "heap/cache.h"
#include "heap/watch.h"

#include <spanheap/pool.h>

static struct outcome out;
static volatile char sink;

/* The child is ended by the tool that watches it, at the access and for it; without a tool, it is
   not. */
static void
expect_report(void (*work)(void *arg), const char *stated)
{
    run_in_child(&out, work, NULL);
    int wanted = UNDER_ASAN ? 99 : under_valgrind() ? 97 : 0;
    if (out.code != wanted)
        print_error("child ended with %d, wanted %d: %s\n", out.code, wanted, out.text);
    assert_int_equal(out.code, wanted);
    if (UNDER_ASAN) /* valgrind writes where the program cannot read it */
        assert_non_null(strstr(out.text, stated));
}

static void
read_freed(void *arg)
{
    (void)arg;
    char *p = sh_alloc(100);
    sh_free(p);
    sink = p[50];
}

static void
write_freed_large(void *arg)
{
    (void)arg;
    char *p = sh_alloc_noscan(1 << 20);
    sh_free(p);
    p[500000] = 1;
}

static NOINLINE uintptr_t
make_garbage(void)
{
    void *p = fresh_object(300);
    return hide(p);
}

static void
read_swept(void *arg)
{
    (void)arg;
    uintptr_t hidden = make_garbage();
    collect();
    need(!is_alive(hidden), "it is gone");
    sink = *(char *)~hidden;
}

static void
read_slot_not_handed_out(void *arg)
{
    (void)arg;
    char *volatile p = sh_alloc(3072); /* the only one of its span; the compiler must not see it */
    sink = p[3072];
}

static void
store_into_freed(void *arg)
{
    (void)arg;
    void **p = sh_alloc(64);
    sh_free(p);
    sh_store(&p[1], p);
}

static void
test_freed_object_is_reported(void **state)
{
    (void)state;
    expect_report(read_freed, "use-after-poison");
    expect_report(write_freed_large, "use-after-poison");
    expect_report(store_into_freed, "use-after-poison");
}

static void
test_swept_object_is_reported(void **state)
{
    (void)state;
    expect_report(read_swept, "use-after-poison");
}

static void
test_slot_without_an_object_is_reported(void **state)
{
    (void)state;
    expect_report(read_slot_not_handed_out, "use-after-poison");
}

/* ---- What no detector sees by itself; ../../pitfalls/ has the programs ---- */

static void *
make_buffer(void)
{
    return sh_alloc(256);
}

static struct sh_pool buffers = {.make = make_buffer};

static void
use_after_put(void *arg)
{
    (void)arg;
    char *mine = sh_pool_get(&buffers);
    sh_pool_put(&buffers, mine);
    mine[0] = 1;
}

static void
put_after_use(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++) {
        char *mine = sh_pool_get(&buffers);
        mine[0] = mine[255] = 1;
        sh_pool_put(&buffers, mine);
    }
}

static void
put_twice(void *arg)
{
    (void)arg;
    char *mine = sh_pool_get(&buffers);
    sh_pool_put(&buffers, mine);
    sh_pool_put(&buffers, mine);
}

/* An arena of the program's own, in one object, which says what it hands out. */
struct arena {
    char *start;
    size_t used, size;
};

static NOINLINE void *
arena_alloc(struct arena *a, size_t size)
{
    void *p = a->start + a->used;
    a->used += (size + 7) / 8 * 8;
    sh_unpoison(p, size);
    return p;
}

static NOINLINE void
arena_reset(struct arena *a)
{
    a->used = 0;
    sh_poison(a->start, a->size);
}

static void
use_after_reset(void *arg)
{
    struct arena a = {sh_alloc(4096), 0, 4096};
    (void)arg;
    arena_reset(&a);
    char *p = arena_alloc(&a, 100);
    memset(p, 1, 100);
    arena_reset(&a);
    p[99] = 2;
}

static void
use_before_reset(void *arg)
{
    struct arena a = {sh_alloc(4096), 0, 4096};
    (void)arg;
    for (int i = 0; i < 10; i++) {
        arena_reset(&a);
        void **p = arena_alloc(&a, 800);
        p[99] = sh_alloc(16);
        sh_collect(); /* reads all of the object, poisoned or not */
        need(sh_object_base(p[99]) == p[99], "what it holds is alive");
    }
}

static void
test_pool_item_used_after_put_is_reported(void **state)
{
    (void)state;
    expect_report(use_after_put, "use-after-poison");
    assert_child_succeeds(put_after_use, NULL);
}

static void
test_arena_object_used_after_reset_is_reported(void **state)
{
    (void)state;
    expect_report(use_after_reset, "use-after-poison");
    assert_child_succeeds(use_before_reset, NULL);
}

/* ---- No false alarm ---- */

static void
use_all_of(size_t size)
{
    char *p = size % 2 == 0 ? sh_alloc(size) : sh_alloc_noscan(size);
    size_t usable = sh_usable_size(p);
    assert_in_range(usable, size < 16 ? 0 : size, SIZE_MAX);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(p[i], 0);
    memset(p, 1, usable > size ? usable : size);
    p = sh_realloc(p, size + size / 2);
    assert_int_equal(p[0], 1);
    memset(p, 2, size + size / 2);
    if (size % 3 == 0)
        sh_free(p);
}

static void
test_live_objects_may_be_used_whole(void **state)
{
    (void)state;
    for (int round = 0; round < 5; round++) {
        for (size_t size = 1; size < 1200; size++)
            use_all_of(size);
        for (size_t size = 1200; size < 200000; size += 1777)
            use_all_of(size);
        sh_collect();
    }
    verify_now();
}

static void *
free_and_alloc(void *arg)
{
    void *held[64] = {NULL};
    struct rng rng = {(uintptr_t)arg};
    for (unsigned i = 0; i < (under_valgrind() ? 5000 : 50000); i++) {
        void **slot = &held[rng_below(&rng, 64)];
        sh_free(*slot);
        *slot = sh_alloc(8 + rng_below(&rng, 600));
        memset(*slot, 0, 8);
    }
    return NULL;
}

/* Freeing while collections mark and sweep, by several threads. */
static void
test_frees_beside_collections_are_silent(void **state)
{
    (void)state;
    pthread_t threads[3];
    for (uintptr_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(sh_thread_create(&threads[i], NULL, free_and_alloc, (void *)(i + 1)), 0);
    for (int i = 0; i < 10; i++)
        sh_collect();
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        sh_thread_join(threads[i], NULL);
    verify_now();
}

static void
test_heap_is_watched_where_a_tool_is(void **state)
{
    (void)state;
    assert_int_equal(heap_watch.asan, UNDER_ASAN);
    assert_int_equal(heap_watch.valgrind, under_valgrind());
    assert_int_equal(heap_watch.on, UNDER_ASAN || under_valgrind());
    assert_true((atomic_load(&cache_fast) == NULL) == heap_watch.on);
}

/* ---- Quarantine ---- */

/* Whether the address is handed out again when `between` bytes have been freed after it. Fills what
   room there is below. */
static bool
comes_back(size_t between)
{
    static void *filler[4000];
    uintptr_t hidden = hide(sh_alloc(1000));
    sh_free((void *)~hidden);
    bool again = false;
    for (size_t freed = 0; freed < between; freed += 1024) {
        void *p = sh_alloc(1000);
        again = again || hide(p) == hidden;
        sh_free(p);
    }
    sh_collect();
    for (size_t i = 0; i < COUNT_OF(filler); i++) {
        filler[i] = sh_alloc(1000);
        again = again || hide(filler[i]) == hidden;
    }
    return again;
}

static void
hold_freed(void)
{
    sh_set_gogc(SH_GOGC_OFF);
    need(!comes_back(0), "held: nothing was freed after it");
    need(!comes_back(32 << 10), "held: 32 KiB were freed after it");
    need(comes_back(300 << 10), "used again: 300 KiB were freed after it");
    verify_now();
}

static void
hold_in_full_heap(void)
{
    sh_set_gogc(SH_GOGC_OFF);
    for (int i = 0; i < 200; i++)
        sh_free(sh_alloc(1 << 20));
}

static void
hold_with_threads(void)
{
    pthread_t threads[3];
    for (uintptr_t i = 0; i < COUNT_OF(threads); i++)
        sh_thread_create(&threads[i], NULL, free_and_alloc, (void *)(i + 1));
    for (int i = 0; i < 30; i++) {
        sh_collect();
        verify_now();
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        sh_thread_join(threads[i], NULL);
    struct sh_stats stats;
    sh_stats_read(&stats);
    need(stats.heap_objects == stats.mallocs - stats.frees, "the counters agree");
}

static void
free_held_twice(void)
{
    void *p = sh_alloc(100);
    sh_free(p);
    for (int i = 0; i < 10; i++)
        sh_collect();
    need(sh_object_base(p) == NULL, "it is no object");
    sh_free(p);
}

/* Valgrind cannot start this program anew. */
static NOINLINE void
run_with(const char *part, const char *const *environment)
{
    if (under_valgrind())
        skip();
    run_anew(&out, part, environment);
}

static const char *const with_quarantine[] = {"SH_DEBUG_HEAP=1", "SH_QUARANTINE=128KiB",
                                              "SH_VERIFY=1", NULL};

static void
test_freed_memory_is_held_for_so_many_bytes(void **state)
{
    (void)state;
    run_with("hold freed", with_quarantine);
    assert_success(&out);
    run_with("hold with threads", with_quarantine);
    assert_success(&out);
}

static void
test_freed_memory_is_not_held_when_there_is_no_other(void **state)
{
    (void)state;
    run_with("hold in full heap", (const char *const[]){"SH_DEBUG_HEAP=1", "SH_QUARANTINE=1GiB",
                                                        "SH_RESERVE=64MiB", NULL});
    assert_success(&out);
}

static void
test_double_free_is_noticed_as_long_as_memory_is_held(void **state)
{
    (void)state;
    run_with("free held twice", with_quarantine);
    assert_fatal(&out, "is not allocated, or was freed before");
}

/* With a quarantine the pool gives no item out again that somebody may still use. */
static void
put_and_used(void)
{
    char *mine = sh_pool_get(&buffers);
    sh_pool_put(&buffers, mine);
    char *other = sh_pool_get(&buffers);
    need(other != mine, "another item");
}

static void
test_pool_holds_items_back_too(void **state)
{
    (void)state;
    run_with("put and used", with_quarantine);
    assert_success(&out);
}

static void
put_each_time(void)
{
    put_after_use(NULL);
}

static void
put_twice_alone(void)
{
    put_twice(NULL);
}

static const char second_put[] = "was put before, and nobody has got it since";

/* By the tool at the line that puts, where one is; else by the pool's own message. */
static void
expect_second_put(void)
{
    if (UNDER_ASAN)
        assert_non_null(strstr(out.text, "use-after-poison"));
    else
        assert_fatal(&out, second_put);
}

static void
test_item_put_twice_is_reported(void **state)
{
    (void)state;
    run_in_child(&out, put_twice, NULL);
    if (heap_watch.on)
        expect_second_put();
    else
        assert_success(&out);
}

/* Without a quarantine the items are handed out again, and may be put again. */
static void
test_item_put_twice_is_noticed_without_a_tool(void **state)
{
    static const char *const none[] = {"SH_DEBUG_HEAP=1", "SH_QUARANTINE=0", NULL};
    (void)state;
    run_with("put twice", with_quarantine);
    expect_second_put();
    run_with("put twice", none);
    expect_second_put();
    run_with("put each time", none);
    assert_success(&out);
}

static const struct program_part parts[] = {
    {"hold freed", hold_freed},
    {"hold in full heap", hold_in_full_heap},
    {"hold with threads", hold_with_threads},
    {"free held twice", free_held_twice},
    {"put and used", put_and_used},
    {"put twice", put_twice_alone},
    {"put each time", put_each_time},
};

int
main(int argc, char **argv)
{
    if (argc > 1)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heap_is_watched_where_a_tool_is),
        cmocka_unit_test(test_freed_object_is_reported),
        cmocka_unit_test(test_swept_object_is_reported),
        cmocka_unit_test(test_slot_without_an_object_is_reported),
        cmocka_unit_test(test_pool_item_used_after_put_is_reported),
        cmocka_unit_test(test_arena_object_used_after_reset_is_reported),
        cmocka_unit_test(test_live_objects_may_be_used_whole),
        cmocka_unit_test(test_frees_beside_collections_are_silent),
        cmocka_unit_test(test_freed_memory_is_held_for_so_many_bytes),
        cmocka_unit_test(test_freed_memory_is_not_held_when_there_is_no_other),
        cmocka_unit_test(test_double_free_is_noticed_as_long_as_memory_is_held),
        cmocka_unit_test(test_pool_holds_items_back_too),
        cmocka_unit_test(test_item_put_twice_is_reported),
        cmocka_unit_test(test_item_put_twice_is_noticed_without_a_tool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
