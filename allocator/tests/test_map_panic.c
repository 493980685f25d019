/* Maps: a hash or an equality that panics leaves the map as it was. */
/* run: native asan tsan */
#include "map_check.h"

#include <spanheap/panic.h>
#include <spanheap/task.h>

/* ---- Keys that panic ---- */

static _Thread_local int calls_left = -1; /* until a hash or an equality panics; negative: never */

static void
count_call(const char *function)
{
    if (calls_left >= 0 && calls_left-- == 0)
        sh_panic("%s of a bad key", function);
}

/* Few hashes, so that chains are long; a panic may come at any entry of one. */
static uint64_t
hash_or_panic(const void *key, uint64_t seed)
{
    count_call("hash");
    double value = *(const double *)key;
    int64_t coarse = value == value ? (int64_t)value / 16 : 0;
    return value == value ? sh_hash_int64(&coarse, seed) : sh_hash_double(key, seed);
}

static bool
equal_or_panic(const void *a, const void *b)
{
    count_call("equal");
    return sh_equal_double(a, b);
}

static struct sh_map_type panicking = {
    .key = &int64_type, .element = &int64_type, .hash = hash_or_panic, .equal = equal_or_panic};

enum step { STEP_SET, STEP_SLOT, STEP_DELETE, STEP_GET, STEPS };
static const char *_Atomic said;
static struct sh_map *seen_by_deferred;
static size_t len_in_deferred;

static void
catch_it(void *arg)
{
    (void)arg;
    if (seen_by_deferred != NULL) { /* before it recovers, too, the map is whole */
        calls_left = -1;
        sh_map_get(seen_by_deferred, &(double){3});
        len_in_deferred = count_shown(seen_by_deferred);
    }
    const struct sh_panic_value *value = sh_recover();
    said = value == NULL ? "nothing" : value->message;
}

/* Whether the step was taken: not, if it panicked. */
static NOINLINE bool
take_step(struct sh_map *map, enum step step, double key, int64_t value)
{
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return false;
    sh_defer(&scope, catch_it, NULL);
    if (step == STEP_SET)
        sh_map_set(map, &key, &value);
    else if (step == STEP_SLOT)
        *(int64_t *)sh_map_slot(map, &key) = value;
    else if (step == STEP_DELETE)
        sh_map_delete(map, &key);
    else
        sh_map_get(map, &key);
    return true;
}

static bool
panics_at(struct sh_map *map, enum step step, int call)
{
    calls_left = call;
    bool done = take_step(map, step, 3, 33);
    calls_left = -1;
    return !done;
}

static struct sh_map *
map_of_five(void)
{
    struct sh_map *map = sh_map_make(&panicking, 0);
    for (int64_t i = 0; i < 5; i++)
        sh_map_set(map, &(double){(double)i}, &i);
    return map;
}

static void
test_map_can_be_used_after_a_panic_of_its_hash_or_equality(void **state)
{
    (void)state;
    struct sh_map *map = map_of_five();
    for (enum step step = 0; step < STEPS; step++) {
        assert_true(panics_at(map, step, 0));
        assert_string_equal(said, "hash of a bad key");
        assert_true(panics_at(map, step, 1));
        assert_string_equal(said, "equal of a bad key");
        assert_int_equal(sh_map_len(map), 5);
        assert_int_equal(count_shown(map), 5);
        assert_int_equal(*(int64_t *)sh_map_get(map, &(double){3}), 3);
    }
    assert_false(panics_at(map, STEP_SET, 20));
    assert_int_equal(*(int64_t *)sh_map_get(map, &(double){3}), 33);
}

static void
test_deferred_call_may_use_the_map_that_was_being_written(void **state)
{
    (void)state;
    seen_by_deferred = map_of_five();
    len_in_deferred = 0;
    assert_true(panics_at(seen_by_deferred, STEP_DELETE, 2));
    assert_int_equal(len_in_deferred, 5);
    seen_by_deferred = NULL;
}

/* ---- A write is done, or nothing of it ---- */

enum { MOST = 600, ROUNDS = 40000 };

static void
compare_with_model(struct sh_map *map, const int64_t *values, size_t count, size_t nans)
{
    struct sh_map_iterator it = sh_map_iterate(map);
    size_t shown = 0, shown_nans = 0;
    while (sh_map_next(&it)) {
        double key = *(double *)it.key;
        shown++;
        if (key != key)
            shown_nans++;
        else
            assert_int_equal(*(int64_t *)it.element, values[(size_t)key]);
    }
    assert_int_equal(shown_nans, nans);
    assert_int_equal(shown, count + nans);
    assert_int_equal(sh_map_len(map), shown);
}

