/* Regions: one owner each, and no word that was sent is lost, whoever owns what meanwhile. */
#include "check.h"

#include "collector/background.h"
#include "collector/cycle.h"
#include "collector/mark.h"
#include "collector/markers.h"
#include "collector/world.h"

#include <pthread.h>
#include <string.h>

enum { SENDERS = 3, OWNERS = 3, SENT_EACH = 20000 };

static void
test_addresses_of_a_stripe_share_a_region(void **state)
{
    (void)state;
    regions_begin();
    size_t stripe_b = (size_t)1 << regions.stripe_shift;
    uintptr_t base = pageheap.base;
    assert_true(stripe_b >= PAGE_B);
    assert_true(REGIONS * stripe_b >= atomic_load(&pageheap.used_b));
    for (uint32_t i = 0; i < 2 * REGIONS; i++) {
        assert_int_equal(region_of(base + i * stripe_b), i % REGIONS);
        assert_int_equal(region_of(base + (i + 1) * stripe_b - 1), i % REGIONS);
    }
}

static void
test_region_has_one_owner(void **state)
{
    (void)state;
    assert_true(regions_take(7));
    assert_false(regions_take(7));
    assert_true(regions_take(8));
    regions_leave(7);
    assert_true(regions_take(7));
    regions_leave(7);
    regions_leave(8);
    assert_false(regions_any());
}

static struct workbuf *
one_word(uintptr_t word)
{
    struct workbuf *b = workbuf_take_empty(WORK_FOUND);
    b->words[b->n++] = word;
    b->words[b->n++] = 0;
    return b;
}

static uintptr_t
take_word(struct workbuf *b)
{
    uintptr_t word = b->words[0];
    b->n = 0;
    workbuf_put(b);
    return word;
}

static void
test_sent_words_make_a_region_ready(void **state)
{
    (void)state;
    assert_int_equal(regions_take_ready(NO_REGION), NO_REGION);
    regions_send(5, one_word(55));
    regions_send(3, one_word(33));
    assert_true(regions_any());
    assert_int_equal(regions_take_ready(3), 5); /* the next one after the third */
    assert_int_equal(regions_take_ready(5), 3);
    assert_false(regions_any()); /* what is owned is nobody else's work */
    assert_int_equal(take_word(regions_receive(5)), 55);
    assert_null(regions_receive(5));
    regions_leave(5);
    assert_false(regions_any());
    regions_leave(3); /* unread */
    assert_true(regions_any());
    assert_int_equal(regions_take_ready(0), 3);
    assert_int_equal(take_word(regions_receive(3)), 33);
    regions_leave(3);
    assert_false(regions_any());
}

static void
test_grey_objects_come_back_from_the_last_on(void **state)
{
    (void)state;
    uintptr_t object, n = 5 * WORKBUF_WORDS + 3;
    assert_true(regions_take(1));
    struct region *r = &regions.all[1];
    assert_false(region_pop(r, &object));
    for (uintptr_t i = 0; i < n; i++)
        region_push(r, i);
    regions_leave(1);
    assert_true(regions_any());
    assert_int_equal(regions_take_ready(NO_REGION), 1);
    for (uintptr_t i = n; i-- > 0;) {
        assert_true(region_pop(r, &object));
        assert_int_equal(object, i);
        if (i % 100 == 0) { /* across the border of two buffers and back */
            region_push(r, i);
            assert_true(region_pop(r, &object));
        }
    }
    assert_false(region_pop(r, &object));
    assert_null(regions_receive(1));
    regions_leave(1);
    assert_false(regions_any());
}

static void
test_all_work_can_be_dropped(void **state)
{
    (void)state;
    regions_send(9, one_word(1));
    assert_true(regions_take(10));
    region_push(&regions.all[10], 2);
    regions_drop_all();
    assert_false(regions_any());
    assert_true(regions_take(10));
    uintptr_t object;
    assert_false(region_pop(&regions.all[10], &object));
    regions_leave(10);
    assert_true(regions_take(9));
    assert_null(regions_receive(9));
    regions_leave(9);
}

/* ---- Races ---- */

static _Atomic unsigned sending;
static _Atomic uint64_t received, received_sum, sent_sum;
static _Atomic uint32_t inside[REGIONS];
static _Atomic bool shared; /* a region had two owners */

static void *
send_words(void *arg)
{
    struct rng rng = {(uintptr_t)arg * UINT64_C(0x9e3779b97f4a7c15) | 1};
    for (unsigned i = 0; i < SENT_EACH; i++) {
        uintptr_t word = rng_below(&rng, 1000);
        atomic_fetch_add(&sent_sum, word);
        regions_send((uint32_t)rng_below(&rng, 4) * 21, one_word(word));
    }
    atomic_fetch_sub(&sending, 1);
    return NULL;
}

