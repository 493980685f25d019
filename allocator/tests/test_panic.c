/* Panics: order, who recovers, panics within panics, what is printed. Each case was checked against
   a Go program of the same shape (see the fidelity run). */
/* run: native asan tsan */
#include "check.h"

#include <spanheap/panic.h>

static char log_text[1024];
static const struct sh_panic_value *recovered;

static void
say(void *word)
{
    strcat(log_text, (const char *)word);
    strcat(log_text, " ");
}

static void
recover_it(void *arg)
{
    (void)arg;
    const struct sh_panic_value *value = sh_recover();
    strcat(log_text, value == NULL ? "nil " : "recover ");
    if (value != NULL)
        recovered = value;
}

static void
begin(void)
{
    log_text[0] = '\0';
    recovered = NULL;
}

static NOINLINE void
deepest(const char *message)
{
    SH_SCOPE(scope);
    sh_defer(&scope, say, "deepest");
    sh_panic("%s %d", message, 7);
}

static NOINLINE void
deeper(const char *message)
{
    SH_SCOPE(scope);
    sh_defer(&scope, say, "deeper1");
    sh_defer(&scope, say, "deeper2");
    deepest(message);
    say("not reached");
}

static NOINLINE int
survive(void)
{
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing)) {
        say("landed");
        return 1;
    }
    sh_defer(&scope, say, "last");
    sh_defer(&scope, recover_it, NULL);
    sh_defer(&scope, say, "first");
    deeper("too deep");
    return 0;
}

static void
test_panic_runs_deferred_calls_outwards_until_one_recovers(void **state)
{
    (void)state;
    begin();
    assert_int_equal(survive(), 1);
    assert_string_equal(log_text, "deepest deeper2 deeper1 first recover landed last ");
    assert_string_equal(recovered->message, "too deep 7");
    assert_null(recovered->value);
    assert_false(recovered->is_runtime);
    assert_null(sh_recover());
    begin();
    assert_int_equal(survive(), 1); /* and again */
}

static NOINLINE int
survive_value(void *value)
{
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return 1;
    sh_defer(&scope, recover_it, NULL);
    sh_panic_value(value);
}

static void
test_any_value_can_be_thrown(void **state)
{
    (void)state;
    int thing = 5;
    begin();
    assert_int_equal(survive_value(&thing), 1);
    assert_ptr_equal(recovered->value, &thing);
    assert_null(recovered->message);
}

/* Nothing is to recover: in a normal exit, twice, or in a scope that a normal exit runs. */
static NOINLINE void
end_normally(void *arg)
{
    (void)arg;
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return;
    sh_defer(&scope, recover_it, NULL);
}

static NOINLINE int
recover_twice(void)
{
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return 1;
    sh_defer(&scope, recover_it, NULL); /* nil: it is over */
    sh_defer(&scope, recover_it, NULL);
    sh_defer(&scope, end_normally, NULL); /* nil: that scope ends normally */
    sh_panic("once");
}

static void
test_recover_says_nothing_where_nothing_is_to_recover(void **state)
{
    (void)state;
    begin();
    end_normally(NULL);
    assert_string_equal(log_text, "nil ");
    begin();
    assert_int_equal(recover_twice(), 1);
    assert_string_equal(log_text, "nil recover nil ");
}

static void
panic_anew(void *message)
{
    say(message);
    sh_panic("%s", (const char *)message);
}

static NOINLINE int
replace_panic(void)
{
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return 1;
    sh_defer(&scope, recover_it, NULL);
    sh_defer(&scope, say, "between");
    sh_defer(&scope, panic_anew, "second");
    sh_panic("first");
}

static void
test_panic_in_a_deferred_call_takes_the_place_of_the_first(void **state)
{
    (void)state;
    begin();
    assert_int_equal(replace_panic(), 1);
    assert_string_equal(log_text, "second between recover ");
    assert_string_equal(recovered->message, "second");
}

static void
recover_inside(void *arg)
{
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing)) {
        say("inside");
        return;
    }
    sh_defer(&scope, recover_it, NULL);
    panic_anew(arg);
}

static NOINLINE int
recover_both(void)
{
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return 1;
    sh_defer(&scope, recover_it, NULL);
    sh_defer(&scope, recover_inside, "inner");
    sh_panic("outer");
}

