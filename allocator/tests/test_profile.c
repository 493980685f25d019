/* The heap profile: its estimates are unbiased, it shows the heap of the last collection, and a
 * place is who called the library. */
#include "profile_check.h"

#include "observe/profile.h"
#include "observe/sampling.h"

#include <spanheap/pool.h>
#include <spanheap/slice.h>

/* ---- Places that allocate ---- */

SITE(site_of_tiny_blocks, sh_alloc_noscan(size))
SITE(site_of_small, sh_alloc_noscan(size))
SITE(site_of_middling, sh_alloc(size))
SITE(site_of_large, sh_alloc_noscan(size))

static const struct share {
    const char *name;
    void *(*site)(size_t size);
    size_t size, taken_b, in_block; /* objects of the size that share a block */
} shares[] = {
    {"site_of_tiny_blocks", site_of_tiny_blocks, 8, 16, 2},
    {"site_of_small", site_of_small, 200, 208, 1},
    {"site_of_middling", site_of_middling, 5000, 5376, 1},
    {"site_of_large", site_of_large, 100000, 106496, 1},
};

#define SHARE_B ((size_t)128 << 20)

/* In turns, as a program does. */
static void
allocate_shares(void *arg)
{
    size_t done_b[COUNT_OF(shares)] = {0};
    (void)arg;
    for (size_t step_b = 0; step_b < SHARE_B; step_b += (size_t)1 << 20)
        for (size_t i = 0; i < COUNT_OF(shares); i++)
            for (; done_b[i] < step_b + ((size_t)1 << 20); done_b[i] += shares[i].taken_b)
                for (size_t k = 0; k < shares[i].in_block; k++)
                    shares[i].site(shares[i].size);
}

static bool
is_near(uint64_t estimate, double truth)
{
    return (double)estimate > truth * 0.9 && (double)estimate < truth * 1.1;
}

static uint64_t
since(uint64_t *before, uint64_t now)
{
    uint64_t growth = now - *before;
    *before = now;
    return growth;
}

static void
check_estimates(size_t rate_b)
{
    uint64_t before[COUNT_OF(shares)], before_all, truth_b = SHARE_B * COUNT_OF(shares);
    sh_profile_set_rate(rate_b);
    sh_collect();
    before_all = totals_of(NULL).alloc_b;
    for (size_t i = 0; i < COUNT_OF(shares); i++)
        before[i] = totals_of(shares[i].name).alloc_b;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        profile_seed(seed);
        run_elsewhere(allocate_shares, NULL);
        sh_collect();
        uint64_t all_b = since(&before_all, totals_of(NULL).alloc_b);
        assert_seeded(is_near(all_b, (double)truth_b), seed);
        for (size_t i = 0; i < COUNT_OF(shares) && rate_b < SH_PROFILE_RATE_DEFAULT; i++) {
            struct totals t = totals_of(shares[i].name);
            assert_seeded(is_near(since(&before[i], t.alloc_b), (double)SHARE_B), seed);
            assert_seeded(t.inuse_objects < 1000, seed);
        }
    }
    sh_profile_set_rate(0);
}

static void
test_totals_are_unbiased_at_the_usual_rate(void **state)
{
    (void)state;
    check_estimates(SH_PROFILE_RATE_DEFAULT);
}

/* Eight times as many samples, so that a quarter of them is within a tenth of the truth. */
static void
test_each_place_has_its_share(void **state)
{
    (void)state;
    check_estimates(SH_PROFILE_RATE_DEFAULT / 8);
}

static void
test_arithmetic_of_sampling(void **state)
{
    (void)state;
    static const struct {
        uint64_t size_b, rate_b;
        double weight;
    } known[] = {
        {16, 524288, 32768.50000254313},
        {524288, 524288, 1.5819767068693265},
        {1048576, 524288, 1.1565176427496657},
        {UINT64_C(1) << 40, 524288, 1},
        {100, 1, 1},
        {300, 1000, 3.8582959135100827},
    };
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        double error = sampling_weight(known[i].size_b, known[i].rate_b) / known[i].weight - 1;
        assert_true(error < 1e-12 && error > -1e-12);
    }
    uint64_t random = sampling_seed(0), n = 1000000, above = 0;
    double sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t gap = sampling_gap(&random, 1000);
        sum += (double)gap;
        above += gap > 2000;
    }
    assert_true(sum / (double)n > 995 && sum / (double)n < 1006);
    assert_true(above > 133000 && above < 138000); /* exp(-2): 135335 */
    assert_int_equal(sampling_gap(&random, 1), 0);
}

/* ---- What is in use ---- */

static void *volatile kept[1000];

SITE(site_before, sh_alloc(size))
SITE(site_after, sh_alloc(size))
SITE(site_of_garbage, sh_alloc(size))

