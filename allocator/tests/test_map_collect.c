/* Maps: what the collector must keep, and what it must not. */
/* run: native asan tsan */
#include "map_check.h"

static uintptr_t hidden[300];

static void
fill_with_objects(void *arg)
{
    struct sh_map *map = *(struct sh_map **)arg;
    for (int64_t i = 0; i < 100; i++) {
        struct sh_string key = {sh_alloc_noscan(48), 0};
        key.len = (size_t)snprintf((char *)(uintptr_t)key.data, 48, "key %d", (int)i);
        void *object = sh_alloc(64);
        sh_map_set(map, &key, &object);
        hidden[2 * i] = hide(key.data);
        hidden[2 * i + 1] = hide(object);
    }
}

static void
delete_most(void *arg)
{
    struct sh_map *map = *(struct sh_map **)arg;
    char text[48];
    for (int i = 0; i < 90; i++) {
        snprintf(text, sizeof text, "key %d", i);
        if (!sh_map_delete(map, &(struct sh_string){text, strlen(text)}))
            abort();
    }
}

static void
test_map_keeps_keys_and_elements_until_they_are_deleted(void **state)
{
    (void)state;
    static struct sh_map *map;
    map = sh_map_make(&string_to_pointer, 0);
    run_elsewhere(fill_with_objects, &map);
    collect();
    assert_int_equal(count_alive(hidden, 200), 200);
    run_elsewhere(delete_most, &map);
    collect();
    assert_int_equal(count_alive(hidden, 180), 0);
    assert_int_equal(count_alive(hidden + 180, 20), 20);
    map = NULL;
    collect();
    assert_int_equal(count_alive(hidden + 180, 20), 0);
}

/* The moved entries of a growth that nobody finishes: the old table must not keep them. */
static void
grow_and_delete(void *arg)
{
    struct sh_map *map = sh_map_make(&int_to_pointer, 0);
    *(struct sh_map **)arg = map;
    for (int64_t i = 0; i < 209; i++) { /* grows with the last */
        void *object = sh_alloc(64);
        hidden[i] = hide(object);
        sh_map_set(map, &i, &object);
    }
    size_t deleted = 0;
    for (int64_t i = 0; i < 209; i++) { /* each one that is deleted moves a bucket of the 32 */
        size_t old_bucket = map_hash(map, &i, KEY_64) & 31;
        if (deleted < 10 && bucket_moved(bucket_at(map->layout, map->old, old_bucket)))
            deleted += sh_map_delete(map, &i);
        else
            hidden[i] = 0;
    }
    if (deleted < 10 || map->old == NULL)
        abort();
}

static void
test_old_table_does_not_keep_what_was_moved_and_deleted(void **state)
{
    (void)state;
    static struct sh_map *map;
    run_elsewhere(grow_and_delete, &map);
    collect();
    for (size_t i = 0; i < 209; i++)
        assert_false(hidden[i] != 0 && is_alive(hidden[i]));
    assert_non_null(map->old);
    map = NULL;
}

/* Hides the addresses of a chain's buckets, if they are not a part of a table. */
static NOINLINE size_t
hide_chain(struct sh_map *map, struct bucket *b)
{
    size_t n = 0;
    for (; b != NULL; b = *bucket_overflow(map->layout, b))
        if (sh_object_base(b) == b)
            hidden[n++] = hide(b);
    return n;
}

/* Buckets without pointers are not scanned; the overflow buckets hang by lists of their own. */
static void
test_overflow_buckets_without_pointers_stay_alive(void **state)
{
    (void)state;
    struct sh_map *map = sh_map_make(&colliding, 0);
    for (int64_t i = 0; i < 300; i++) {
        put(map, i, -i);
        if (i % 10 == 0)
            collect();
        if (map->old != NULL && i % 3 == 0 && !bucket_moved(map->old)) {
            size_t n = hide_chain(map, map->old);
            collect();
            assert_int_equal(count_alive(hidden, n), n);
        }
    }
    assert_null(map->layout->bucket.pointer_mask);
    size_t n = hide_chain(map, map->buckets);
    assert_true(n > 30);
    collect();
    assert_int_equal(count_alive(hidden, n), n);
    for (int64_t i = 0; i < 300; i++)
        assert_int_equal(value_of(map, i), -i);
}

