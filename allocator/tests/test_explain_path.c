/* Why is it alive: the path, its objects, what is no object, and collections meanwhile. */
#include "explain_check.h"

#include <spanheap/channel.h>
#include <spanheap/closure.h>
#include <spanheap/map.h>
#include <spanheap/slice.h>

#include "collector/cycle.h"

enum { LIST = 1000 };

struct pair {
    void *a, *b;
};
static const struct sh_type pair_type =
    SH_TYPE(struct pair, SH_POINTER_AT(struct pair, a) | SH_POINTER_AT(struct pair, b));
static const struct sh_type int_type = {"int", sizeof(int), NULL, 0};

/* ---- Paths ---- */

static NOINLINE void
make_list(void *arg)
{
    struct node *first = sh_alloc_typed(&node_type), *last = first;
    for (size_t i = 1; i < LIST; i++) {
        last->next = sh_alloc_typed(&node_type);
        last = last->next;
    }
    last->next = first; /* a ring */
    if (arg != NULL) {
        struct node *middle = first;
        for (size_t i = 0; i < LIST / 2; i++)
            middle = middle->next;
        first->next->other = middle; /* a shorter way */
    }
    registry.slot = first;
    hidden = hide(last);
}

static void
test_path_through_a_list_is_complete_and_shortest(void **state)
{
    (void)state;
    run_elsewhere(make_list, NULL);
    assert_int_equal(explain_at(0), SH_EXPLAIN_ALIVE);
    assert_int_equal(nsteps, LIST);
    for (size_t i = 0; i + 1 < nsteps; i++) {
        const struct node *n = steps[i].object;
        assert_ptr_equal(n->next, steps[i + 1].object);
        assert_int_equal(steps[i].offset, offsetof(struct node, next));
        assert_int_equal(steps[i].size, sizeof(struct node));
    }
    run_elsewhere(make_list, &hidden);
    assert_int_equal(explain_at(0), SH_EXPLAIN_ALIVE);
    assert_int_equal(nsteps, 2 + LIST / 2);
    assert_int_equal(steps[1].offset, offsetof(struct node, other));
    assert_last_step_is_the_object();
    registry.slot = NULL;
    assert_int_equal(explain_at(0), SH_EXPLAIN_GARBAGE); /* a ring holds nothing by itself */
}

static void
test_short_array_gets_the_first_steps(void **state)
{
    (void)state;
    struct sh_explain_step *few = steps;
    size_t n = 0;
    run_elsewhere(make_list, NULL);
    memset(few, 0, 3 * sizeof *few);
    assert_int_equal(sh_explain((void *)~hidden, NULL, few, 2, &n), SH_EXPLAIN_ALIVE);
    assert_int_equal(n, LIST);
    assert_ptr_equal(few[0].object, registry.slot);
    assert_ptr_equal(few[1].object, ((struct node *)registry.slot)->next);
    assert_null(few[2].object);
    assert_int_equal(sh_explain((void *)~hidden, NULL, NULL, 0, NULL), SH_EXPLAIN_ALIVE);
    registry.slot = NULL;
}

static NOINLINE void
make_holders(void *arg)
{
    (void)arg;
    struct pair *large = sh_alloc_array(&pair_type, 3000);
    void **untyped = sh_alloc(100);
    registry.slot = large;
    large[2000].b = untyped;
    untyped[5] = sh_alloc_noscan(64);
    hidden = hide(untyped[5]);
}

static void
test_elements_kinds_and_sizes_are_told(void **state)
{
    (void)state;
    run_elsewhere(make_holders, NULL);
    assert_int_equal(explain_at(63), SH_EXPLAIN_ALIVE);
    assert_int_equal(nsteps, 3);
    assert_ptr_equal(steps[0].type, &pair_type);
    assert_int_equal(steps[0].size, sh_round_size(3000 * sizeof(struct pair)));
    assert_int_equal(steps[0].offset, 2000 * sizeof(struct pair) + sizeof(void *));
    assert_int_equal(steps[1].kind, SH_OBJECT_UNTYPED);
    assert_null(steps[1].type);
    assert_int_equal(steps[1].size, 112);
    assert_int_equal(steps[1].offset, 5 * sizeof(void *));
    assert_int_equal(steps[2].kind, SH_OBJECT_NOSCAN);
    assert_int_equal(steps[2].offset, 63);
    registry.slot = NULL;
}

