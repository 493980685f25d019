/* run: native asan tsan */
/*
 * NULL, given to every function of the types that goes through a pointer: a panic that names the
 * function and the argument, and can be recovered. What takes NULL, as Go's types do, is at the
 * end. harness/tests/test_declarations.py expects each of these functions here.
 */
#include "check.h"

#include <spanheap/channel.h>
#include <spanheap/closure.h>
#include <spanheap/defer.h>
#include <spanheap/map.h>
#include <spanheap/panic.h>
#include <spanheap/pool.h>
#include <spanheap/slice.h>
#include <spanheap/string.h>
#include <spanheap/task.h>

static const struct sh_type word = {"word", 8, NULL, 0};
static const struct sh_type nothing = {"nothing", 0, NULL, 0};
static const struct sh_slice no_array = {NULL, 5, 5};
static const struct sh_string no_bytes = {NULL, 5};
static struct sh_map_type map_type = {
    .key = &word, .element = &word, .hash = sh_hash_int64, .equal = sh_equal_int64};
static uint64_t number = 7;
static void *volatile none; /* the compiler does not know that it is NULL */

static struct sh_channel *
channel(void)
{
    return sh_channel_make(&word, 1);
}

static struct sh_map *
map_with_one(void)
{
    struct sh_map *map = sh_map_make(&map_type, 0);
    sh_map_set(map, &number, &number);
    return map;
}

static void
call_nothing(void)
{
    struct sh_closure without = {NULL};
    sh_closure_call(sh_closure_make(&word, &without), NULL);
}

static void
send_nothing(void)
{
    struct sh_select_case cases[] = {{channel(), NULL, SH_SELECT_SEND, false}};
    sh_select(cases, 1, false);
}

static void
append_without_type(void)
{
    const struct sh_type *type = none;
    SH_SLICE_OF(uint64_t) s = {.any = sh_slice_make(&word, 0, 5)};
    sh_append(type, &s, 7);
}

static void
do_nothing(void *arg)
{
    (void)arg;
}

