/* Maps: keys and elements of each kind, nil, clear, NaN, misuse. */
/* run: native asan tsan */
#include "map_check.h"

#include <math.h>

struct wide {
    int64_t words[20]; /* over 128 bytes: an object of its own */
};
struct triple {
    int32_t a, b, c;
};
struct tagged {
    int64_t *pointer, number, more;
};

static const struct sh_type triple_type = {"triple", 12, NULL, 0};
static const struct sh_type wide_type = {"wide", sizeof(struct wide), NULL, 0};
static const struct sh_type tagged_type =
    SH_TYPE(struct tagged, SH_POINTER_AT(struct tagged, pointer));

/* ---- Keys and elements of each kind ---- */

static void
test_what_is_set_is_found_until_it_is_deleted(void **state)
{
    (void)state;
    struct sh_map *map = sh_map_make(&int_to_int, 0);
    for (int64_t i = 0; i < 1000; i++) {
        assert_int_equal(value_of(map, i), -1);
        put(map, i, i * i);
        assert_int_equal(sh_map_len(map), i + 1);
    }
    for (int64_t i = 0; i < 1000; i++)
        assert_int_equal(value_of(map, i), i * i);
    put(map, 7, 8);
    assert_int_equal(value_of(map, 7), 8);
    assert_int_equal(sh_map_len(map), 1000);
    for (int64_t i = 0; i < 1000; i++) {
        assert_true(sh_map_delete(map, &i));
        assert_false(sh_map_delete(map, &i));
        assert_int_equal(value_of(map, i), -1);
    }
    assert_int_equal(sh_map_len(map), 0);
}

static uint64_t
hash_triple(const void *key, uint64_t seed)
{
    return sh_hash_bytes(key, 8, seed);
}

static bool
equal_triple(const void *a, const void *b)
{
    return memcmp(a, b, 8) == 0; /* c is not a part of it */
}

static void
test_keys_of_any_size_and_any_equality(void **state)
{
    (void)state;
    static struct sh_map_type by_bytes = {.key = &triple_type, .element = &triple_type};
    static struct sh_map_type by_calls = {
        .key = &triple_type, .element = &int32_type, .hash = hash_triple, .equal = equal_triple};
    static struct sh_map_type narrow = {.key = &int32_type, .element = &bool_type};
    struct sh_map *bytes = sh_map_make(&by_bytes, 0), *calls = sh_map_make(&by_calls, 0),
                  *halves = sh_map_make(&narrow, 0);
    for (int32_t i = 0; i < 3000; i++) {
        struct triple key = {i / 2, -i / 2, i};
        sh_map_set(bytes, &key, &key);
        sh_map_set(calls, &key, &i);
        sh_map_set(halves, &i, &(bool){i % 3 == 0});
    }
    assert_int_equal(sh_map_len(bytes), 3000);
    assert_int_equal(sh_map_len(calls), 1500); /* c makes no difference */
    for (int32_t i = 0; i < 3000; i++) {
        struct triple key = {i / 2, -i / 2, i};
        assert_memory_equal(sh_map_get(bytes, &key), &key, sizeof key);
        assert_non_null(sh_map_get(calls, &key));
        assert_int_equal(*(bool *)sh_map_get(halves, &i), i % 3 == 0);
    }
    assert_null(sh_map_get(bytes, &(struct triple){1, 1, 1}));
}

/* A hash of one's own, whose keys are the same bytes if they are equal: nothing is to be renewed.
 */
static void
test_exact_keys_are_left_as_they_are(void **state)
{
    (void)state;
    static struct sh_map_type types[2] = {
        {.key = &triple_type, .hash = hash_triple, .equal = equal_triple, .flags = SH_MAP_EXACT},
        {.key = &triple_type, .hash = hash_triple, .equal = equal_triple}};
    for (int i = 0; i < 2; i++) { /* said of keys of which it is not true, so that it shows */
        struct sh_map *map = sh_map_make(&types[i], 0);
        sh_map_set(map, &(struct triple){1, 1, 5}, NULL);
        sh_map_set(map, &(struct triple){1, 1, 6}, NULL);
        struct sh_map_iterator it = sh_map_iterate(map);
        assert_true(sh_map_next(&it));
        assert_int_equal(((struct triple *)it.key)->c, 5 + i);
    }
}

