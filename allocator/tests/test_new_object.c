/*
 * An object that was just allocated may be filled by plain stores, also when a collection begins
 * between its allocation and the store: spanheap.h allows it until another thread may see the
 * object, and no barrier hears of it.
 *
 * The order of events is fixed: this thread begins the collection, and marks in the place of a
 * background worker, of which there is none. It is begun anew for each barrier.
 */
#include "check.h"

#include "collector/cycle.h"
#include "collector/markers.h"
#include "collector/world.h"

struct box {
    void *slots[8];
};
static const uint64_t box_mask = 0xff;
static const struct sh_type box_type = {"box", sizeof(struct box), &box_mask, 0};

enum { VALUE_B = 500, FILLING = 7 };

static struct box *root;

/* ---- In the program that is begun anew ---- */

static void
put_value_into_root(void *arg)
{
    (void)arg;
    root = sh_alloc_typed(&box_type);
    sh_store(&root->slots[0], memset(sh_alloc_noscan(VALUE_B), FILLING, VALUE_B));
}

static NOINLINE void *
take_value_from_root(void)
{
    void *value = root->slots[0];
    sh_store(&root->slots[0], NULL);
    return value;
}

static void
mark_all(void *arg)
{
    (void)arg;
    markers_work(MARKER_FORCED, UINT64_MAX);
}

static NOINLINE void
fill_when_marking_has_begun(void)
{
    struct box *fresh = sh_alloc_typed(&box_type);
    cycle_begin(SH_TRIGGER_FORCED); /* as any other thread may do here */
    need(cycle_is_marking(), "marking runs beside the program");
    void *value = take_value_from_root(); /* held by this stack alone */
    world_safe_call(mark_all, NULL);      /* as a background worker does */
    fresh->slots[0] = value;
    sh_store(&root->slots[1], fresh);
}

static NOINLINE void
fill_while_marking(void)
{
    cycle_begin(SH_TRIGGER_FORCED);
    need(cycle_is_marking(), "marking runs beside the program");
    struct box *fresh = sh_alloc_typed(&box_type); /* born in the middle */
    void *value = take_value_from_root();
    world_safe_call(mark_all, NULL);
    fresh->slots[0] = value;
    sh_store(&root->slots[1], fresh);
}

static void
play(void (*fill)(void))
{
    sh_collect(); /* this stack has nothing from before main in it */
    run_elsewhere(put_value_into_root, NULL);
    fill();
    collect();
    const unsigned char *value = ((const struct box *)root->slots[1])->slots[0];
    for (size_t i = 0; i < VALUE_B; i++)
        need(value[i] == FILLING, "the value is what it was");
}

static void
part_begun(void)
{
    play(fill_when_marking_has_begun);
}

static void
part_while_marking(void)
{
    play(fill_while_marking);
}

static const struct program_part parts[] = {
    {"begun", part_begun},
    {"while-marking", part_while_marking},
};

/* ---- The tests ---- */

static void
assert_kept_under_both_barriers(const char *part)
{
    static const char *const barriers[] = {"SH_BARRIER=deletion", "SH_BARRIER=insertion"};
    static struct outcome out;
    for (size_t i = 0; i < COUNT_OF(barriers); i++) {
        const char *const environment[] = {barriers[i], "SH_MODE=concurrent", "SH_WORKERS=0",
                                           "SH_CLOBBER=1", NULL};
        run_anew(&out, part, environment);
        if (out.code != 0)
            print_error("%s: ", barriers[i]);
        assert_success(&out);
    }
}

static void
test_plain_store_into_a_new_object_keeps_what_only_the_stack_held(void **state)
{
    (void)state;
    assert_kept_under_both_barriers("begun");
}

static void
test_plain_store_into_an_object_born_while_marking_keeps_the_value(void **state)
{
    (void)state;
    assert_kept_under_both_barriers("while-marking");
}

int
main(int argc, char **argv)
{
    if (argc > 1)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_store_into_a_new_object_keeps_what_only_the_stack_held),
        cmocka_unit_test(test_plain_store_into_an_object_born_while_marking_keeps_the_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