static void
make_some_garbage(void *arg)
{
    for (size_t i = 0; i < *(size_t *)arg; i++)
        site_of_garbage(100);
}

static void
test_profile_is_that_of_the_last_collection(void **state)
{
    (void)state;
    size_t n = 70;
    int gogc = sh_set_gogc(SH_GOGC_OFF);
    sh_collect();
    sh_profile_set_rate(1);
    for (size_t i = 0; i < 100; i++)
        kept[i] = site_before(100);
    run_elsewhere(make_some_garbage, &n);
    assert_totals("site_before", 0, 0, 112);
    collect();
    assert_totals("site_before", 100, 100, 112);
    assert_totals("site_of_garbage", 70, 0, 112);
    for (size_t i = 0; i < 50; i++)
        kept[i] = NULL;
    kept[500] = site_after(100);
    assert_totals("site_before", 100, 100, 112);
    assert_totals("site_after", 0, 0, 112);
    collect();
    assert_totals("site_before", 100, 50, 112);
    assert_totals("site_after", 1, 1, 112);
    for (int i = 0; i < 5; i++) /* cycles in which nothing happens to it */
        collect();
    assert_totals("site_before", 100, 50, 112);
    sh_profile_set_rate(0); /* what was sampled is followed to its end */
    for (size_t i = 0; i < 1000; i++)
        kept[i] = NULL;
    collect();
    assert_totals("site_before", 100, 0, 112);
    assert_totals("site_after", 1, 0, 112);
    sh_set_gogc(gogc);
}

SITE(site_of_freed, sh_alloc(size))
SITE(site_of_moved, sh_alloc_noscan(size))

static NOINLINE void *
site_that_resizes(void *p, size_t size)
{
    p = sh_realloc(p, size);
    SH_KEEP_ALIVE(p);
    return p;
}

static void
test_free_and_realloc_end_a_sample(void **state)
{
    (void)state;
    sh_profile_set_rate(1);
    for (size_t i = 0; i < 100; i++) {
        kept[i] = site_of_freed(i % 2 == 0 ? 64 : 50000);
        kept[100 + i] = site_of_moved(64);
    }
    for (size_t i = 0; i < 60; i++) {
        sh_free(kept[i]);
        kept[i] = NULL;
        kept[100 + i] = site_that_resizes(kept[100 + i], 600);
    }
    for (size_t i = 60; i < 100; i++)
        kept[100 + i] = site_that_resizes(kept[100 + i], 60); /* where it is */
    collect();
    assert_int_equal(totals_of("site_of_freed").inuse_objects, 40);
    assert_int_equal(totals_of("site_of_freed").inuse_b, 20 * (64 + 57344));
    assert_totals("site_of_moved", 100, 40, 64);
    assert_totals("site_that_resizes", 60, 60, 640);
    for (size_t i = 0; i < 200; i++) {
        sh_free(kept[i]);
        kept[i] = NULL;
    }
    assert_totals("site_of_moved", 100, 40, 64);
    collect();
    assert_totals("site_of_moved", 100, 0, 64);
    assert_totals("site_that_resizes", 60, 0, 640);
    assert_int_equal(totals_of("site_of_freed").inuse_objects, 0);
    sh_profile_set_rate(0);
}

SITE(site_of_tiny, sh_alloc_noscan(size))

static void
allocate_tiny(void *arg)
{
    for (size_t i = 0; i < 64; i++)
        kept[i] = site_of_tiny(4);
    (void)arg;
}

static void
drop_most_tiny(void *arg)
{
    for (size_t i = 0; i < 64; i++) {
        sh_free(kept[i]); /* does nothing */
        kept[i] = i % 8 == 0 ? kept[i] : NULL;
    }
    (void)arg;
}

static void
test_tiny_objects_count_as_their_block(void **state)
{
    (void)state;
    sh_profile_set_rate(1);
    run_elsewhere(allocate_tiny, NULL); /* a thread that has no block yet */
    collect();
    assert_totals("site_of_tiny", 16, 16, 16);
    run_elsewhere(drop_most_tiny, NULL);
    collect();
    assert_totals("site_of_tiny", 16, 8, 16);
    for (size_t i = 0; i < 64; i++)
        kept[i] = NULL;
    collect();
    assert_totals("site_of_tiny", 16, 0, 16);
    sh_profile_set_rate(0);
}

SITE(site_of_finalized, sh_alloc(size))

static unsigned finalized;

static void
count_finalized(void *object, void *arg)
{
    (void)object;
    (void)arg;
    finalized++;
}

static void
make_finalized(void *arg)
{
    for (int i = 0; i < 10; i++)
        sh_set_finalizer(site_of_finalized(100), count_finalized, arg);
}

static void
finalize_now(void *arg)
{
    (void)arg;
    while (finalized < 10) {
        sh_run_finalizers();
        usleep(100); /* the library's own thread may have taken one */
    }
}

