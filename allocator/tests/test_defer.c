/* Deferred calls: order, size of a record, what a scope holds. */
/* run: native asan tsan */
#include "check.h"

#include "heap/sizeclass.h"

#include <spanheap/panic.h>

enum { KEPT = 32 }; /* records that a thread keeps */

static size_t order[100], calls;

static void
note(void *arg)
{
    order[calls++] = (size_t)(uintptr_t)arg;
}

static void
test_calls_run_newest_first(void **state)
{
    (void)state;
    struct sh_defer_scope scope = {0};
    calls = 0;
    for (uintptr_t i = 1; i <= 50; i++)
        sh_defer(&scope, note, (void *)i);
    assert_int_equal(scope.count, 50);
    assert_int_equal(calls, 0);
    sh_defer_run(&scope);
    assert_int_equal(calls, 50);
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(order[i], 50 - i);
    assert_int_equal(scope.count, 0);
    assert_null(scope.last);
    sh_defer_run(&scope); /* empty: nothing */
    assert_int_equal(calls, 50);
}

static struct sh_defer_scope *outer;

static void
defer_more(void *arg)
{
    note(arg);
    if ((uintptr_t)arg < 5)
        sh_defer(outer, defer_more, (void *)((uintptr_t)arg + 1));
}

static void
test_call_may_defer_further_ones(void **state)
{
    (void)state;
    struct sh_defer_scope scope = {0};
    outer = &scope;
    calls = 0;
    sh_defer(&scope, note, (void *)100);
    sh_defer(&scope, defer_more, (void *)1);
    sh_defer_run(&scope);
    static const size_t expected[] = {1, 2, 3, 4, 5, 100};
    assert_int_equal(calls, COUNT_OF(expected));
    assert_memory_equal(order, expected, sizeof expected);
}

static void
run_inner_scope(void *arg)
{
    struct sh_defer_scope inner = {0};
    note(arg);
    sh_defer(&inner, note, (void *)21);
    sh_defer(&inner, note, (void *)22);
    sh_defer_run(&inner);
}

static void
test_scopes_nest(void **state)
{
    (void)state;
    struct sh_defer_scope scope = {0};
    calls = 0;
    sh_defer(&scope, note, (void *)1);
    sh_defer(&scope, run_inner_scope, (void *)2);
    sh_defer(&scope, note, (void *)3);
    sh_defer_run(&scope);
    static const size_t expected[] = {3, 2, 22, 21, 1};
    assert_int_equal(calls, COUNT_OF(expected));
    assert_memory_equal(order, expected, sizeof expected);
}

static void
test_each_call_takes_a_record_of_80_bytes(void **state)
{
    (void)state;
    struct sh_stats before, after;
    struct sh_defer_scope scope = {0};
    unsigned class = sizeclass_of(80);
    sh_collect();
    sh_set_gogc(SH_GOGC_OFF);
    sh_stats_read(&before);
    for (int i = 0; i < 1000 + KEPT; i++) /* those that earlier tests have left come first */
        sh_defer(&scope, note, NULL);
    sh_stats_read(&after);
    sh_set_gogc(100);
    assert_int_equal(class_size_b[class], 80);
    assert_int_equal(after.by_size[class].mallocs - before.by_size[class].mallocs, 1000);
    assert_int_equal(after.total_alloc_b - before.total_alloc_b, 80000);
}

static uintptr_t hidden[64];

static NOINLINE void
defer_objects(void *scope)
{
    for (size_t i = 0; i < COUNT_OF(hidden); i++) {
        void *p = sh_alloc(500);
        hidden[i] = hide(p);
        sh_defer(scope, note, p);
    }
}

static NOINLINE void
run_scope(void *scope)
{
    calls = 0;
    sh_defer_run(scope);
    memset(order, 0, sizeof order);
}

