/* run: native */
/*
 * A pointer to nowhere, given to every public function that goes through one: SIGSEGV, as if the
 * program had gone there itself, or a refusal. Nothing hangs, and nothing is done by half.
 * harness/tests/test_declarations.py expects each function here or in test_bad_calls.c.
 */
#include "check.h"

#include "collector/verify.h"

#include <spanheap/channel.h>
#include <spanheap/closure.h>
#include <spanheap/defer.h>
#include <spanheap/explain.h>
#include <spanheap/map.h>
#include <spanheap/panic.h>
#include <spanheap/slice.h>
#include <spanheap/string.h>
#include <spanheap/task.h>

#define NOWHERE ((void *)0x1000)

static const struct sh_type word = {"word", 8, NULL, 0};
static struct sh_map_type map_type = {
    .key = &word, .element = &word, .hash = sh_hash_int64, .equal = sh_equal_int64};
static const struct sh_slice wild_slice = {NOWHERE, 5, 5};
static const struct sh_string wild_string = {NOWHERE, 5};
static uint64_t number = 7;

static struct sh_channel *
channel_with_room(void)
{
    return sh_channel_make(&word, 3);
}

static struct sh_channel *
full_channel(void)
{
    struct sh_channel *c = sh_channel_make(&word, 1);
    sh_channel_send(c, &number);
    return c;
}

static struct sh_map *
map_with_one(void)
{
    struct sh_map *map = sh_map_make(&map_type, 0);
    sh_map_set(map, &number, &number);
    return map;
}

static void *
return_nothing(void *arg)
{
    return arg;
}

static void
do_nothing(void *arg)
{
    (void)arg;
}

static void
wait_for_ever(void *arg)
{
    (void)arg;
    sh_channel_receive(NULL, &number);
}

static pthread_t
started_thread(void)
{
    pthread_t thread;
    need(sh_thread_create(&thread, NULL, return_nothing, NULL) == 0, "a thread is made");
    return thread;
}

static struct sh_select_case
wild_case(void)
{
    return (struct sh_select_case){.channel = NOWHERE};
}

/* What a statement comes to in a process of its own. */
#define CALL(name, statement)                                                                      \
    static void call_##name(void)                                                                  \
    {                                                                                              \
        statement;                                                                                 \
    }
#define FAULTS(X)                                                                                  \
    X(thread_sigmask, sh_thread_sigmask(SIG_BLOCK, NOWHERE, NULL))                                 \
    X(heap_dump, sh_heap_dump(NOWHERE))                                                            \
    X(explain, (sh_explain(sh_alloc(9), NOWHERE, NOWHERE, 1, NOWHERE)))                            \
    X(tasks_leaked, (sh_task_start(wait_for_ever, NULL), sh_tasks_leaked(0, 0, NOWHERE, 1)))       \
    X(thread_create, sh_thread_create(NOWHERE, NULL, return_nothing, NULL))                        \
    X(thread_join, sh_thread_join(started_thread(), NOWHERE))                                      \
    X(pauses_read, (sh_collect(), sh_pauses_read(NOWHERE, 1)))                                     \
    X(pause_histogram_read, sh_pause_histogram_read(0, NOWHERE, NULL, NULL, 0))                    \
    X(profile_read, (sh_profile_set_rate(1), (void)sh_alloc(99), sh_profile_read(NOWHERE, 1)))     \
    X(channel_make, sh_channel_make(NOWHERE, 1))                                                   \
    X(channel_send, sh_channel_send(channel_with_room(), NOWHERE))                                 \
    X(channel_receive, sh_channel_receive(full_channel(), NOWHERE))                                \
    X(channel_try_send, sh_channel_try_send(channel_with_room(), NOWHERE))                         \
    X(channel_try_receive, sh_channel_try_receive(full_channel(), NOWHERE))                        \
    X(channel_close, sh_channel_close(NOWHERE))                                                    \
    X(channel_len, sh_channel_len(NOWHERE))                                                        \
    X(channel_cap, sh_channel_cap(NOWHERE))                                                        \
    X(select, sh_select(NOWHERE, 2, true))                                                         \
    X(select_channel, sh_select((struct sh_select_case[]){wild_case()}, 1, true))                  \
    X(timer_stop, sh_timer_stop(NOWHERE))                                                          \
    X(timer_reset, sh_timer_reset(NOWHERE, 1))                                                     \
    X(ticker_stop, sh_ticker_stop(NOWHERE))                                                        \
    X(ticker_reset, sh_ticker_reset(NOWHERE, 1))                                                   \
    X(closure_make, sh_closure_make(NOWHERE, &number))                                             \
    X(closure_call, sh_closure_call(NOWHERE, NULL))                                                \
    X(box, sh_box(&word, NOWHERE))                                                                 \
    X(defer, sh_defer(NOWHERE, do_nothing, NULL))                                                  \
    X(defer_record, sh_defer_record(NOWHERE, NOWHERE, do_nothing, NULL))                           \
    X(defer_run, sh_defer_run(NOWHERE))                                                            \
    X(scope_land, sh_scope_land(NOWHERE, NOWHERE))                                                 \
    X(panic, sh_panic(NOWHERE))                                                                    \
    X(hash_int32, sh_hash_int32(NOWHERE, 1))                                                       \
    X(equal_int32, sh_equal_int32(NOWHERE, &number))                                               \
    X(hash_int64, sh_hash_int64(NOWHERE, 1))                                                       \
    X(equal_int64, sh_equal_int64(NOWHERE, &number))                                               \
    X(hash_float, sh_hash_float(NOWHERE, 1))                                                       \
    X(equal_float, sh_equal_float(NOWHERE, &number))                                               \
    X(hash_double, sh_hash_double(NOWHERE, 1))                                                     \
    X(equal_double, sh_equal_double(NOWHERE, &number))                                             \
    X(hash_string, sh_hash_string(NOWHERE, 1))                                                     \
    X(equal_string, sh_equal_string(NOWHERE, &wild_string))                                        \
    X(hash_bytes, sh_hash_bytes(NOWHERE, 8, 1))                                                    \
    X(map_make, sh_map_make(NOWHERE, 9))                                                           \
    X(map_len, sh_map_len(NOWHERE))                                                                \
    X(map_get, sh_map_get(map_with_one(), NOWHERE))                                                \
    X(map_set, sh_map_set(map_with_one(), &number, NOWHERE))                                       \
    X(map_slot, sh_map_slot(map_with_one(), NOWHERE))                                              \
    X(map_delete, sh_map_delete(map_with_one(), NOWHERE))                                          \
    X(map_clear, sh_map_clear(NOWHERE))                                                            \
    X(map_iterate, sh_map_iterate(NOWHERE))                                                        \
    X(map_next, sh_map_next(NOWHERE))                                                              \
    X(slice_make, sh_slice_make(NOWHERE, 1, 1))                                                    \
    X(slice_append, sh_slice_append(&word, wild_slice, &number, 1))                                \
    X(slice_append_sized,                                                                          \
      sh_slice_append_sized(&word, (struct sh_slice){0}, NOWHERE, 1, sizeof number))               \
    X(slice_window, sh_slice_window(NOWHERE, wild_slice, 1, 2))                                    \
    X(slice_window3, sh_slice_window3(NOWHERE, wild_slice, 1, 2, 2))                               \
    X(slice_at, sh_slice_at(NOWHERE, wild_slice, 1))                                               \
    X(slice_copy, sh_slice_copy(&word, wild_slice, sh_slice_make(&word, 5, 5)))                    \
    X(slice_clone, sh_slice_clone(&word, wild_slice))                                              \
    X(slice_cap_by, sh_slice_cap_by(0, NOWHERE, 1, 2))                                             \
    X(string_make, sh_string_make(NOWHERE, 5))                                                     \
    X(string_from, sh_string_from(NOWHERE))                                                        \
    X(string_clone, sh_string_clone(wild_string))                                                  \
    X(string_to_c, sh_string_to_c(wild_string))                                                    \
    X(string_at, sh_string_at(wild_string, 1))                                                     \
    X(string_concat, sh_string_concat(wild_string, wild_string))                                   \
    X(string_compare, sh_string_compare(wild_string, sh_string_from("hello")))                     \
    X(string_equal, sh_string_equal(wild_string, sh_string_from("hello")))                         \
    X(string_to_bytes, sh_string_to_bytes(wild_string))                                            \
    X(string_of_bytes, sh_string_of_bytes(wild_slice))                                             \
    X(task_start, (sh_task_start(NOWHERE, NULL), sleep(60)))                                       \
    X(wait_group_add, sh_wait_group_add(NOWHERE, 1))                                               \
    X(wait_group_done, sh_wait_group_done(NOWHERE))                                                \
    X(wait_group_wait, sh_wait_group_wait(NOWHERE))                                                \
    X(tasks_read, (sh_task_start(wait_for_ever, NULL), sh_tasks_read(0, NOWHERE, 1)))