static void
test_map_without_elements_is_a_set(void **state)
{
    (void)state;
    static struct sh_map_type set_type = {.key = &int64_type};
    struct sh_map *set = sh_map_make(&set_type, 0);
    for (int64_t i = 0; i < 100; i += 2)
        sh_map_set(set, &i, NULL);
    for (int64_t i = 0; i < 100; i++)
        assert_int_equal(sh_map_get(set, &i) != NULL, i % 2 == 0);
    assert_int_equal(count_shown(set), 50);
}

static void
test_large_keys_and_elements_are_objects_of_their_own(void **state)
{
    (void)state;
    static struct sh_map_type wides = {.key = &wide_type, .element = &wide_type};
    struct sh_map *map = sh_map_make(&wides, 0);
    assert_int_equal(map->layout->bucket.size, 8 + 8 * 8 + 8 * 8 + 8);
    struct wide w = {{0}};
    for (int64_t i = 0; i < 500; i++) {
        w.words[19] = i;
        sh_map_set(map, &w, &w);
        w.words[19] = -1; /* the map has a copy */
    }
    sh_collect();
    for (int64_t i = 0; i < 500; i++) {
        w.words[19] = i;
        assert_memory_equal(sh_map_get(map, &w), &w, sizeof w);
    }
    struct wide *element = sh_map_get(map, &w);
    sh_map_set(map, &w, NULL);
    assert_int_equal(element->words[19], 0); /* stays where it is */
    assert_true(sh_map_delete(map, &w));
    assert_null(sh_map_get(map, &w));
}

static void
test_slot_makes_a_zeroed_entry_once(void **state)
{
    (void)state;
    struct sh_map *map = sh_map_make(&int_to_int, 0);
    for (int64_t round = 0; round < 3; round++)
        for (int64_t key = 0; key < 100; key++)
            ++*(int64_t *)sh_map_slot(map, &key);
    for (int64_t key = 0; key < 100; key++)
        assert_int_equal(value_of(map, key), 3);
    for (int64_t key = 0; key < 100; key++) {
        sh_map_delete(map, &key);
        assert_int_equal(*(int64_t *)sh_map_slot(map, &key), 0);
    }
}

static void
test_newer_of_two_equal_keys_stays(void **state)
{
    (void)state;
    struct sh_map *map = sh_map_make(&double_to_int, 0);
    double plus = 0.0, minus = -0.0;
    sh_map_set(map, &plus, &(int64_t){1});
    sh_map_set(map, &minus, &(int64_t){2});
    struct sh_map_iterator it = sh_map_iterate(map);
    assert_true(sh_map_next(&it));
    assert_true(signbit(*(double *)it.key));
    assert_int_equal(*(int64_t *)it.element, 2);
    assert_false(sh_map_next(&it));

    struct sh_map *strings = sh_map_make(&string_to_pointer, 0);
    struct sh_string shorter = sh_string_make("ab", 2);
    struct sh_string longer = sh_string_sub(sh_string_make("abcdefgh", 8), 0, 2);
    sh_map_set(strings, &longer, NULL);
    sh_map_set(strings, &shorter, NULL);
    it = sh_map_iterate(strings);
    assert_true(sh_map_next(&it));
    assert_ptr_equal(((struct sh_string *)it.key)->data, shorter.data);
}