/* ---- Holders of Go's kinds ---- */

static struct sh_slice window;
static struct sh_channel *channel;
static struct sh_map *map;
static struct sh_closure *closure;
static const struct sh_type pointer_type = SH_TYPE(void *, 1);
static const struct sh_type byte_type = {"byte", 1, NULL, 0};
static struct sh_map_type map_type = {.key = &int_type, .element = &pointer_type};
struct captured {
    struct sh_closure closure;
    void *node;
};
static const struct sh_type captured_type =
    SH_TYPE(struct captured, SH_POINTER_AT(struct captured, node));

static NOINLINE void
hold_by_slice(void *arg)
{
    (void)arg;
    struct sh_slice whole = sh_slice_make(&byte_type, 1 << 20, 1 << 20);
    hidden = hide(whole.data);
    window = sh_slice_window(&byte_type, whole, 5000, 5016);
}

static NOINLINE void
hold_by_map(void *arg)
{
    (void)arg;
    void *n;
    make_node(&n);
    map = sh_map_make(&map_type, 0);
    sh_map_set(map, &(int){7}, &n);
}

static NOINLINE void
hold_by_channel(void *arg)
{
    (void)arg;
    void *n;
    make_node(&n);
    channel = sh_channel_make(&pointer_type, 1);
    sh_channel_send(channel, &n);
}

static void
call_nothing(struct sh_closure *self, void *arg)
{
    (void)self;
    (void)arg;
}

static NOINLINE void
hold_by_closure(void *arg)
{
    (void)arg;
    void *n;
    make_node(&n);
    closure = sh_closure_make(&captured_type, &(struct captured){{call_nothing}, n});
}

static void
assert_held_by(void (*hold)(void *arg), const char *symbol, void *slot)
{
    run_elsewhere(hold, NULL);
    assert_int_equal(explain_at(16), SH_EXPLAIN_ALIVE);
    assert_int_equal(root.kind, SH_ROOT_GLOBAL);
    assert_string_equal(root.symbol, symbol);
    assert_int_equal(steps[nsteps - 1].offset, 16);
    assert_last_step_is_the_object();
    *(void *volatile *)slot = NULL;
    assert_int_equal(explain_at(16), SH_EXPLAIN_GARBAGE);
}

static void
test_slice_map_channel_and_closure_are_seen_through(void **state)
{
    (void)state;
    assert_held_by(hold_by_slice, "window", &window.data);
    assert_held_by(hold_by_map, "map", (void *)&map);
    assert_held_by(hold_by_channel, "channel", (void *)&channel);
    assert_held_by(hold_by_closure, "closure", (void *)&closure);
}

/* ---- Types ---- */

struct alike {
    void *first;
    long rest[3];
};
static const struct sh_type alike_type = SH_TYPE(struct alike, 1);
struct twin {
    void *first;
    long rest[3];
};
static const struct sh_type twin_type = SH_TYPE(struct twin, 1);
static void *kept[200];

static NOINLINE void
make_alike(void *arg)
{
    for (size_t i = 0; i < COUNT_OF(kept); i++) {
        kept[i] = sh_alloc_typed(arg == NULL || i % 2 == 0 ? &alike_type : &twin_type);
        hidden = hide(kept[i]);
    }
}

static void
test_type_is_named_where_it_is_known_and_never_wrongly(void **state)
{
    (void)state;
    run_elsewhere(make_alike, NULL);
    assert_int_equal(explain_at(0), SH_EXPLAIN_ALIVE);
    assert_ptr_equal(steps[0].type, &alike_type);
    run_elsewhere(make_alike, &hidden); /* of one shape, in one span */
    assert_int_equal(explain_at(0), SH_EXPLAIN_ALIVE);
    assert_null(steps[0].type);
    assert_int_equal(steps[0].kind, SH_OBJECT_TYPED);
    memset(kept, 0, sizeof kept);
}