FAULTS(CALL)

static void *
exit_with(void *result)
{
    sh_thread_exit(result);
}

/* The system refuses these, or they ask nothing of the pointer. */
static void
live_on(void)
{
    struct sh_explain_root root;
    struct sh_explain_step step;
    size_t n = 0;
    need(sh_trace_start() == 0 && sh_trace_write(NOWHERE) != 0, "no trace is written nowhere");
    need(sh_profile_write(NOWHERE) != 0, "nor a profile");
    need(sh_explain(NOWHERE, &root, &step, 1, &n) == SH_EXPLAIN_FOREIGN, "there is no object");
    sh_explain_print(NOWHERE, STDERR_FILENO);
    sh_poison(NOWHERE, 64);
    sh_unpoison(NOWHERE, 64);
    need(sh_string_sub(wild_string, 1, 3).len == 2, "a window is made without a look");
    pthread_t thread;
    void *result = NULL;
    need(sh_thread_create(&thread, NULL, exit_with, NOWHERE) == 0, "a thread is made");
    need(sh_thread_join(thread, &result) == 0 && result == NOWHERE, "its result is anything");
    sh_collect();
    verify_now();
}

static void
panic_with_anything(void)
{
    sh_panic_value(NOWHERE);
}

#define PART(name, statement) {"sh_" #name, call_##name},
static const struct program_part parts[] = {
    FAULTS(PART){"live on", live_on},
    {"panic", panic_with_anything},
};

/* Anew: in a child of this process cmocka would catch the signal. */
static void
test_going_nowhere_is_a_segmentation_fault(void **state)
{
    (void)state;
    static struct outcome out;
    unsigned wrong = 0;
    for (size_t i = 0; strcmp(parts[i].name, "live on") != 0; i++) {
        run_anew(&out, parts[i].name, NULL);
        if (out.code != 128 + SIGSEGV) {
            print_error("%s ended with %d: %s\n", parts[i].name, out.code, out.text);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void
test_what_asks_nothing_of_a_pointer_lives_on(void **state)
{
    (void)state;
    static struct outcome out;
    run_anew(&out, "live on", NULL);
    assert_success(&out);
    run_anew(&out, "panic", NULL);
    assert_int_equal(out.code, 128 + SIGABRT);
    assert_non_null(strstr(out.text, "panic: value 0x1000"));
}

int
main(int argc, char **argv)
{
    if (argc > 1)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_going_nowhere_is_a_segmentation_fault),
        cmocka_unit_test(test_what_asks_nothing_of_a_pointer_lives_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