static void
test_strings_are_keys_by_their_bytes(void **state)
{
    (void)state;
    struct sh_map *map = sh_map_make(&string_to_pointer, 0);
    char text[200];
    memset(text, 'x', sizeof text);
    for (size_t len = 0; len < sizeof text; len++)
        sh_map_set(map, &(struct sh_string){text, len}, &(void *){text + len});
    assert_int_equal(sh_map_len(map), sizeof text);
    for (size_t len = 0; len < sizeof text; len++) {
        struct sh_string copy = sh_string_make(text, len);
        assert_ptr_equal(*(char **)sh_map_get(map, &copy), text + len);
        if (len > 0) {
            ((char *)(uintptr_t)copy.data)[len / 2] = 'y';
            assert_null(sh_map_get(map, &copy));
        }
    }
}

static void
test_nan_is_a_new_entry_each_time_and_goes_by_clear_alone(void **state)
{
    (void)state;
    struct sh_map *map = sh_map_make(&double_to_int, 0);
    double nan = NAN;
    for (int64_t i = 0; i < 300; i++) {
        sh_map_set(map, &nan, &i);
        assert_int_equal(sh_map_len(map), i + 1);
        assert_int_equal(count_shown(map), i + 1); /* in each state of growth */
    }
    assert_null(sh_map_get(map, &nan));
    assert_false(sh_map_delete(map, &nan));
    assert_int_equal(sh_map_len(map), 300);
    sh_map_clear(map);
    assert_int_equal(sh_map_len(map), 0);
    assert_int_equal(count_shown(map), 0);
}

/* m[k] = m[j], and keys that lie in the map, while old buckets are moved and cleared. */
static void
test_key_and_value_may_lie_in_the_map(void **state)
{
    (void)state;
    struct sh_map *map = sh_map_make(&int_to_pointer, 0);
    static struct sh_map_type tagged_to_tagged = {.key = &tagged_type, .element = &tagged_type};
    struct sh_map *tags = sh_map_make(&tagged_to_tagged, 0);
    static int64_t target;
    sh_map_set(map, &(int64_t){0}, &(void *){&target});
    sh_map_set(tags, &(struct tagged){&target, 0, 0}, &(struct tagged){&target, 1, 0});
    for (int64_t i = 1; i < 5000; i++) {
        sh_map_set(map, &i, sh_map_get(map, &(int64_t){i - 1}));
        assert_ptr_equal(*(void **)sh_map_get(map, &i), &target);
        struct tagged *last = sh_map_get(tags, &(struct tagged){&target, i - 1, 0});
        assert_non_null(last);
        sh_map_set(tags, last, &(struct tagged){&target, i + 1, 0});
    }
    assert_int_equal(sh_map_len(tags), 5000);
}

/* ---- Nil, clear ---- */

static void
test_nil_map_reads_as_empty(void **state)
{
    (void)state;
    int64_t key = 1;
    assert_int_equal(sh_map_len(NULL), 0);
    assert_null(sh_map_get(NULL, &key));
    assert_false(sh_map_delete(NULL, &key));
    sh_map_clear(NULL);
    struct sh_map_iterator it = sh_map_iterate(NULL);
    assert_false(sh_map_next(&it));
    assert_false(sh_map_next(&it));
}

static void
set_in_nil(void *arg)
{
    (void)arg;
    put(NULL, 1, 1);
}

static void
slot_in_nil(void *arg)
{
    (void)arg;
    int64_t key = 1;
    sh_map_slot(NULL, &key);
}

static void
test_writing_to_a_nil_map_panics(void **state)
{
    (void)state;
    assert_child_panics(set_in_nil, NULL, "assignment to entry in nil map");
    assert_child_panics(slot_in_nil, NULL, "assignment to entry in nil map");
}

static void
test_clear_empties_a_map_in_any_state_of_growth(void **state)
{
    (void)state;
    for (int64_t n = 0; n < 250; n++) {
        struct sh_map *map = sh_map_make(n % 2 ? &int_to_int : &colliding, 0);
        for (int round = 0; round < 2; round++) {
            for (int64_t i = 0; i < n; i++)
                put(map, i, i);
            sh_map_clear(map);
            assert_int_equal(sh_map_len(map), 0);
            assert_int_equal(count_shown(map), 0);
            assert_int_equal(value_of(map, n / 2), -1);
        }
        put(map, 1, 2);
        assert_int_equal(value_of(map, 1), 2);
        assert_int_equal(count_shown(map), 1);
    }
}

