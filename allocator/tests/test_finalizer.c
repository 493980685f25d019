/* Finalizers and weak references: what runs, when, on what, and in which order. */
/* run: native asan tsan */
#include "check.h"

#include "collector/background.h"
#include "collector/cycle.h"
#include "collector/markers.h"
#include "collector/verify.h"
#include "collector/world.h"

struct node {
    struct node *next, *other;
    uint64_t number;
};
static const struct sh_type node_type =
    SH_TYPE(struct node, SH_POINTER_AT(struct node, next) | SH_POINTER_AT(struct node, other));

enum { MAX_RAN = 64 };
static uint64_t ran[MAX_RAN];
static size_t nran;
static struct node *volatile kept; /* a root */
static void *volatile ran_with;

/* Finalizers that are due run here, and nowhere else: SH_WORKERS is 0 in this program. */
static size_t
collect_and_run(void)
{
    clear_stack();
    sh_collect();
    return sh_run_finalizers();
}

static void
note(void *object, void *arg)
{
    struct node *n = object;
    ran_with = arg;
    if (nran < MAX_RAN)
        ran[nran++] = n->number;
}

static void
note_and_keep(void *object, void *arg)
{
    note(object, arg);
    kept = object;
}

static NOINLINE struct node *
make_node(uint64_t number, struct node *next)
{
    struct node *n = sh_alloc_typed(&node_type);
    n->number = number;
    sh_store(&n->next, next);
    return n;
}

static void
make_one(void *arg)
{
    sh_set_finalizer(make_node(1, make_node(77, NULL)), note, arg);
}

static int
reset(void **state)
{
    (void)state;
    kept = NULL;
    collect_and_run();
    collect_and_run();
    nran = 0;
    ran_with = NULL;
    return 0;
}

static void
test_finalizer_runs_once_when_nobody_reaches_the_object(void **state)
{
    (void)state;
    run_elsewhere(make_one, NULL);
    assert_int_equal(collect_and_run(), 1);
    assert_int_equal(ran[0], 1);
    assert_int_equal(collect_and_run(), 0);
    assert_int_equal(collect_and_run(), 0);
    assert_int_equal(nran, 1);
}

static void
hold_one(void *arg)
{
    kept = make_node(5, NULL);
    sh_set_finalizer(kept, note, arg);
}

static void
test_finalizer_waits_while_the_object_is_reached(void **state)
{
    (void)state;
    run_elsewhere(hold_one, NULL);
    assert_int_equal(collect_and_run(), 0);
    assert_int_equal(collect_and_run(), 0);
    kept = NULL;
    assert_int_equal(collect_and_run(), 1);
}

static void
test_argument_is_kept_alive_for_the_finalizer(void **state)
{
    (void)state;
    char *arg = sh_alloc_noscan(100);
    strcpy(arg, "still here");
    run_elsewhere(make_one, arg);
    arg = NULL;
    sh_alloc(16);
    assert_int_equal(collect_and_run(), 1);
    assert_string_equal((char *)ran_with, "still here");
}

static void
make_keeper(void *arg)
{
    sh_set_finalizer(make_node(9, make_node(10, NULL)), note_and_keep, arg);
}

static void
test_object_is_whole_and_may_be_stored_again(void **state)
{
    (void)state;
    run_elsewhere(make_keeper, NULL);
    assert_int_equal(collect_and_run(), 1);
    assert_int_equal(collect_and_run(), 0);
    assert_int_equal(kept->number, 9);
    assert_int_equal(kept->next->number, 10);
    uintptr_t hidden = hide(kept);
    assert_true(is_alive(hidden));
    kept = NULL;
    assert_int_equal(collect_and_run(), 0); /* it has no finalizer any more */
    assert_false(is_alive(hidden));
}

static void
make_chain(void *arg)
{
    struct node *last = make_node(3, NULL), *middle = make_node(2, last);
    struct node *first = make_node(1, middle);
    sh_set_finalizer(last, note, arg);
    sh_set_finalizer(middle, note, arg);
    sh_set_finalizer(first, note, arg);
}

static void
test_chain_is_finalized_from_its_head_one_a_cycle(void **state)
{
    (void)state;
    run_elsewhere(make_chain, NULL);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_int_equal(collect_and_run(), 1);
        assert_int_equal(ran[nran - 1], i);
    }
}

static void
make_ring(void *arg)
{
    struct node *a = make_node(1, NULL), *b = make_node(2, a);
    sh_store(&a->next, b);
    sh_set_finalizer(a, note, arg);
}