/* Of one shape, in turns, over several collections; some are made larger in place, or by moving. */
static void
types_are_kept(void)
{
    for (int round = 0; round < 5; round++) {
        run_elsewhere(make_alike, &hidden);
        for (size_t i = 0; i < COUNT_OF(kept); i += 10)
            kept[i] = sh_realloc_array(&twin_type, kept[i], i % 20 == 0 ? 1 : 3);
        for (size_t i = 0; i < COUNT_OF(kept); i++) {
            const struct sh_type *type = i % 2 == 0 && i % 10 != 0 ? &alike_type : &twin_type;
            assert_int_equal(sh_explain(kept[i], NULL, steps, 1, NULL), SH_EXPLAIN_ALIVE);
            assert_ptr_equal(steps[0].type, type);
        }
        sh_collect();
    }
    remove_folder(NULL);
}

static void
test_type_of_every_object_can_be_kept(void **state)
{
    (void)state;
    static struct outcome out;
    run_anew(&out, "types", (const char *const[]){"SH_TYPES=1", "SH_CLOBBER=1", NULL});
    assert_success(&out);
    run_anew(&out, "types", (const char *const[]){"SH_HEAPDUMP=/dev/null", NULL});
    assert_success(&out);
    run_anew(&out, "types", (const char *const[]){"SH_TYPES=1", "SH_PROFILE_RATE=1000", NULL});
    assert_success(&out);
}

/* ---- Addresses that are no objects' ---- */

static NOINLINE void
make_and_free(void *arg)
{
    (void)arg;
    void *p = fresh_object(300);
    hidden = hide(p);
    sh_free(p);
}

static void
test_null_foreign_and_free_addresses_are_told(void **state)
{
    (void)state;
    int local = 0;
    static const void *const foreign[] = {NULL, &registry, (void *)UINTPTR_MAX};
    for (size_t i = 0; i < COUNT_OF(foreign); i++)
        assert_int_equal(sh_explain(foreign[i], &root, steps, STEPS, &nsteps), SH_EXPLAIN_FOREIGN);
    assert_int_equal(sh_explain(&local, NULL, NULL, 0, &nsteps), SH_EXPLAIN_FOREIGN);
    assert_int_equal(nsteps, 0);
    assert_int_equal(sh_explain(sh_alloc(0), NULL, NULL, 0, NULL), SH_EXPLAIN_FOREIGN);
    run_elsewhere(make_and_free, NULL);
    assert_int_equal(explain_at(0), SH_EXPLAIN_FREE);
    assert_int_equal(nsteps, 0);
    assert_int_equal(root.kind, SH_ROOT_NONE);
}

/* ---- Together with collections ---- */

static void
explain_while_marking(void *arg)
{
    (void)arg;
    run_elsewhere(make_list, NULL);
    for (int i = 0; i < 50; i++) {
        cycle_begin(SH_TRIGGER_FORCED);
        assert_int_equal(explain_at(0), SH_EXPLAIN_ALIVE);
        assert_int_equal(atomic_load(&cycle.phase), PHASE_OFF);
        assert_int_equal(nsteps, LIST);
    }
    collect();
    assert_true(is_alive(hidden));
    registry.slot = NULL;
    assert_int_equal(explain_at(0), SH_EXPLAIN_GARBAGE);
    collect();
    assert_false(is_alive(hidden));
}

static void
test_collection_that_marks_is_finished_first(void **state)
{
    (void)state;
    explain_while_marking(NULL);
}

static struct node *volatile shared[8];
static _Atomic bool is_over;

static void *
churn(void *arg)
{
    struct rng r = {(uintptr_t)arg | 1};
    while (!atomic_load(&is_over)) {
        struct node *n = sh_alloc_typed(&node_type);
        size_t i = rng_below(&r, COUNT_OF(shared));
        n->next = rng_below(&r, 100) == 0 ? NULL : shared[i];
        sh_alloc(rng_below(&r, 2000));
        shared[i] = n;
        if (n->next != NULL && rng_below(&r, 10) == 0) /* by now another may stand in shared[i] */
            sh_store(&n->next->other, n);
    }
    return NULL;
}