/* ---- Misuse ---- */

static struct sh_map *
map_being_written(void)
{
    struct sh_map *map = sh_map_make(&int_to_int, 0);
    put(map, 1, 1);
    map_set_state(map, MAP_WRITING); /* as another thread has left it for now */
    return map;
}

static void
write_concurrently(void *arg)
{
    (void)arg;
    put(map_being_written(), 1, 1);
}

static void
delete_concurrently(void *arg)
{
    (void)arg;
    sh_map_delete(map_being_written(), &(int64_t){1});
}

static void
clear_concurrently(void *arg)
{
    (void)arg;
    sh_map_clear(map_being_written());
}

static void
read_concurrently(void *arg)
{
    (void)arg;
    sh_map_get(map_being_written(), &(int64_t){1});
}

static void
iterate_concurrently(void *arg)
{
    (void)arg;
    count_shown(map_being_written());
}

static struct sh_map *interrupted;

static uint64_t
hash_and_end_write(const void *key, uint64_t seed)
{
    return sh_hash_int64(key, seed);
}

/* Another writer ends while this one looks for its key. */
static bool
equal_and_end_write(const void *a, const void *b)
{
    map_set_state(interrupted, 0);
    return sh_equal_int64(a, b);
}

static void
be_overtaken(void *arg)
{
    (void)arg;
    static struct sh_map_type type = {.key = &int64_type,
                                      .element = &int64_type,
                                      .hash = hash_and_end_write,
                                      .equal = equal_and_end_write};
    interrupted = sh_map_make(&type, 0);
    put(interrupted, 1, 1);
    put(interrupted, 1, 2);
}

static void
test_concurrent_misuse_is_fatal_in_the_words_of_go(void **state)
{
    (void)state;
    assert_child_dies(write_concurrently, NULL, "concurrent map writes");
    assert_child_dies(delete_concurrently, NULL, "concurrent map writes");
    assert_child_dies(clear_concurrently, NULL, "concurrent map writes");
    assert_child_dies(be_overtaken, NULL, "concurrent map writes");
    assert_child_dies(read_concurrently, NULL, "concurrent map read and map write");
    assert_child_dies(iterate_concurrently, NULL, "concurrent map iteration and map write");
}

static void
make_without_key(void *arg)
{
    (void)arg;
    static struct sh_map_type type = {.element = &int64_type};
    sh_map_make(&type, 0);
}

static void
make_with_half_a_pair(void *arg)
{
    (void)arg;
    static struct sh_map_type type = {.key = &int64_type, .hash = sh_hash_int64};
    sh_map_make(&type, 0);
}

static void
make_with_other_strings(void *arg)
{
    (void)arg;
    static struct sh_map_type type = {
        .key = &int64_type, .hash = sh_hash_string, .equal = sh_equal_string};
    sh_map_make(&type, 0);
}

static void
test_impossible_type_is_fatal_and_named(void **state)
{
    (void)state;
    assert_child_dies(make_without_key, NULL, "the type has no key");
    assert_child_dies(make_with_half_a_pair, NULL, "int64 have one of hash and equal");
    assert_child_dies(make_with_other_strings, NULL, "hashed as strings, but have 8 bytes");
}

static void *
read_and_iterate(void *arg)
{
    struct sh_map *map = arg;
    uintptr_t wrong = 0;
    for (int round = 0; round < 50; round++) {
        for (int64_t i = 0; i < 500; i++)
            wrong += value_of(map, i) != i;
        wrong += count_shown(map) != 500;
    }
    return (void *)wrong;
}

static struct sh_map_type new_types[200];
static pthread_barrier_t all_ready;