static void
test_ring_with_a_finalizer_is_never_freed(void **state)
{
    (void)state;
    run_elsewhere(make_ring, NULL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(collect_and_run(), 0);
}

static void
test_finalizer_can_be_taken_back_and_replaced(void **state)
{
    (void)state;
    run_elsewhere(hold_one, NULL);
    sh_set_finalizer(kept, note_and_keep, NULL);
    kept = NULL;
    assert_int_equal(collect_and_run(), 1);
    assert_non_null(kept); /* the second one ran */
    sh_set_finalizer(kept, note, NULL);
    sh_set_finalizer(kept, NULL, NULL);
    kept = NULL;
    assert_int_equal(collect_and_run(), 0);
}

static void
test_free_takes_the_finalizer_off(void **state)
{
    (void)state;
    run_elsewhere(hold_one, NULL);
    struct node *n = kept;
    kept = NULL;
    sh_free(n);
    assert_int_equal(collect_and_run(), 0);
    verify_now();
}

static void
set_wrongly(void *p)
{
    sh_set_finalizer(p, note, NULL);
}

static void
test_only_an_object_s_start_can_have_a_finalizer(void **state)
{
    (void)state;
    char *p = sh_alloc(64);
    assert_child_dies(set_wrongly, p + 8, "is not the start of an object of its own");
    assert_child_dies(set_wrongly, &nran, "is not the start of an object of its own");
    assert_child_dies(set_wrongly, sh_alloc_noscan(3), "is not the start of an object of its own");
}

/* ---- Weak references ---- */

static struct sh_weak *volatile weak; /* a root */

static void
make_weak(void *arg)
{
    (void)arg;
    kept = make_node(6, NULL);
    weak = sh_weak_make(kept);
}

static NOINLINE bool
weak_is_empty(void)
{
    return sh_weak_get(weak) == NULL;
}

static void
get_kept(void *arg)
{
    (void)arg;
    need(kept != NULL && sh_weak_get(weak) == (void *)kept, "it gives its object");
    need(sh_weak_make(kept) == weak, "there is one of an object");
}

static void
test_weak_reference_gives_its_object_and_does_not_keep_it(void **state)
{
    (void)state;
    run_elsewhere(make_weak, NULL);
    clear_stack();
    sh_collect();
    run_elsewhere(get_kept, NULL);
    kept = NULL;
    clear_stack();
    sh_collect();
    assert_true(weak_is_empty());
}

static void
make_weak_with_finalizer(void *arg)
{
    struct node *n = make_node(8, NULL);
    weak = sh_weak_make(n);
    sh_set_finalizer(n, note_and_keep, arg);
}

static void
test_weak_reference_is_empty_before_the_finalizer_runs(void **state)
{
    (void)state;
    run_elsewhere(make_weak_with_finalizer, NULL);
    clear_stack();
    sh_collect();
    assert_true(weak_is_empty());
    assert_int_equal(sh_run_finalizers(), 1);
    assert_true(weak_is_empty());
    assert_int_equal(kept->number, 8);
}

/* A dead object in a span that was not swept yet: the mark decides. */
static void
test_weak_reference_is_empty_although_its_span_is_unswept(void **state)
{
    (void)state;
    run_elsewhere(make_weak, NULL);
    kept = NULL;
    clear_stack();
    cycle_run(SH_TRIGGER_HEAP); /* nobody sweeps: there are no workers */
    assert_true(weak_is_empty());
}

static void
mark_all(void *arg)
{
    markers_work(MARKER_FORCED, UINT64_MAX);
    (void)arg;
}

static NOINLINE struct node *
read_weak_while_marking(void)
{
    struct node *n;
    cycle_begin(SH_TRIGGER_FORCED);
    n = sh_weak_get(weak); /* reached by nobody when marking began */
    world_safe_call(mark_all, NULL);
    return n;
}

static NOINLINE void
revive_through_weak(void)
{
    kept = read_weak_while_marking();
}

static void
test_weak_read_while_marking_keeps_the_object(void **state)
{
    (void)state;
    run_elsewhere(make_weak, NULL);
    kept = NULL;
    clear_stack();
    revive_through_weak();
    clear_stack();
    cycle_run(SH_TRIGGER_HEAP); /* ends the one that runs */
    sh_collect();
    assert_non_null(kept);
    assert_ptr_equal(sh_object_base((const void *)kept), kept);
    assert_int_equal(kept->number, 6);
}

/* ---- The library's thread ---- */

static _Atomic int count;

static void
count_up(void *object, void *arg)
{
    (void)object;
    (void)arg;
    atomic_fetch_add(&count, 1);
}

static void
make_many(void *arg)
{
    (void)arg;
    for (uint64_t i = 0; i < 100; i++)
        sh_set_finalizer(make_node(i, NULL), count_up, NULL);
}

static void
run_on_the_library_s_thread(void)
{
    run_elsewhere(make_many, NULL);
    for (int i = 0; i < 10000 && atomic_load(&count) < 95; i++) {
        sh_collect();
        sh_blocking_begin();
        usleep(1000);
        sh_blocking_end();
    }
    need(atomic_load(&count) >= 95, "finalizers run by themselves");
}

static void
test_finalizers_run_by_themselves(void **state)
{
    (void)state;
    static struct outcome out;
    run_anew(&out, "thread", (const char *const[]){"SH_WORKERS=1", NULL});
    assert_success(&out);
}

int
main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) {
        if (getenv("SH_WORKERS") != NULL && strcmp(argv[1], "thread") == 0)
            run_on_the_library_s_thread();
        return 0;
    }
    background_limit(0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_finalizer_runs_once_when_nobody_reaches_the_object, reset),
        cmocka_unit_test_setup(test_finalizer_waits_while_the_object_is_reached, reset),
        cmocka_unit_test_setup(test_argument_is_kept_alive_for_the_finalizer, reset),
        cmocka_unit_test_setup(test_object_is_whole_and_may_be_stored_again, reset),
        cmocka_unit_test_setup(test_chain_is_finalized_from_its_head_one_a_cycle, reset),
        cmocka_unit_test_setup(test_ring_with_a_finalizer_is_never_freed, reset),
        cmocka_unit_test_setup(test_finalizer_can_be_taken_back_and_replaced, reset),
        cmocka_unit_test_setup(test_free_takes_the_finalizer_off, reset),
        cmocka_unit_test_setup(test_only_an_object_s_start_can_have_a_finalizer, reset),
        cmocka_unit_test_setup(test_weak_reference_gives_its_object_and_does_not_keep_it, reset),
        cmocka_unit_test_setup(test_weak_reference_is_empty_before_the_finalizer_runs, reset),
        cmocka_unit_test_setup(test_weak_reference_is_empty_although_its_span_is_unswept, reset),
        cmocka_unit_test_setup(test_weak_read_while_marking_keeps_the_object, reset),
        cmocka_unit_test(test_finalizers_run_by_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