/* The pitfall itself: nothing is let go before the scope ends. */
static void
test_scope_holds_its_arguments_until_it_is_run(void **state)
{
    (void)state;
    struct sh_defer_scope scope = {0};
    defer_objects(&scope);
    clear_stack();
    sh_collect();
    assert_int_equal(count_alive(hidden, COUNT_OF(hidden)), COUNT_OF(hidden));
    run_scope(&scope);
    assert_int_equal(calls, COUNT_OF(hidden));
    collect();
    assert_int_equal(count_alive(hidden, COUNT_OF(hidden)), 0);
}

static NOINLINE int
leave_early(bool early)
{
    SH_SCOPE(scope);
    struct sh_defer_record record;
    sh_defer(&scope, note, (void *)1);
    sh_defer_record(&scope, &record, note, (void *)2);
    if (early)
        return 1;
    sh_defer(&scope, note, (void *)3);
    return 2;
}

static void
test_scope_ends_with_its_block(void **state)
{
    (void)state;
    static const size_t early[] = {2, 1}, late[] = {3, 2, 1};
    calls = 0;
    assert_int_equal(leave_early(true), 1);
    assert_int_equal(calls, 2);
    assert_memory_equal(order, early, sizeof early);
    calls = 0;
    assert_int_equal(leave_early(false), 2);
    assert_int_equal(calls, 3);
    assert_memory_equal(order, late, sizeof late);
}

/* Whether the newest of n records is an object of the heap. */
static NOINLINE bool
defer_openly(size_t n)
{
    SH_OPEN_SCOPE(scope);
    for (uintptr_t i = 1; i <= n; i++)
        sh_defer_open(&scope, note, (void *)i);
    return sh_object_base(scope.scope.last) != NULL;
}

static void
test_open_records_take_no_memory_up_to_the_eighth(void **state)
{
    (void)state;
    for (size_t n = 7; n <= 10; n++) {
        calls = 0;
        assert_int_equal(defer_openly(n), n > 8);
        assert_int_equal(calls, n);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(order[i], n - i);
    }
}

static NOINLINE int
leave_open_scope(size_t at)
{
    SH_OPEN_SCOPE(scope);
    for (uintptr_t i = 1; i <= 10; i++) {
        if (i == at)
            return (int)i;
        sh_defer_open(&scope, note, (void *)i);
    }
    return 0;
}

static void
test_open_scope_ends_with_an_early_return(void **state)
{
    (void)state;
    for (size_t at = 1; at <= 11; at++) {
        calls = 0;
        assert_int_equal(leave_open_scope(at), at == 11 ? 0 : at);
        assert_int_equal(calls, at - 1);
        for (size_t i = 0; i < calls; i++)
            assert_int_equal(order[i], calls - i);
    }
}

/* ---- Panics that pass by ---- */

static const char *said;

static void
recover_it(void *arg)
{
    note(arg);
    const struct sh_panic_value *value = sh_recover();
    said = value == NULL ? NULL : value->message;
}

/* All three forms at once, with records beyond the eighth. */
static NOINLINE void
panic_past_every_form(void)
{
    SH_OPEN_SCOPE(scope);
    struct sh_defer_record records[2];
    for (uintptr_t i = 1; i <= 9; i++)
        sh_defer_open(&scope, note, (void *)i);
    sh_defer_record(&scope.scope, &records[0], note, (void *)10);
    sh_defer(&scope.scope, note, (void *)11);
    sh_defer_record(&scope.scope, &records[1], note, (void *)12);
    sh_panic("passing by");
}

static NOINLINE bool
survive_it(void (*work)(void))
{
    SH_SCOPE(scope);
    sh_landing landing;
    struct sh_defer_record record;
    if (SH_RECOVERED(scope, landing))
        return true;
    sh_defer_record(&scope, &record, recover_it, (void *)50);
    work();
    return false;
}

static void
test_panic_runs_open_and_stack_records_as_it_passes(void **state)
{
    (void)state;
    static const size_t expected[] = {12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 50};
    for (int round = 0; round < 3; round++) {
        calls = 0;
        assert_true(survive_it(panic_past_every_form));
        assert_string_equal(said, "passing by");
        assert_int_equal(calls, COUNT_OF(expected));
        assert_memory_equal(order, expected, sizeof expected);
    }
}

