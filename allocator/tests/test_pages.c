/* The page allocator against a naive bitmap: one bool a page, searched from the start. */
/* run: native asan valgrind */
#include "check.h"

#include "heap/pages.h"

#define SEED UINT64_C(77001)
#define NPAGES (CHUNK_PAGES * 70) /* 70 chunks: 70, 9, 2, 1, 1 nodes */

struct model {
    bool free[NPAGES], scavenged[NPAGES];
    size_t free_pages, scavenged_pages;
};

static struct model model;

static void
model_set(size_t first, size_t n, bool is_free, bool is_scavenged)
{
    for (size_t i = first; i < first + n; i++) {
        model.free_pages += (size_t)is_free - model.free[i];
        model.scavenged_pages += (size_t)is_scavenged - model.scavenged[i];
        model.free[i] = is_free;
        model.scavenged[i] = is_scavenged;
    }
}

static bool
model_first_fit(size_t n, size_t *first)
{
    size_t run = 0;
    for (size_t i = 0; i < NPAGES; i++) {
        run = model.free[i] ? run + 1 : 0;
        if (run == n) {
            *first = i + 1 - n;
            return true;
        }
    }
    return false;
}

static size_t
model_scavenged_in(size_t first, size_t n)
{
    size_t count = 0;
    for (size_t i = first; i < first + n; i++)
        count += model.scavenged[i];
    return count;
}

static void
start(struct pages *p)
{
    memset(&model, 0, sizeof model);
    assert_true(pages_init(p, NPAGES));
    pages_add(p, 0, NPAGES);
    model_set(0, NPAGES, true, true);
}

/* ---- Summaries, computed anew from the bits ---- */

struct runs {
    size_t start, max, end;
};

static struct runs
naive_runs(const struct pages *p, size_t first, size_t n)
{
    struct runs r = {0, 0, 0};
    size_t run = 0;
    for (size_t i = first; i < first + n; i++) {
        bool is_free = i < p->nchunks * CHUNK_PAGES && (p->free[i / 64] >> (i % 64) & 1) != 0;
        run = is_free ? run + 1 : 0;
        if (run == i + 1 - first)
            r.start = run;
        if (run > r.max)
            r.max = run;
    }
    r.end = run;
    return r;
}

static bool
summary_is(uint64_t summary, struct runs r)
{
    uint64_t mask = (1u << 21) - 1;
    if (r.max == (size_t)1 << 21)
        return summary == UINT64_C(1) << 63;
    return (summary & mask) == r.start && (summary >> 21 & mask) == r.max && summary >> 42 == r.end;
}

static void
check_summaries(const struct pages *p)
{
    for (unsigned level = 0; level < LEVELS; level++) {
        size_t width = (size_t)CHUNK_PAGES << (FANOUT_SHIFT * (LEVELS - 1 - level));
        for (size_t node = 0; node < p->nodes[level]; node++) {
            struct runs r = naive_runs(p, node * width, width);
            if (!summary_is(p->summary[level][node], r))
                fail_msg("seed %llu: level %u, node %zu", (unsigned long long)SEED, level, node);
        }
    }
}

static void
check_counts(const struct pages *p)
{
    assert_seeded(p->free_pages == model.free_pages, SEED);
    assert_seeded(p->scavenged_pages == model.scavenged_pages, SEED);
    for (size_t i = 0; i < NPAGES; i++)
        assert_seeded((p->free[i / 64] >> (i % 64) & 1) == model.free[i], SEED);
}

/* ---- Random operations ---- */

static size_t
random_size(struct rng *rng)
{
    switch (rng_below(rng, 8)) {
    case 0:
        return 1 + rng_below(rng, 3000);
    case 1:
    case 2:
        return 1 + rng_below(rng, 200);
    default:
        return 1 + rng_below(rng, 12);
    }
}

static void
allocate_once(struct pages *p, size_t n)
{
    size_t first = 0, fresh = 0, expected = 0;
    bool fits = model_first_fit(n, &expected);
    assert_seeded(pages_alloc(p, n, &first, &fresh) == fits, SEED);
    if (!fits)
        return;
    assert_seeded(first == expected, SEED);
    assert_seeded(fresh == model_scavenged_in(first, n), SEED);
    model_set(first, n, false, false);
}

/* Frees a random piece of the taken pages. */
static void
free_once(struct pages *p, struct rng *rng)
{
    size_t first = rng_below(rng, NPAGES), n = 0, most = random_size(rng);
    while (first + n < NPAGES && n < most && !model.free[first + n])
        n++;
    if (n == 0)
        return;
    pages_free(p, first, n);
    model_set(first, n, true, false);
}

/* What the scavenger does: the highest piece with memory is taken and comes back without. */
static void
scavenge_once(struct pages *p, struct rng *rng)
{
    size_t below = rng_below(rng, NPAGES + 1), first = 0, n = 0, top = below;
    while (top > 0 && !(model.free[top - 1] && !model.scavenged[top - 1]))
        top--;
    bool found = pages_find_unscavenged(p, below, 8, &first, &n);
    assert_seeded(found == (top > 0), SEED);
    if (!found)
        return;
    assert_seeded(first + n == top && n >= 1 && n <= 8, SEED);
    for (size_t i = first; i < first + n; i++)
        assert_seeded(model.free[i] && !model.scavenged[i], SEED);
    assert_seeded(pages_take(p, first, n) == 0, SEED);
    pages_add(p, first, n);
    model_set(first, n, true, true);
}

