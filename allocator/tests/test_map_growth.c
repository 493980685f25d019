/* Maps: growth, memory and its limits are Go's. */
/* run: native asan tsan */
#include "map_check.h"

/*
 * Go 1.19.8, a map[int64]int64 without a hint: at which length B, the logarithm of the number of
 * buckets, rises. Read from the map's header after each insertion:
 *
 *     h := *(**hmap)(unsafe.Pointer(&m)); if h.B != last { fmt.Println(len(m), h.B) }
 */
static void
test_map_grows_at_the_lengths_of_go(void **state)
{
    (void)state;
    static const size_t lengths[] = {9,    14,   27,    53,    105,   209,    417,    833,   1665,
                                     3329, 6657, 13313, 26625, 53249, 106497, 212993, 425985};
    struct sh_map *map = sh_map_make(&int_to_int, 0);
    unsigned log2 = 0;
    for (int64_t i = 0; i < 500000; i++) {
        put(map, i, i);
        if (map->log2 == log2)
            continue;
        log2 = map->log2;
        assert_true(log2 <= COUNT_OF(lengths));
        assert_int_equal(sh_map_len(map), lengths[log2 - 1]);
    }
    assert_int_equal(log2, COUNT_OF(lengths));
}

static size_t
made_b(struct sh_map_type *type, size_t hint)
{
    static struct sh_stats before, after;
    sh_stats_read(&before);
    struct sh_map *map = sh_map_make(type, hint);
    sh_stats_read(&after);
    SH_KEEP_ALIVE(map);
    return after.total_alloc_b - before.total_alloc_b;
}

/*
 * Go 1.19.8: B, and the bytes that make(map[...]..., hint) allocates, the difference of
 * runtime.MemStats.TotalAlloc around it: header, buckets, and 24 bytes for what few maps need.
 */
static void
test_hint_gives_the_table_and_the_memory_of_go(void **state)
{
    (void)state;
    static struct sh_map_type small = {.key = &int32_type, .element = &bool_type};
    static const struct {
        size_t hint;
        unsigned log2;
        size_t int_b, small_b, string_b; /* int64 -> int64, int32 -> bool, string -> *int */
    } cases[] = {
        {0, 0, 48, 48, 48},
        {8, 0, 48, 48, 48},
        {9, 1, 336, 160, 464},
        {13, 1, 336, 160, 464},
        {14, 2, 624, 272, 944},
        {26, 2, 624, 272, 944},
        {27, 3, 1200, 496, 1840},
        {52, 3, 1200, 496, 1840},
        {53, 4, 2760, 1096, 4168},
        {104, 4, 2760, 1096, 4168},
        {105, 5, 5448, 2120, 8264},
        {1000, 8, 41032, 16456, 57416},
        {6656, 10, 163912, 65608, 229448},
        {6657, 11, 319560, 122952, 458824},
        {1000000, 18, 40108104, 15597640, 57933896},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t more = cases[i].log2 >= 4 ? 8 : 0; /* 32 bytes for what few maps need */
        assert_int_equal(sh_map_make(&int_to_int, cases[i].hint)->log2, cases[i].log2);
        assert_int_equal(made_b(&int_to_int, cases[i].hint), cases[i].int_b + more);
        assert_int_equal(made_b(&small, cases[i].hint), cases[i].small_b + more);
        assert_int_equal(made_b(&string_to_pointer, cases[i].hint), cases[i].string_b + more);
    }
}

static void
test_hint_that_cannot_be_true_is_none(void **state)
{
    (void)state;
    assert_int_equal(sh_map_make(&int_to_int, SIZE_MAX)->log2, 0);
    assert_int_equal(sh_map_make(&int_to_int, SIZE_MAX / 150)->log2, 0);
}

static void
test_map_never_shrinks(void **state)
{
    (void)state;
    struct sh_map *map = sh_map_make(&int_to_int, 0);
    for (int64_t i = 0; i < 1000; i++)
        put(map, i, i);
    for (int64_t i = 0; i < 1000; i++)
        assert_true(sh_map_delete(map, &i));
    assert_int_equal(sh_map_len(map), 0);
    assert_int_equal(map->log2, 8);
    put(map, 1, 1);
    sh_map_clear(map);
    assert_int_equal(map->log2, 8);
}

/* As good as random, and another one for each i. */
static int64_t
scattered(int64_t i)
{
    uint64_t x = ((uint64_t)i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return (int64_t)(x ^ x >> 31);
}

/* Entries that come and go leave holes all over the chains. */
static void
test_too_many_overflow_buckets_renew_a_table_of_the_same_size(void **state)
{
    (void)state;
    struct sh_map *map = sh_map_make(&int_to_int, 0);
    size_t renewed = 0;
    int64_t first = 0;
    for (int64_t i = 0; i < 800; i++) /* nearly full: 832 is the limit of 128 buckets */
        put(map, scattered(i), i);
    assert_int_equal(map->log2, 7);
    for (int64_t i = 800; i < 200000; i++, first++) {
        assert_true(sh_map_delete(map, &(int64_t){scattered(first)}));
        put(map, scattered(i), i);
        renewed += map->old != NULL && (map_state_of(map) & MAP_SAME_SIZE);
    }
    assert_int_equal(map->log2, 7);
    assert_true(renewed > 0);
    assert_true(map->overflows <= 128);
    for (int64_t i = first; i < 200000; i++)
        assert_int_equal(value_of(map, scattered(i)), i);
    assert_int_equal(count_shown(map), 800);
}

/* As many overflow buckets as by chance, which are about 210, for keys at any equal distances. */
static void
test_keys_at_equal_distances_are_spread_as_by_chance(void **state)
{
    (void)state;
    static struct sh_map_type types[3];
    types[0] = int_to_int;
    types[1] = double_to_int;
    types[2] = (struct sh_map_type){.key = &int32_type};
    for (unsigned shift = 0; shift < 20; shift++)
        for (size_t t = 0; t < COUNT_OF(types); t++) {
            struct sh_map *map = sh_map_make(&types[t], 0);
            for (uint32_t i = 0; i < 6500; i++) {
                uint64_t number = (uint64_t)i << shift * (t == 0 ? 2 : 1);
                double real = (double)number;
                sh_map_slot(map, t == 1 ? (void *)&real : (void *)&number);
            }
            assert_int_equal(sh_map_len(map), 6500);
            assert_int_equal(map->log2, 10);
            if (map->overflows > 300)
                fail_msg("%u overflow buckets for keys of type %zu at 2^%u", map->overflows, t,
                         shift);
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_grows_at_the_lengths_of_go),
        cmocka_unit_test(test_hint_gives_the_table_and_the_memory_of_go),
        cmocka_unit_test(test_hint_that_cannot_be_true_is_none),
        cmocka_unit_test(test_map_never_shrinks),
        cmocka_unit_test(test_too_many_overflow_buckets_renew_a_table_of_the_same_size),
        cmocka_unit_test(test_keys_at_equal_distances_are_spread_as_by_chance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