static void
begin_and_leave(void *out)
{
    struct sh_map_iterator *it = out;
    struct sh_map *map = sh_map_make(&colliding, 0);
    for (int64_t i = 0; i < 30; i++)
        put(map, i, i);
    *it = sh_map_iterate(map);
    if (hide_chain(map, map->buckets) != 4)
        abort();
    for (int64_t i = 30; i < 400; i++) /* grows several times */
        put(map, i, i);
}

/* It walks a table that the map has left behind. */
static void
test_iterator_keeps_the_table_that_it_walks(void **state)
{
    (void)state;
    static struct sh_map_iterator it;
    run_elsewhere(begin_and_leave, &it);
    collect();
    assert_int_equal(count_alive(hidden, 4), 4);
    size_t shown = 0;
    for (; sh_map_next(&it); shown += *(int64_t *)it.key < 30)
        assert_int_equal(*(int64_t *)it.key, *(int64_t *)it.element);
    assert_int_equal(shown, 30);
    collect();
    assert_int_equal(count_alive(hidden, 4), 0);
}

static void
leave_element(void *out)
{
    struct sh_map *map = sh_map_make(&int_to_int, 0);
    put(map, 1, 77);
    hidden[0] = hide(map->buckets);
    hidden[1] = hide(map);
    *(int64_t **)out = sh_map_get(map, &(int64_t){1});
}

static void
test_address_of_an_element_keeps_it_alone(void **state)
{
    (void)state;
    static int64_t *element;
    run_elsewhere(leave_element, &element);
    collect();
    assert_true(is_alive(hidden[0]));
    assert_false(is_alive(hidden[1]));
    assert_int_equal(*element, 77);
}

/* Maps that threads take from each other, write to, and replace. Each key's object holds the key,
   or 0 if a marker or another thread has seen to it too early. */
static struct shared_map {
    pthread_mutex_t lock;
    struct sh_map *map;
} shared_maps[5];

static bool
is_whole(struct sh_map *map)
{
    size_t n = 0;
    struct sh_map_iterator it = sh_map_iterate(map);
    for (; sh_map_next(&it); n++)
        if (**(int64_t **)it.element != *(int64_t *)it.key)
            return false;
    return n == sh_map_len(map);
}

static void
change(struct sh_map *map, struct rng *r)
{
    for (int i = 0; i < 30; i++) {
        int64_t key = 1 + (int64_t)rng_below(r, 300), *object = sh_alloc_noscan(32);
        *object = key;
        if (rng_below(r, 3) == 0)
            sh_map_delete(map, &key);
        else
            sh_map_set(map, &key, &object);
    }
}

/* ThreadSanitizer keeps the stop signal from a thread that waits for a lock. */
static void
lock_in_safety(pthread_mutex_t *lock)
{
    sh_blocking_begin();
    pthread_mutex_lock(lock);
    sh_blocking_end();
}

static void *
use_shared_maps(void *arg)
{
    struct rng r = {(uintptr_t)arg};
    uintptr_t wrong = 0;
    for (int round = 0; round < 1000; round++) {
        struct shared_map *s = &shared_maps[rng_below(&r, COUNT_OF(shared_maps))];
        lock_in_safety(&s->lock);
        if (s->map == NULL || rng_below(&r, 20) == 0)
            s->map = sh_map_make(&int_to_pointer, 0);
        wrong += !is_whole(s->map);
        change(s->map, &r);
        pthread_mutex_unlock(&s->lock);
        if (round % 50 == 0)
            sh_collect();
    }
    return (void *)wrong;
}

static void
test_maps_go_from_thread_to_thread_while_they_are_marked(void **state)
{
    (void)state;
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT_OF(shared_maps); i++)
        assert_int_equal(pthread_mutex_init(&shared_maps[i].lock, NULL), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(sh_thread_create(&threads[i], NULL, use_shared_maps, (void *)(2027 + i)),
                         0);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        void *wrong;
        assert_int_equal(sh_thread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_keeps_keys_and_elements_until_they_are_deleted),
        cmocka_unit_test(test_old_table_does_not_keep_what_was_moved_and_deleted),
        cmocka_unit_test(test_overflow_buckets_without_pointers_stay_alive),
        cmocka_unit_test(test_iterator_keeps_the_table_that_it_walks),
        cmocka_unit_test(test_address_of_an_element_keeps_it_alone),
        cmocka_unit_test(test_maps_go_from_thread_to_thread_while_they_are_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