static NOINLINE int
recover_in_open_scope(void)
{
    SH_OPEN_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope.scope, landing))
        return 1;
    sh_defer_open(&scope, note, (void *)1);
    sh_defer_open(&scope, recover_it, (void *)2);
    sh_defer_open(&scope, note, (void *)3);
    panic_past_every_form();
    return 0;
}

static void
test_open_scope_recovers(void **state)
{
    (void)state;
    static const size_t last[] = {3, 2, 1};
    calls = 0;
    assert_int_equal(recover_in_open_scope(), 1);
    assert_int_equal(calls, 15);
    assert_memory_equal(&order[12], last, sizeof last);
    assert_string_equal(said, "passing by");
}

static NOINLINE void
defer_no_function(void)
{
    SH_OPEN_SCOPE(scope);
    struct sh_defer_record record;
    sh_defer_open(&scope, note, (void *)1);
    sh_defer(&scope.scope, NULL, NULL);
    sh_defer_record(&scope.scope, &record, NULL, NULL);
    sh_defer_open(&scope, NULL, NULL);
    sh_defer(&scope.scope, note, (void *)2);
    note((void *)3); /* nothing has happened yet */
}

/* As in Go: when its turn comes. */
static void
test_no_function_panics_when_it_would_run(void **state)
{
    (void)state;
    static const size_t expected[] = {3, 2, 1, 50};
    calls = 0;
    assert_true(survive_it(defer_no_function));
    assert_int_equal(calls, COUNT_OF(expected));
    assert_memory_equal(order, expected, sizeof expected);
    assert_string_equal(said, "runtime error: invalid memory address or nil pointer dereference: "
                              "sh_defer: call is NULL");
}

static NOINLINE void
defer_many(size_t n)
{
    SH_SCOPE(scope);
    for (size_t i = 0; i < n; i++)
        sh_defer(&scope, note, NULL);
}

static void
test_records_that_have_run_are_used_again(void **state)
{
    (void)state;
    struct sh_stats before, after;
    defer_many(KEPT);
    sh_stats_read(&before);
    for (int i = 0; i < 100; i++) {
        calls = 0;
        defer_many(KEPT);
    }
    sh_stats_read(&after);
    assert_int_equal(after.mallocs, before.mallocs);
    calls = 0;
    defer_many(KEPT + 5);
    sh_stats_read(&after);
    assert_int_equal(after.mallocs, before.mallocs + 5);
}

static void
end_out_of_turn(void *arg)
{
    (void)arg;
    struct sh_defer_scope first = {0}, second = {0};
    sh_defer(&first, note, NULL);
    sh_defer(&second, note, NULL);
    sh_defer_run(&first);
}

static void
test_scope_that_ends_out_of_turn_is_fatal(void **state)
{
    (void)state;
    assert_child_dies(end_out_of_turn, NULL, "a scope that began later has not ended");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_run_newest_first),
        cmocka_unit_test(test_call_may_defer_further_ones),
        cmocka_unit_test(test_scopes_nest),
        cmocka_unit_test(test_each_call_takes_a_record_of_80_bytes),
        cmocka_unit_test(test_scope_holds_its_arguments_until_it_is_run),
        cmocka_unit_test(test_scope_ends_with_its_block),
        cmocka_unit_test(test_open_records_take_no_memory_up_to_the_eighth),
        cmocka_unit_test(test_open_scope_ends_with_an_early_return),
        cmocka_unit_test(test_panic_runs_open_and_stack_records_as_it_passes),
        cmocka_unit_test(test_open_scope_recovers),
        cmocka_unit_test(test_no_function_panics_when_it_would_run),
        cmocka_unit_test(test_records_that_have_run_are_used_again),
        cmocka_unit_test(test_scope_that_ends_out_of_turn_is_fatal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