static void
test_write_that_panics_has_done_nothing(void **state)
{
    (void)state;
    static int64_t values[MOST]; /* 0: not there */
    size_t count = 0, nans = 0, panics = 0, panics_in_growth = 0;
    struct rng r = {20270111};
    struct sh_map *map = sh_map_make(&panicking, 0);
    struct sh_map_iterator slow = sh_map_iterate(map);
    for (int round = 1; round <= ROUNDS; round++) {
        size_t at = rng_below(&r, MOST);
        bool nan = rng_below(&r, 100) == 0;
        double key = nan ? __builtin_nan("") : (double)at;
        enum step step = (enum step)rng_below(&r, STEPS);
        bool grows = map->old != NULL;
        calls_left = rng_below(&r, 3) == 0 ? (int)rng_below(&r, 40) : -1;
        bool done = take_step(map, step, key, round);
        calls_left = -1;
        panics += !done;
        panics_in_growth += !done && grows;
        if (done && nan) {
            nans += step == STEP_SET || step == STEP_SLOT;
        } else if (done && step != STEP_GET) {
            int64_t value = step == STEP_DELETE ? 0 : round;
            count += (size_t)((value != 0) - (values[at] != 0));
            values[at] = value;
        }
        assert_int_equal(sh_map_len(map), count + nans);
        if (round % 16 == 0 && !sh_map_next(&slow))
            slow = sh_map_iterate(map);
        if (round % 50 == 0)
            compare_with_model(map, values, count, nans);
        if (round % 250 == 0) { /* and grows anew */
            map = sh_map_make(&panicking, 0);
            memset(values, 0, sizeof values);
            count = nans = 0;
            slow = sh_map_iterate(map);
        }
    }
    assert_true(panics > 500);
    assert_true(panics_in_growth > 50);
}

/* ---- One write inside another ---- */

static struct sh_map *outer, *inner;
static bool outer_was_written, inner_recovers;

/* Writes to a map while another one is being written. */
static bool
equal_that_writes(const void *a, const void *b)
{
    if (inner_recovers)
        panics_at(inner, STEP_SET, 1);
    else
        sh_map_set(inner, &(double){3}, &(int64_t){44});
    outer_was_written = map_state_of(outer) & MAP_WRITING;
    return sh_equal_int64(a, b);
}

static struct sh_map_type writing = {
    .key = &int64_type, .element = &int64_type, .hash = sh_hash_int64, .equal = equal_that_writes};

static void
put_one(void *arg)
{
    (void)arg;
    put(outer, 1, 12);
}

static NOINLINE bool
panics_outside(void (*work)(void *arg), void *arg)
{
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return true;
    sh_defer(&scope, catch_it, NULL);
    work(arg);
    return false;
}

static void
test_each_write_ends_where_its_panic_is_recovered(void **state)
{
    (void)state;
    outer = sh_map_make(&writing, 0);
    inner = sh_map_make(&panicking, 0);
    sh_map_set(inner, &(double){3}, &(int64_t){3});
    put(outer, 1, 11);
    inner_recovers = true; /* inside the outer write, which goes on */
    assert_false(panics_outside(put_one, NULL));
    assert_true(outer_was_written);
    assert_int_equal(*(int64_t *)sh_map_get(inner, &(double){3}), 3);
    assert_int_equal(value_of(outer, 1), 12);
    put(outer, 1, 13);
    inner_recovers = false; /* outside of both */
    calls_left = 1;
    assert_true(panics_outside(put_one, NULL));
    assert_int_equal(*(int64_t *)sh_map_get(inner, &(double){3}), 3);
    assert_int_equal(value_of(outer, 1), 13);
    put(outer, 1, 14);
    assert_int_equal(*(int64_t *)sh_map_get(inner, &(double){3}), 44);
    assert_int_equal(value_of(outer, 1), 14);
}

/* ---- Tasks have writes of their own ---- */

static struct sh_wait_group all;
static _Atomic int whole;

static bool
equal_after_a_switch(const void *a, const void *b)
{
    sh_task_yield();
    if (*(const int64_t *)a == 7)
        sh_panic("seven");
    return sh_equal_int64(a, b);
}

static struct sh_map_type switching = {
    .key = &int64_type, .element = &int64_type, .hash = hash_badly, .equal = equal_after_a_switch};

static void
put_seven(void *map)
{
    put(map, 7, 7);
}

static void
write_in_turns(void *arg)
{
    (void)arg;
    struct sh_map *map = sh_map_make(&switching, 0);
    int panics = 0;
    for (int64_t i = 0; i < 20; i++) {
        put(map, i + 10, i);
        panics += panics_outside(put_seven, map);
    }
    whole += panics == 20 && sh_map_len(map) == 20 && value_of(map, 29) == 19;
    sh_wait_group_done(&all);
}

static void
test_each_task_has_writes_of_its_own(void **state)
{
    (void)state;
    sh_wait_group_add(&all, 10);
    for (int i = 0; i < 10; i++)
        sh_task_start(write_in_turns, NULL);
    sh_wait_group_wait(&all);
    assert_int_equal(whole, 10);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_can_be_used_after_a_panic_of_its_hash_or_equality),
        cmocka_unit_test(test_deferred_call_may_use_the_map_that_was_being_written),
        cmocka_unit_test(test_write_that_panics_has_done_nothing),
        cmocka_unit_test(test_each_write_ends_where_its_panic_is_recovered),
        cmocka_unit_test(test_each_task_has_writes_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