static void
test_inner_panic_that_is_recovered_lets_the_outer_one_go_on(void **state)
{
    (void)state;
    begin();
    assert_int_equal(recover_both(), 1);
    assert_string_equal(log_text, "inner recover inside recover ");
    assert_string_equal(recovered->message, "outer");
}

/* The landing is left once; a panic while the rest runs goes further out. */
static NOINLINE int
panic_after_landing(void)
{
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return 1;
    sh_defer(&scope, panic_anew, "late");
    sh_defer(&scope, recover_it, NULL);
    sh_panic("early");
}

static NOINLINE int
survive_late_panic(void)
{
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return 2;
    sh_defer(&scope, recover_it, NULL);
    return panic_after_landing();
}

static void
test_panic_after_a_recovery_goes_further_out(void **state)
{
    (void)state;
    begin();
    assert_int_equal(survive_late_panic(), 2);
    assert_string_equal(log_text, "recover late recover ");
    assert_string_equal(recovered->message, "late");
}

static NOINLINE int
recover_without_landing(void)
{
    SH_SCOPE(scope);
    sh_defer(&scope, recover_it, NULL);
    sh_panic("on");
}

static NOINLINE int
survive_further_out(void)
{
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return 1;
    sh_defer(&scope, recover_it, NULL);
    return recover_without_landing();
}

static void
test_scope_without_landing_does_not_recover(void **state)
{
    (void)state;
    begin();
    assert_int_equal(survive_further_out(), 1);
    assert_string_equal(log_text, "nil recover ");
}

static void
nobody_recovers(void *arg)
{
    (void)arg;
    SH_SCOPE(scope);
    sh_defer(&scope, panic_anew, "second");
    deeper("first");
}

static void
nobody_recovers_a_value(void *arg)
{
    (void)arg;
    sh_panic_value((void *)0x1230);
}

static void
panic_again(void *arg)
{
    (void)arg;
    const struct sh_panic_value *value = sh_recover();
    sh_panic("again %s", value->message);
}

static void
recovered_and_panics_again(void *arg)
{
    (void)arg;
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return;
    sh_defer(&scope, panic_again, NULL);
    sh_panic("first");
}

static void
test_panic_that_nobody_recovers_ends_the_program_with_all_messages(void **state)
{
    (void)state;
    static struct outcome out;
    assert_child_panics(nobody_recovers, NULL, "first 7\n\tpanic: second\n\nthread ");
    assert_child_panics(nobody_recovers_a_value, NULL, "value 0x1230\n");
    assert_child_panics(recovered_and_panics_again, NULL,
                        "first [recovered]\n\tpanic: again first\n");
    run_in_child(&out, nobody_recovers, NULL);
    assert_non_null(strstr(out.text, "    panic_anew+0x")); /* static: not a dynamic symbol */
    assert_non_null(strstr(out.text, "    deepest+0x"));
    assert_non_null(strstr(out.text, " (test_panic-"));
}

static void
panic_in_thread(void *arg)
{
    *(int *)arg = survive();
}

static void
test_each_thread_has_panics_of_its_own(void **state)
{
    (void)state;
    int landed = 0;
    begin();
    run_elsewhere(panic_in_thread, &landed);
    assert_int_equal(landed, 1);
}

/* What a panic says lives as long as somebody holds it. */
static void
test_message_is_an_object_of_the_heap(void **state)
{
    (void)state;
    begin();
    assert_int_equal(survive(), 1);
    collect();
    assert_string_equal(recovered->message, "too deep 7");
    assert_non_null(sh_object_base(recovered));
    char long_text[600];
    memset(long_text, 'x', sizeof long_text);
    long_text[sizeof long_text - 1] = '\0';
    begin();
    assert_int_equal(survive_value(long_text), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_panic_runs_deferred_calls_outwards_until_one_recovers),
        cmocka_unit_test(test_any_value_can_be_thrown),
        cmocka_unit_test(test_recover_says_nothing_where_nothing_is_to_recover),
        cmocka_unit_test(test_panic_in_a_deferred_call_takes_the_place_of_the_first),
        cmocka_unit_test(test_inner_panic_that_is_recovered_lets_the_outer_one_go_on),
        cmocka_unit_test(test_panic_after_a_recovery_goes_further_out),
        cmocka_unit_test(test_scope_without_landing_does_not_recover),
        cmocka_unit_test(test_panic_that_nobody_recovers_ends_the_program_with_all_messages),
        cmocka_unit_test(test_each_thread_has_panics_of_its_own),
        cmocka_unit_test(test_message_is_an_object_of_the_heap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
