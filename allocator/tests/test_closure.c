/* Closures: what is captured by value is a copy, by reference is shared, and all of it is kept. */
#include "check.h"

#include <spanheap/closure.h>

static const struct sh_type int_type = {"int", sizeof(int), NULL, 0};

struct adder {
    struct sh_closure closure;
    int *total;
    int step;
};
static const struct sh_type adder_type = SH_TYPE(struct adder, SH_POINTER_AT(struct adder, total));

static void
add(struct sh_closure *self, void *arg)
{
    struct adder *captured = (struct adder *)self;
    *captured->total += captured->step * (arg == NULL ? 1 : *(int *)arg);
}

static void
test_values_are_copied_and_references_shared(void **state)
{
    (void)state;
    int three = 3, *total = sh_box(&int_type, &three);
    struct adder captured = {{add}, total, 5};
    struct sh_closure *first = sh_closure_make(&adder_type, &captured);
    captured.step = 100;
    struct sh_closure *second = sh_closure_make(&adder_type, &captured);
    sh_closure_call(first, NULL);
    sh_closure_call(second, NULL);
    sh_closure_call(first, &three);
    assert_int_equal(*total, 3 + 5 + 100 + 15);
    assert_int_equal(*(int *)sh_box(&int_type, NULL), 0);
}

struct holder {
    struct sh_closure closure;
    char *large, *used;
};
static const struct sh_type holder_type = SH_TYPE(
    struct holder, SH_POINTER_AT(struct holder, large) | SH_POINTER_AT(struct holder, used));

static void
use(struct sh_closure *self, void *arg)
{
    *(char *)arg = ((struct holder *)self)->used[0];
}

static uintptr_t hidden;
static struct sh_closure *kept;

static void
capture_too_much(void *arg)
{
    (void)arg;
    struct holder captured = {{use}, fresh_object(1 << 20), fresh_object(16)};
    hidden = hide(captured.large);
    captured.used[0] = 'x';
    sh_store(&kept, sh_closure_make(&holder_type, &captured));
}

/* The pitfall itself: what a closure has captured lives as long as it does, used or not. */
static void
test_closure_keeps_all_that_it_has_captured(void **state)
{
    (void)state;
    char got = 0;
    run_elsewhere(capture_too_much, NULL);
    collect();
    assert_true(is_alive(hidden));
    sh_closure_call(kept, &got);
    assert_int_equal(got, 'x');
    sh_store(&kept, NULL);
    collect();
    assert_false(is_alive(hidden));
}

static void
call_nothing(void *arg)
{
    sh_closure_call(arg, NULL);
}

static void
call_without_function(void *arg)
{
    (void)arg;
    struct adder captured = {{NULL}, NULL, 0};
    sh_closure_call(sh_closure_make(&adder_type, &captured), NULL);
}

static void
make_of_small_type(void *arg)
{
    (void)arg;
    struct adder captured = {{add}, NULL, 0};
    sh_closure_make(&int_type, &captured);
}

static void
test_mistakes_end_with_a_message(void **state)
{
    (void)state;
    assert_child_panics(call_nothing, NULL,
                        "runtime error: invalid memory address or nil pointer dereference: "
                        "sh_closure_call: c is NULL\n");
    assert_child_panics(call_without_function, NULL,
                        "runtime error: invalid memory address or nil pointer dereference: "
                        "sh_closure_call: c->function is NULL\n");
    assert_child_dies(make_of_small_type, NULL, "type int does not begin with");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_copied_and_references_shared),
        cmocka_unit_test(test_closure_keeps_all_that_it_has_captured),
        cmocka_unit_test(test_mistakes_end_with_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