/* Leaves work behind every few words, as a marker does whose time is over. */
static void *
own_regions(void *arg)
{
    struct rng rng = {(uintptr_t)arg * UINT64_C(0x9e3779b97f4a7c15) | 1};
    uint32_t id = NO_REGION;
    while (atomic_load(&sending) > 0 || regions_any()) {
        id = regions_take_ready(id);
        if (id == NO_REGION)
            continue;
        if (atomic_fetch_add(&inside[id], 1) != 0)
            atomic_store(&shared, true);
        uintptr_t object;
        while (region_pop(&regions.all[id], &object)) {
            atomic_fetch_add(&received_sum, object);
            atomic_fetch_add(&received, 1);
        }
        struct workbuf *b;
        while (rng_below(&rng, 50) != 0 && (b = regions_receive(id)) != NULL)
            region_push(&regions.all[id], take_word(b));
        atomic_fetch_sub(&inside[id], 1);
        regions_leave(id);
    }
    return NULL;
}

static void
test_no_word_is_lost_between_senders_and_owners(void **state)
{
    (void)state;
    pthread_t threads[SENDERS + OWNERS];
    atomic_store(&sending, SENDERS);
    for (uintptr_t i = 0; i < SENDERS + OWNERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i < SENDERS ? send_words : own_regions,
                                        (void *)(i + 1)),
                         0);
    for (size_t i = 0; i < SENDERS + OWNERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_false(atomic_load(&shared));
    assert_int_equal(atomic_load(&received), SENDERS * SENT_EACH);
    assert_int_equal(atomic_load(&received_sum), atomic_load(&sent_sum));
}

/* ---- Marking ---- */

struct link {
    struct link *next;
    char rest[3000]; /* few of them fit into a stripe */
};
static const uint64_t link_mask[6] = {1};
static const struct sh_type link_type = {"link", sizeof(struct link), link_mask, 0};

static void *root;

/* A list that leaves its region again and again, and a span that two stripes share. */
static void
test_lists_across_all_regions_are_marked(void **state)
{
    (void)state;
    enum { LINKS = 4000 };
    struct link **all = sh_alloc(LINKS * sizeof *all);
    root = all;
    for (size_t i = 0; i < LINKS; i++)
        sh_store(&all[i], sh_alloc_typed(&link_type));
    for (size_t i = 0; i < LINKS; i++) /* 1789 and LINKS have no common divisor */
        sh_store(&all[i * 1789 % LINKS]->next, all[(i + 1) % LINKS * 1789 % LINKS]);
    struct link *first = all[0];
    root = first;
    all = NULL;
    clear_stack();
    sh_collect();
    struct sh_stats stats;
    sh_stats_read(&stats);
    size_t n = 0;
    for (struct link *l = first; n == 0 || l != first; l = l->next)
        n++;
    assert_int_equal(n, LINKS);
    assert_true(stats.heap_alloc_b >= LINKS * sizeof(struct link));
    root = NULL;
}

struct share {
    uint64_t largest_b, all_b;
};

/* As a thread does that owes little. */
static void
mark_in_shares(void *arg)
{
    struct share *s = arg;
    uint64_t n;
    while ((n = markers_work(MARKER_ASSIST, 1)) > 0) {
        s->largest_b = n > s->largest_b ? n : s->largest_b;
        s->all_b += n;
    }
}

static void
test_large_object_is_scanned_piece_by_piece(void **state)
{
    (void)state;
    enum { LARGE_B = 1 << 20, PIECE_B = 32 << 10 };
    struct share s = {0, 0};
    void *large = sh_alloc(LARGE_B);
    cycle_begin(SH_TRIGGER_FORCED);
    assert_true(cycle_is_marking());
    world_safe_call(mark_in_shares, &s);
    sh_collect();
    assert_true(s.all_b >= LARGE_B);
    assert_in_range(s.largest_b, 1, 2 * PIECE_B);
    SH_KEEP_ALIVE(large);
}

/* The marker of an assist lies where frames of the program will lie. */
static void
test_marker_leaves_no_addresses_on_the_stack(void **state)
{
    (void)state;
    struct marker m;
    memset(&m, 0xff, sizeof m);
    mark_init(&m);
    mark_flush(&m);
    for (size_t i = 0; i < MARK_AHEAD; i++)
        assert_true(m.ahead[i].address == 0 && m.ahead[i].span == NULL && m.ahead[i].slot == NULL);
}

int
main(void)
{
    sh_set_gogc(SH_GOGC_OFF);
    background_limit(0); /* nobody marks but the tests */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_of_a_stripe_share_a_region),
        cmocka_unit_test(test_region_has_one_owner),
        cmocka_unit_test(test_sent_words_make_a_region_ready),
        cmocka_unit_test(test_grey_objects_come_back_from_the_last_on),
        cmocka_unit_test(test_all_work_can_be_dropped),
        cmocka_unit_test(test_no_word_is_lost_between_senders_and_owners),
        cmocka_unit_test(test_lists_across_all_regions_are_marked),
        cmocka_unit_test(test_large_object_is_scanned_piece_by_piece),
        cmocka_unit_test(test_marker_leaves_no_addresses_on_the_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
