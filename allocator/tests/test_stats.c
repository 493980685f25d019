/* The counters: identities, exact counts, and every pause told. */
#include "check.h"

#include "heap/sizeclass.h"

static void
check_identities(const struct sh_stats *s)
{
    uint64_t alloc_b = 0, mallocs = 0, frees = 0;
    for (unsigned c = 1; c < SH_NCLASSES; c++) {
        assert_int_equal(s->by_size[c].size, class_size_b[c]);
        assert_true(s->by_size[c].frees <= s->by_size[c].mallocs);
        alloc_b += (s->by_size[c].mallocs - s->by_size[c].frees) * s->by_size[c].size;
    }
    for (unsigned c = 0; c < SH_NCLASSES; c++) {
        mallocs += s->by_size[c].mallocs;
        frees += s->by_size[c].frees;
    }
    assert_int_equal(s->heap_objects, s->mallocs - s->frees);
    assert_int_equal(s->heap_objects, mallocs - frees);
    assert_true(s->mallocs >= mallocs); /* tiny objects are in no class, their blocks are */
    assert_true(s->heap_alloc_b >= alloc_b && s->heap_alloc_b <= s->total_alloc_b);
    assert_true(s->heap_alloc_b <= s->heap_inuse_b);
    assert_int_equal(s->heap_idle_b, s->heap_sys_b - s->heap_inuse_b);
    assert_true(s->heap_released_b <= s->heap_idle_b);
    assert_true(s->meta_sys_b > 0 && s->num_threads >= 1);
    assert_true(s->gc_cpu_fraction >= 0 && s->gc_cpu_fraction <= 1);
    assert_true(s->num_forced_gc <= s->num_gc && s->num_gc <= s->num_stops);
}

static void
make_garbage(void *arg)
{
    struct rng rng = {*(uint64_t *)arg};
    void *kept[16] = {NULL};
    for (int i = 0; i < 5000; i++) {
        size_t size = rng_below(&rng, i % 200 == 0 ? 200000 : 3000);
        void *p = i % 2 == 0 ? sh_alloc(size) : sh_alloc_noscan(size);
        if (size >= 16 && rng_below(&rng, 3) == 0) {
            sh_free(kept[i % 16]);
            kept[i % 16] = p;
        }
    }
}

static void
test_counters_fit_together(void **state)
{
    (void)state;
    struct sh_stats stats;
    for (uint64_t seed = 1; seed < 20; seed++) {
        run_elsewhere(make_garbage, &seed);
        if (seed % 4 == 0)
            sh_collect();
        sh_stats_read(&stats);
        check_identities(&stats);
    }
}

static void
allocate_known(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        sh_alloc(100);
        sh_alloc_noscan(2);
    }
    sh_alloc(100000);
}

static void
test_counts_are_exact(void **state)
{
    (void)state;
    struct sh_stats before, after;
    unsigned class = sizeclass_of(100), tiny = sizeclass_of(16);
    sh_collect();
    sh_set_gogc(SH_GOGC_OFF);
    sh_stats_read(&before);
    run_elsewhere(allocate_known, NULL); /* of a thread that is gone */
    sh_stats_read(&after);
    assert_int_equal(after.by_size[class].mallocs - before.by_size[class].mallocs, 1000);
    assert_int_equal(after.by_size[tiny].mallocs - before.by_size[tiny].mallocs, 125);
    assert_int_equal(after.total_alloc_b - before.total_alloc_b, 1000 * 112 + 125 * 16 + 106496);
    assert_int_equal(after.mallocs - before.mallocs, 2001);
    assert_int_equal(after.heap_alloc_b - before.heap_alloc_b, 1000 * 112 + 125 * 16 + 106496);
    sh_set_gogc(100);
}

/* Go's rule: a tiny object that is packed into a block counts as allocated and as freed. */
static void
test_tiny_objects_count_once_in_mallocs(void **state)
{
    (void)state;
    struct sh_stats before, after;
    sh_stats_read(&before);
    char *volatile first = sh_alloc_noscan(4);
    sh_alloc_noscan(4);
    sh_alloc_noscan(4);
    sh_stats_read(&after);
    assert_int_equal(after.mallocs - before.mallocs, 3);
    (void)first;
}

static void
test_released_memory_is_counted(void **state)
{
    (void)state;
    struct sh_stats before, after;
    char *p = sh_alloc_noscan(8 << 20);
    memset(p, 1, 8 << 20);
    sh_collect(); /* what is freed while a collection marks comes free at its end */
    sh_stats_read(&before);
    sh_free(p);
    size_t released_b = sh_release_memory(); /* what the scavenger left */
    sh_stats_read(&after);
    assert_true(released_b > 0);
    assert_true(after.heap_released_b >= before.heap_released_b + (8 << 20));
    assert_int_equal(after.heap_released_b, after.heap_idle_b);
    assert_int_equal(sh_release_memory(), 0);
}