static void
test_random_operations_match_a_naive_bitmap(void **state)
{
    (void)state;
    struct pages p;
    struct rng rng = {SEED};
    start(&p);
    for (unsigned i = 0; i < 6000; i++) {
        size_t what = rng_below(&rng, 10);
        if (what < 5)
            allocate_once(&p, random_size(&rng));
        else if (what < 9)
            free_once(&p, &rng);
        else
            scavenge_once(&p, &rng);
        if (i % 500 == 0) {
            check_counts(&p);
            check_summaries(&p);
        }
    }
    check_counts(&p);
    check_summaries(&p);
}

static void
test_run_across_chunks_is_found(void **state)
{
    (void)state;
    struct pages p;
    size_t first, fresh;
    start(&p);
    assert_true(pages_alloc(&p, NPAGES, &first, &fresh));
    /* Between two chunks, two nodes of level 3 (8 chunks) and of level 2 (64 chunks). */
    const size_t borders[] = {CHUNK_PAGES, 8 * CHUNK_PAGES, 64 * CHUNK_PAGES};
    for (size_t i = 0; i < COUNT_OF(borders); i++) {
        pages_free(&p, borders[i] - 3, 7);
        assert_false(pages_alloc(&p, 8, &first, &fresh));
        assert_true(pages_alloc(&p, 7, &first, &fresh));
        assert_int_equal(first, borders[i] - 3);
        assert_int_equal(fresh, 0);
    }
}

static void
test_whole_range_can_be_taken_once(void **state)
{
    (void)state;
    struct pages p;
    size_t first = 1, fresh = 0;
    start(&p);
    assert_true(pages_alloc(&p, NPAGES, &first, &fresh));
    assert_int_equal(first, 0);
    assert_int_equal(fresh, NPAGES);
    assert_int_equal(p.free_pages, 0);
    assert_false(pages_alloc(&p, 1, &first, &fresh));
    pages_free(&p, 0, NPAGES);
    assert_int_equal(p.free_pages, NPAGES);
    assert_int_equal(p.scavenged_pages, 0);
    assert_true(pages_alloc(&p, NPAGES, &first, &fresh));
    assert_int_equal(fresh, 0);
}

static void
test_pieces_end_where_the_free_run_ends(void **state)
{
    (void)state;
    struct pages p;
    size_t first, fresh, pieces = 5;
    start(&p);
    assert_true(pages_alloc(&p, NPAGES, &first, &fresh));
    pages_free(&p, 10, 2);
    pages_free(&p, 100, 11);
    assert_true(pages_alloc_pieces(&p, 3, &pieces, &first, &fresh));
    assert_int_equal(first, 100);
    assert_int_equal(pieces, 3);
    assert_int_equal(p.free_pages, 4);
    pieces = 5;
    assert_true(pages_alloc_pieces(&p, 1, &pieces, &first, &fresh));
    assert_int_equal(first, 10);
    assert_int_equal(pieces, 2);
    pieces = 1;
    assert_false(pages_alloc_pieces(&p, 3, &pieces, &first, &fresh));
    pages_discard(&p);
}

static void
test_zero_pages_are_refused(void **state)
{
    (void)state;
    struct pages p;
    size_t first, fresh;
    start(&p);
    assert_false(pages_alloc(&p, 0, &first, &fresh));
}

static void
test_nothing_is_free_before_it_is_added(void **state)
{
    (void)state;
    struct pages p;
    size_t first, fresh;
    assert_true(pages_init(&p, NPAGES));
    assert_false(pages_alloc(&p, 1, &first, &fresh));
    pages_add(&p, 5 * CHUNK_PAGES, CHUNK_PAGES);
    assert_true(pages_alloc(&p, 1, &first, &fresh));
    assert_int_equal(first, 5 * CHUNK_PAGES);
    assert_int_equal(fresh, 1);
}

static void
test_run_longer_than_a_root_entry_is_found(void **state)
{
    (void)state;
    struct pages p;
    size_t first = 0, fresh = 0, root = (size_t)1 << 21;
    assert_true(pages_init(&p, 3 * root));
    pages_add(&p, 0, 3 * root);
    assert_true(summary_is(p.summary[0][1], (struct runs){root, root, root}));
    assert_true(pages_alloc(&p, 5, &first, &fresh));
    assert_true(pages_alloc(&p, 2 * root, &first, &fresh));
    assert_int_equal(first, 5);
    assert_false(pages_alloc(&p, root, &first, &fresh));
    assert_true(pages_alloc(&p, root - 5, &first, &fresh));
    assert_int_equal(first, 2 * root + 5);
}

static void
test_lowest_free_page_is_reused_first(void **state)
{
    (void)state;
    struct pages p;
    size_t first, fresh;
    start(&p);
    for (size_t i = 0; i < 2000; i++)
        assert_true(pages_alloc(&p, 1, &first, &fresh));
    pages_free(&p, 1500, 1);
    pages_free(&p, 3, 1);
    pages_free(&p, 700, 1);
    const size_t order[] = {3, 700, 1500, 2000};
    for (size_t i = 0; i < COUNT_OF(order); i++) {
        assert_true(pages_alloc(&p, 1, &first, &fresh));
        assert_int_equal(first, order[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_operations_match_a_naive_bitmap),
        cmocka_unit_test(test_run_across_chunks_is_found),
        cmocka_unit_test(test_whole_range_can_be_taken_once),
        cmocka_unit_test(test_pieces_end_where_the_free_run_ends),
        cmocka_unit_test(test_zero_pages_are_refused),
        cmocka_unit_test(test_nothing_is_free_before_it_is_added),
        cmocka_unit_test(test_run_longer_than_a_root_entry_is_found),
        cmocka_unit_test(test_lowest_free_page_is_reused_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