#define REFUSALS(X)                                                                                \
    X(sh_channel_make(none, 1), "sh_channel_make: element")                                        \
    X(sh_channel_send(channel(), none), "sh_channel_send: value")                                  \
    X(sh_channel_try_send(channel(), none), "sh_channel_try_send: value")                          \
    X(sh_select(none, 2, true), "sh_select: cases")                                                \
    X(send_nothing(), "sh_select: the value of a case that sends")                                 \
    X(sh_timer_stop(none), "sh_timer_stop: timer")                                                 \
    X(sh_timer_reset(none, 1), "sh_timer_reset: timer")                                            \
    X(sh_ticker_stop(none), "sh_ticker_stop: ticker")                                              \
    X(sh_ticker_reset(none, 1), "sh_ticker_reset: ticker")                                         \
    X(sh_closure_make(none, &number), "sh_closure_make: type")                                     \
    X(sh_closure_make(&word, none), "sh_closure_make: captured")                                   \
    X(sh_closure_call(none, NULL), "sh_closure_call: c")                                           \
    X(call_nothing(), "sh_closure_call: c->function")                                              \
    X(sh_box(none, &number), "sh_box: type")                                                       \
    X(sh_defer(none, do_nothing, NULL), "sh_defer: scope")                                         \
    X(sh_defer_open(none, do_nothing, NULL), "sh_defer: scope")                                    \
    X(sh_defer_record(none, none, do_nothing, NULL), "sh_defer_record: scope")                     \
    X(sh_defer_record(&(struct sh_defer_scope){0}, none, do_nothing, NULL),                        \
      "sh_defer_record: record")                                                                   \
    X(sh_defer_run(none), "sh_defer_run: scope")                                                   \
    X(sh_scope_land(none, NULL), "SH_RECOVERED: scope")                                            \
    X(sh_scope_land(&(struct sh_defer_scope){0}, none), "SH_RECOVERED: landing")                   \
    X(sh_panic((const char *)none), "sh_panic: format")                                            \
    X(sh_pool_get(none), "sh_pool_get: pool")                                                      \
    X(sh_pool_put(none, &number), "sh_pool_put: pool")                                             \
    X(sh_map_make(none, 9), "sh_map_make: type")                                                   \
    X(sh_map_get(map_with_one(), none), "sh_map_get: key")                                         \
    X(sh_map_set(map_with_one(), none, &number), "sh_map_set: key")                                \
    X(sh_map_slot(map_with_one(), none), "sh_map_slot: key")                                       \
    X(sh_map_delete(map_with_one(), none), "sh_map_delete: key")                                   \
    X(sh_map_next(none), "sh_map_next: it")                                                        \
    X(sh_hash_int32(none, 1), "sh_hash_int32: key")                                                \
    X(sh_hash_int64(none, 1), "sh_hash_int64: key")                                                \
    X(sh_hash_float(none, 1), "sh_hash_float: key")                                                \
    X(sh_hash_double(none, 1), "sh_hash_double: key")                                              \
    X(sh_hash_string(none, 1), "sh_hash_string: key")                                              \
    X(sh_hash_bytes(none, 3, 1), "sh_hash_bytes: data")                                            \
    X(sh_equal_int32(none, &number), "sh_equal_int32: a")                                          \
    X(sh_equal_int64(&number, none), "sh_equal_int64: b")                                          \
    X(sh_equal_float(&number, none), "sh_equal_float: b")                                          \
    X(sh_equal_double(none, &number), "sh_equal_double: a")                                        \
    X(sh_equal_string(none, &no_bytes), "sh_equal_string: a")                                      \
    X(sh_slice_make(none, 1, 1), "sh_slice_make: element")                                         \
    X(sh_slice_append(none, no_array, &number, 1), "sh_slice_append: element")                     \
    X(sh_slice_append(&word, (struct sh_slice){NULL, 0, 5}, &number, 1),                           \
      "sh_slice_append: the array of a slice with capacity")                                       \
    X(sh_slice_append(&word, no_array, &number, 1),                                                \
      "sh_slice_append: the array of a slice with elements")                                       \
    X(sh_slice_append_sized(none, no_array, &number, 1, 8), "sh_append: element")                  \
    X(append_without_type(), "sh_append: element")                                                 \
    X(sh_slice_window(none, no_array, 1, 2), "sh_slice_window: element")                           \
    X(sh_slice_window3(none, no_array, 1, 2, 3), "sh_slice_window3: element")                      \
    X(sh_slice_at(none, no_array, 1), "sh_slice_at: element")                                      \
    X(sh_slice_at(&word, no_array, 1), "sh_slice_at: the array of a slice with elements")          \
    X(sh_slice_copy(none, no_array, no_array), "sh_slice_copy: element")                           \
    X(sh_slice_copy(&word, no_array, no_array), "sh_slice_copy: the array of dst")                 \
    X(sh_slice_copy(&word, sh_slice_make(&word, 1, 1), no_array),                                  \
      "sh_slice_copy: the array of src")                                                           \
    X(sh_slice_clone(none, no_array), "sh_slice_clone: element")                                   \
    X(sh_slice_clone(&word, no_array), "sh_slice_clone: the array of a slice with elements")       \
    X(sh_slice_cap_by(SH_SLICE_GO_1_18, none, 1, 2), "sh_slice_cap_by: element")                   \
    X(sh_string_make(none, 5), "sh_string_make: data")                                             \
    X(sh_string_from(none), "sh_string_from: text")                                                \
    X(sh_string_clone(no_bytes), "sh_string_make: data")                                           \
    X(sh_string_to_c(no_bytes), "sh_string_to_c: s.data")                                          \
    X(sh_string_at(no_bytes, 1), "sh_string_at: s.data")                                           \
    X(sh_string_concat(no_bytes, SH_STRING("x")), "sh_string_concat: a.data")                      \
    X(sh_string_compare(SH_STRING("x"), no_bytes), "sh_string_compare: b.data")                    \
    X(sh_string_equal(SH_STRING("12345"), no_bytes), "sh_string_equal: b.data")                    \
    X(sh_string_to_bytes(no_bytes), "sh_string_to_bytes: s.data")                                  \
    X(sh_string_of_bytes(no_array), "sh_string_make: data")                                        \
    X(sh_wait_group_add(none, 1), "sh_wait_group_add: group")                                      \
    X(sh_wait_group_done(none), "sh_wait_group_done: group")                                       \
    X(sh_wait_group_wait(none), "sh_wait_group_wait: group")                                       \
    X(sh_tasks_read(0, none, 1), "sh_tasks_read: out")                                             \
    X(sh_tasks_leaked(0, 0, none, 1), "sh_tasks_leaked: out")