static void *
make_first_maps(void *arg)
{
    (void)arg;
    uintptr_t wrong = 0;
    pthread_barrier_wait(&all_ready);
    for (size_t i = 0; i < COUNT_OF(new_types); i++) {
        struct sh_map *map = sh_map_make(&new_types[i], 0);
        put(map, 1, 2);
        wrong += value_of(map, 1) != 2 ||
                 map->layout != __atomic_load_n(&new_types[i].layout, __ATOMIC_ACQUIRE);
    }
    return (void *)wrong;
}

static void
test_first_maps_of_a_type_may_be_made_by_many_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT_OF(new_types); i++)
        new_types[i] = int_to_pointer;
    for (size_t i = 0; i < COUNT_OF(new_types); i++)
        new_types[i].layout = NULL;
    assert_int_equal(pthread_barrier_init(&all_ready, NULL, COUNT_OF(threads)), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(sh_thread_create(&threads[i], NULL, make_first_maps, NULL), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        void *wrong;
        assert_int_equal(sh_thread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

static void
test_many_threads_may_read_and_iterate_at_once(void **state)
{
    (void)state;
    struct sh_map *map = sh_map_make(&int_to_int, 0);
    pthread_t threads[4];
    for (int64_t i = 0; i < 500; i++)
        put(map, i, i);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(sh_thread_create(&threads[i], NULL, read_and_iterate, map), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        void *wrong;
        assert_int_equal(sh_thread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

static struct sh_map *small_maps[300];

static void *
iterate_small_maps(void *arg)
{
    (void)arg;
    uintptr_t wrong = 0;
    pthread_barrier_wait(&all_ready);
    for (size_t i = 0; i < COUNT_OF(small_maps); i++)
        wrong += count_shown(small_maps[i]) != sh_map_len(small_maps[i]);
    return (void *)wrong;
}

/* What an iterator needs of a map is made by the first one. Some of the maps grow. */
static void
test_first_iterators_of_a_map_may_begin_at_once(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT_OF(small_maps); i++) {
        small_maps[i] = sh_map_make(&int_to_int, 0);
        for (int64_t key = 0; key < 1 + 13 * ((int64_t)i % 3); key++)
            put(small_maps[i], key, key);
    }
    assert_null(small_maps[0]->rest);
    assert_non_null(small_maps[2]->old);
    assert_int_equal(pthread_barrier_init(&all_ready, NULL, COUNT_OF(threads)), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(sh_thread_create(&threads[i], NULL, iterate_small_maps, NULL), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        void *wrong;
        assert_int_equal(sh_thread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_non_null(small_maps[0]->rest);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_set_is_found_until_it_is_deleted),
        cmocka_unit_test(test_keys_of_any_size_and_any_equality),
        cmocka_unit_test(test_exact_keys_are_left_as_they_are),
        cmocka_unit_test(test_map_without_elements_is_a_set),
        cmocka_unit_test(test_large_keys_and_elements_are_objects_of_their_own),
        cmocka_unit_test(test_slot_makes_a_zeroed_entry_once),
        cmocka_unit_test(test_newer_of_two_equal_keys_stays),
        cmocka_unit_test(test_strings_are_keys_by_their_bytes),
        cmocka_unit_test(test_nan_is_a_new_entry_each_time_and_goes_by_clear_alone),
        cmocka_unit_test(test_key_and_value_may_lie_in_the_map),
        cmocka_unit_test(test_nil_map_reads_as_empty),
        cmocka_unit_test(test_writing_to_a_nil_map_panics),
        cmocka_unit_test(test_clear_empties_a_map_in_any_state_of_growth),
        cmocka_unit_test(test_concurrent_misuse_is_fatal_in_the_words_of_go),
        cmocka_unit_test(test_impossible_type_is_fatal_and_named),
        cmocka_unit_test(test_first_maps_of_a_type_may_be_made_by_many_threads),
        cmocka_unit_test(test_many_threads_may_read_and_iterate_at_once),
        cmocka_unit_test(test_first_iterators_of_a_map_may_begin_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