/* ---- Pauses ---- */

enum { SEEN = 1000 };
static struct sh_pause seen[SEEN];
static _Atomic size_t nseen;

static void
remember(const struct sh_pause *pause)
{
    size_t i = atomic_fetch_add(&nseen, 1);
    if (i < SEEN)
        seen[i] = *pause;
}

static void
check_pause(const struct sh_pause *p)
{
    assert_true(p->length_ns >= p->signal_ns + p->roots_ns);
    assert_true(p->start_ns > 0);
    if (p->cause == SH_STOP_MARK_START || p->cause == SH_STOP_MARK_END) {
        assert_true(p->cycle > 0 && p->trigger != SH_TRIGGER_NONE);
        assert_int_equal(p->root_b > 0, p->cause == SH_STOP_MARK_START);
    } else if (p->cause == SH_STOP_MARK) { /* a small heap: the stop that begins is the only one */
        assert_true(p->cycle > 0 && p->trigger == SH_TRIGGER_HEAP && p->root_b > 0);
    } else {
        assert_int_equal(p->cause, SH_STOP_STATISTICS);
        assert_int_equal(p->trigger, SH_TRIGGER_NONE);
        assert_int_equal(p->root_b, 0);
    }
}

static void
test_every_pause_is_told_to_the_hook_and_kept(void **state)
{
    (void)state;
    static struct sh_pause kept[256];
    struct sh_stats before, after;
    sh_stats_read(&before);
    atomic_store(&nseen, 0);
    assert_null(sh_set_pause_hook(remember));
    for (uint64_t i = 0; i < 20; i++) {
        sh_collect();
        sh_stats_read(&after);
        run_elsewhere(make_garbage, &i);
    }
    sh_stats_read(&after);
    assert_ptr_equal(sh_set_pause_hook(NULL), remember);
    size_t n = atomic_load(&nseen), all = sh_pauses_read(kept, COUNT_OF(kept));
    assert_true(n < 256 && all >= n);
    assert_int_equal(after.num_stops - before.num_stops, n);
    uint64_t total_ns = 0, forced = 0;
    for (size_t i = 0; i < n; i++) {
        check_pause(&seen[i]);
        assert_memory_equal(&seen[i], &kept[all - n + i], sizeof seen[i]);
        total_ns += i + 1 < n ? seen[i].length_ns : 0;
        forced += seen[i].trigger == SH_TRIGGER_FORCED && seen[i].cause == SH_STOP_MARK_START;
        assert_true(i == 0 || seen[i].start_ns >= seen[i - 1].start_ns + seen[i - 1].length_ns);
    }
    assert_int_equal(forced, 20);
    assert_true(after.pause_total_ns - before.pause_total_ns >= total_ns);
}

static void
test_newest_256_pauses_are_kept_in_order(void **state)
{
    (void)state;
    static struct sh_pause kept[300];
    struct sh_stats stats;
    for (int i = 0; i < 300; i++)
        sh_stats_read(&stats);
    sh_collect();
    assert_int_equal(sh_pauses_read(kept, 300), 256);
    for (int i = 1; i < 256; i++)
        assert_true(kept[i].start_ns > kept[i - 1].start_ns);
    assert_int_equal(kept[255].cause, SH_STOP_MARK_END);
    struct sh_pause last;
    assert_int_equal(sh_pauses_read(&last, 1), 1);
    assert_memory_equal(&last, &kept[255], sizeof last);
    assert_int_equal(sh_pauses_read(&last, 0), 0);
}

static void
test_collections_are_numbered_from_one_without_gaps(void **state)
{
    (void)state;
    struct sh_pause last;
    struct sh_stats stats;
    sh_collect();
    sh_pauses_read(&last, 1);
    uint32_t number = last.cycle;
    sh_collect();
    sh_pauses_read(&last, 1);
    assert_int_equal(last.cycle, number + 1);
    sh_stats_read(&stats);
    assert_int_equal(stats.num_gc, number + 1);
    assert_int_equal(stats.last_gc_ns, last.start_ns + last.length_ns);
    struct sh_pause pauses[256];
    size_t n = sh_pauses_read(pauses, COUNT_OF(pauses));
    while (n > 0 && pauses[n - 1].cause != SH_STOP_MARK_START)
        n--;
    assert_true(n > 0);
    assert_int_equal(stats.stack_roots_b + stats.data_roots_b, pauses[n - 1].root_b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters_fit_together),
        cmocka_unit_test(test_counts_are_exact),
        cmocka_unit_test(test_tiny_objects_count_once_in_mallocs),
        cmocka_unit_test(test_released_memory_is_counted),
        cmocka_unit_test(test_every_pause_is_told_to_the_hook_and_kept),
        cmocka_unit_test(test_newest_256_pauses_are_kept_in_order),
        cmocka_unit_test(test_collections_are_numbered_from_one_without_gaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
