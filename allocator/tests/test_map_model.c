/* Maps beside a plain model, a million steps, while collections run and are checked. The model is
   also that of the fuzz target (../fuzz/), with more keys. Where each step takes long, as many are
   made as see the map cleared once. */
/* run: native asan tsan */
#include "check.h"

#define MODEL_KEYS 20000
#include "map_model.h"

enum { MODEL_STEPS = UNDER_TSAN ? 350000 : 1000000 };

/* The range of keys changes, so that the map fills, empties, and grows in both ways. */
static size_t
some_key(struct rng *rng, size_t step)
{
    return rng_below(rng, step / 50000 % 2 ? MODEL_KEYS : MODEL_KEYS / 10);
}

/* Exchanges two elements, which are nowhere else meanwhile; one may take the key of the other. */
static void
exchange_objects(size_t a, size_t b)
{
    union key key_a = {{0}}, key_b = {{0}};
    if (!maps.there[a] || !maps.there[b])
        return;
    maps.kind->write(&key_a, a, false);
    maps.kind->write(&key_b, b, false);
    void *object_a = *(void **)sh_map_get(maps.map, &key_a);
    void *object_b = *(void **)sh_map_get(maps.map, &key_b);
    uint64_t value = maps.values[a];
    sh_map_set(maps.map, &key_a, &object_b); /* names on the stack must not stay */
    if (value % 2)
        sh_map_delete(maps.map, &key_b);
    write_to_keep(&key_b, b, false);
    sh_map_set(maps.map, &key_b, &object_a);
    write_to_keep(&key_a, a, false);
    sh_map_set(maps.map, &key_a, &object_b);
    maps.values[a] = maps.values[b];
    maps.values[b] = value;
}

static void
compare_maps(size_t kind, uint64_t seed)
{
    struct rng rng = {seed};
    make_map(kind, 0);
    for (size_t step = 0; step < MODEL_STEPS; step++) {
        size_t key = some_key(&rng, step), what = rng_below(&rng, 100);
        check_key(key);
        if (what < (step / 100000 % 2 ? 60 : 25))
            delete_key(key);
        else if (what % 8 != 0)
            set_key(key, false);
        else
            set_by_slot(key, false);
        if (maps.kind->element == KIND_POINTER)
            exchange_objects(some_key(&rng, step), some_key(&rng, step));
        need(sh_map_len(maps.map) == maps.count, "the length is right");
        if (step % 20011 == 0)
            compare_map();
        if (step % 5003 == 0)
            sh_collect();
        if (step % 300007 == 300006)
            clear_map();
    }
}

static void
compare_ints(void)
{
    compare_maps(KEY_WORD, 12345);
}

static void
compare_strings(void)
{
    compare_maps(KEY_STRING_TO_POINTER, 54321);
}

static void
run_compared(const char *part, const char *barrier)
{
    static struct outcome out;
    run_anew(&out, part,
             (const char *const[]){"SH_VERIFY=1", "SH_CLOBBER=1", "SH_GOGC=20",
                                   "SH_MODE=concurrent", barrier, NULL});
    assert_success(&out);
}

static void
test_million_steps_are_those_of_a_model(void **state)
{
    (void)state;
    run_compared("ints", "SH_BARRIER=deletion");
    run_compared("strings", "SH_BARRIER=deletion");
}

static void
test_million_steps_are_right_with_the_other_barrier(void **state)
{
    (void)state;
    run_compared("strings", "SH_BARRIER=insertion");
}

static const struct program_part parts[] = {
    {"ints", compare_ints},
    {"strings", compare_strings},
};

int
main(int argc, char **argv)
{
    if (argc > 1)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_million_steps_are_those_of_a_model),
        cmocka_unit_test(test_million_steps_are_right_with_the_other_barrier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