static const struct sh_panic_value *caught;

static void
catch_it(void *arg)
{
    (void)arg;
    caught = sh_recover();
}

enum { COUNTED_FROM = __COUNTER__ + 1 };
#define CASE(statement, what)                                                                      \
    case __COUNTER__ - COUNTED_FROM:                                                               \
        (void)(statement);                                                                         \
        break;
#define WHAT(statement, what) what,
static const char *const refused[] = {REFUSALS(WHAT)};

static NOINLINE bool
is_refused(size_t i)
{
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing))
        return true;
    sh_defer(&scope, catch_it, NULL);
    switch (i) {
        REFUSALS(CASE)
    }
    return false;
}

static void
test_null_is_refused_by_a_panic_that_names_it(void **state)
{
    (void)state;
    char expected[200];
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        snprintf(expected, sizeof expected,
                 "runtime error: invalid memory address or nil pointer dereference: %s is NULL",
                 refused[i]);
        caught = NULL;
        if (!is_refused(i) || caught == NULL) {
            fail_msg("%s: no panic", refused[i]);
            return;
        }
        assert_string_equal(caught->message, expected);
        assert_true(caught->is_runtime);
    }
    sh_collect();
}

static void
test_null_that_go_takes_is_taken(void **state)
{
    (void)state;
    static struct sh_pool pool;
    struct sh_channel *c = channel(), *empty = sh_channel_make(&nothing, 1);
    sh_channel_send(c, &number);
    assert_true(sh_channel_receive(c, NULL));
    sh_channel_send(empty, NULL); /* there is nothing to copy */
    assert_true(sh_channel_receive(empty, NULL));
    assert_int_equal(sh_channel_try_receive(NULL, NULL), SH_CHANNEL_WOULD_WAIT);
    assert_int_equal(sh_channel_len(NULL) + sh_channel_cap(NULL), 0);
    assert_int_equal(sh_select(NULL, 0, true), SH_SELECT_NONE);
    sh_pool_put(&pool, NULL);
    sh_map_set(map_with_one(), &number, NULL);
    sh_map_clear(NULL);
    assert_int_equal(sh_map_len(NULL), 0);
    struct sh_map_iterator it = sh_map_iterate(NULL);
    assert_false(sh_map_next(&it));
    assert_int_equal(sh_slice_append(&word, (struct sh_slice){0}, NULL, 2).len, 2);
    assert_int_equal(sh_string_make(NULL, 0).len, 0);
    assert_int_equal(sh_string_sub((struct sh_string){NULL, 0}, 0, 0).len, 0);
    assert_int_equal(sh_tasks_read(0, NULL, 0), 0);
    assert_true(sh_hash_bytes(NULL, 0, 1) == sh_hash_bytes("", 0, 1));
}

static void
close_nothing(void *arg)
{
    sh_channel_close(arg);
}

static void
test_closing_a_nil_channel_has_words_of_its_own(void **state)
{
    (void)state;
    skip_under_tsan();
    assert_child_panics(close_nothing, NULL, "close of nil channel\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_null_is_refused_by_a_panic_that_names_it),
        cmocka_unit_test(test_null_that_go_takes_is_taken),
        cmocka_unit_test(test_closing_a_nil_channel_has_words_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