static void
test_object_that_its_finalizer_brings_back_is_in_use(void **state)
{
    (void)state;
    sh_profile_set_rate(1);
    run_elsewhere(make_finalized, NULL);
    sh_profile_set_rate(0);
    collect();
    assert_totals("site_of_finalized", 10, 10, 112);
    run_elsewhere(finalize_now, NULL);
    usleep(50000);
    collect();
    /* the thread that ran them may have left a word */
    assert_true(totals_of("site_of_finalized").inuse_objects <= 1);
}

/* ---- Places ---- */

struct node {
    struct node *left, *right;
};
static const struct sh_type node_type =
    SH_TYPE(struct node, SH_POINTER_AT(struct node, left) | SH_POINTER_AT(struct node, right));
static const struct sh_type mixed_type = SH_TYPE(struct node, SH_POINTER_AT(struct node, left));
static struct sh_pool pool;

#define PLACE(name, call)                                                                          \
    static NOINLINE void name(void)                                                                \
    {                                                                                              \
        __asm__ volatile("" : : "r"(call) : "memory");                                             \
    }

PLACE(place_of_alloc, sh_alloc(48))
PLACE(place_of_noscan, sh_alloc_noscan(48))
PLACE(place_of_typed, sh_alloc_typed(&node_type))
PLACE(place_of_other_type, sh_alloc_typed(&mixed_type))
PLACE(place_of_array, sh_alloc_array(&node_type, 10))
PLACE(place_of_try, sh_try_alloc(10, 10, SH_NOSCAN))
PLACE(place_of_large, sh_alloc(100000))
PLACE(place_of_realloc, sh_realloc(sh_alloc(48), 480))
PLACE(place_of_realloc_array, sh_realloc_array(&node_type, NULL, 10))
PLACE(place_of_weak, sh_weak_make(sh_alloc(48)))
PLACE(place_of_slice, sh_slice_make(&node_type, 3, 3).data)
PLACE(place_of_append,
      sh_slice_append(&node_type, (struct sh_slice){NULL, 0, 0}, (struct node[1]){{NULL, NULL}}, 1)
          .data)
PLACE(place_of_clone, sh_slice_clone(&node_type, sh_slice_make(&node_type, 3, 3)).data)

static NOINLINE void
place_of_pool(void)
{
    static uint64_t item[2];
    for (int i = 0; i < 100; i++)
        sh_pool_put(&pool, item);
    SH_KEEP_ALIVE(item);
}

static const struct {
    const char *name;
    void (*run)(void);
    unsigned objects;
} places[] = {
    {"place_of_alloc", place_of_alloc, 1},
    {"place_of_noscan", place_of_noscan, 1},
    {"place_of_typed", place_of_typed, 1},
    {"place_of_other_type", place_of_other_type, 1},
    {"place_of_array", place_of_array, 1},
    {"place_of_try", place_of_try, 1},
    {"place_of_large", place_of_large, 1},
    {"place_of_realloc", place_of_realloc, 2},
    {"place_of_realloc_array", place_of_realloc_array, 1},
    {"place_of_weak", place_of_weak, 2},
    {"place_of_slice", place_of_slice, 1},
    {"place_of_append", place_of_append, 1},
    {"place_of_clone", place_of_clone, 2},
    {"place_of_pool", place_of_pool, 1},
};

static void
test_place_is_who_called_the_library(void **state)
{
    (void)state;
    sh_profile_set_rate(1);
    for (size_t i = 0; i < COUNT_OF(places); i++)
        places[i].run();
    sh_profile_set_rate(0);
    collect();
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        uint64_t n = totals_of(places[i].name).alloc_objects;
        if (n < places[i].objects)
            fail_msg("%s: %zu objects", places[i].name, (size_t)n);
    }
}

static NOINLINE void *
site_below(int depth)
{
    void *p = depth == 0 ? sh_alloc(48) : site_below(depth - 1);
    SH_KEEP_ALIVE(p);
    return p;
}

static void
test_deep_stack_keeps_its_innermost_frames(void **state)
{
    (void)state;
    sh_profile_set_rate(1);
    site_below(200);
    sh_profile_set_rate(0);
    collect();
    assert_int_equal(totals_of("site_below").alloc_objects, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arithmetic_of_sampling),
        cmocka_unit_test(test_totals_are_unbiased_at_the_usual_rate),
        cmocka_unit_test(test_each_place_has_its_share),
        cmocka_unit_test(test_profile_is_that_of_the_last_collection),
        cmocka_unit_test(test_free_and_realloc_end_a_sample),
        cmocka_unit_test(test_tiny_objects_count_as_their_block),
        cmocka_unit_test(test_object_that_its_finalizer_brings_back_is_in_use),
        cmocka_unit_test(test_place_is_who_called_the_library),
        cmocka_unit_test(test_deep_stack_keeps_its_innermost_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