static void
explain_beside_threads(void *arg)
{
    (void)arg;
    pthread_t threads[3];
    run_elsewhere(make_list, NULL);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(sh_thread_create(&threads[i], NULL, churn, (void *)(i * 1000)), 0);
    for (int i = 0; i < 25; i++) {
        assert_int_equal(explain_at(0), SH_EXPLAIN_ALIVE);
        assert_int_equal(nsteps, LIST);
        assert_int_equal(sh_heap_dump("/dev/null"), 0);
        sh_explain((void *)shared[i % COUNT_OF(shared)], NULL, NULL, 0, NULL);
        if (i % 10 == 0)
            sh_collect();
    }
    atomic_store(&is_over, true);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        sh_thread_join(threads[i], NULL);
    registry.slot = NULL;
    memset((void *)shared, 0, sizeof shared);
}

static void
test_threads_go_on_beside_it(void **state)
{
    (void)state;
    static struct outcome out;
    static const char *const modes[][3] = {{NULL},
                                           {"SH_MODE=stw", NULL},
                                           {"SH_VERIFY=1", "SH_CLOBBER=1", NULL},
                                           {"SH_BARRIER=insertion", "SH_VERIFY=1", NULL}};
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        run_anew(&out, "beside-threads", modes[i]);
        assert_success(&out);
    }
}

static void
test_every_mode_gives_the_same(void **state)
{
    (void)state;
    static struct outcome out;
    static const char *const modes[][2] = {{"SH_MODE=stw", NULL},
                                           {"SH_BARRIER=insertion", NULL},
                                           {"SH_VERIFY=1", NULL},
                                           {"SH_WORKERS=0", NULL}};
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        run_anew(&out, "while-marking", modes[i]);
        assert_success(&out);
    }
}

/* ---- Text ---- */

static void
print_list(void *arg)
{
    (void)arg;
    run_elsewhere(make_list, NULL);
    sh_explain_print((void *)~hidden, STDERR_FILENO);
    registry.slot = NULL;
    sh_explain_print((char *)~hidden + 3, STDERR_FILENO);
    sh_explain_print(NULL, STDERR_FILENO);
    sh_explain_print(NULL, -1);
}

static void
test_text_names_root_and_objects_and_shortens_lists(void **state)
{
    (void)state;
    static struct outcome out;
    run_in_child(&out, print_list, NULL);
    assert_success(&out);
    static const char *const wanted[] = {
        " is alive: struct node, 64 bytes\n  global variable registry + 24 (",
        "struct node, 64 bytes; points on at offset 0, and so on: 999 such objects\n",
        " is garbage: struct node, 64 bytes, and nothing leads to it\n",
        "\n0x0 is no address of this heap\n",
    };
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        if (strstr(out.text, wanted[i]) == NULL)
            print_error("%s", out.text);
        assert_non_null(strstr(out.text, wanted[i]));
    }
}

static void
while_marking(void)
{
    explain_while_marking(NULL);
    remove_folder(NULL);
}

static void
beside_threads(void)
{
    explain_beside_threads(NULL);
    remove_folder(NULL);
}

int
main(int argc, char **argv)
{
    static const struct program_part parts[] = {{"while-marking", while_marking},
                                                {"types", types_are_kept},
                                                {"beside-threads", beside_threads}};
    if (argc > 1 && make_room(NULL) == 0)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path_through_a_list_is_complete_and_shortest),
        cmocka_unit_test(test_short_array_gets_the_first_steps),
        cmocka_unit_test(test_elements_kinds_and_sizes_are_told),
        cmocka_unit_test(test_slice_map_channel_and_closure_are_seen_through),
        cmocka_unit_test(test_type_is_named_where_it_is_known_and_never_wrongly),
        cmocka_unit_test(test_type_of_every_object_can_be_kept),
        cmocka_unit_test(test_null_foreign_and_free_addresses_are_told),
        cmocka_unit_test(test_collection_that_marks_is_finished_first),
        cmocka_unit_test(test_threads_go_on_beside_it),
        cmocka_unit_test(test_every_mode_gives_the_same),
        cmocka_unit_test(test_text_names_root_and_objects_and_shortens_lists),
    };
    return cmocka_run_group_tests(tests, make_room, remove_folder);
}
