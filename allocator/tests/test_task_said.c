/* What is said of tasks: a panic names its task, a leak check those that are left. */
/* run: native asan */
#include "check.h"

#include <spanheap/channel.h>
#include <spanheap/panic.h>
#include <spanheap/task.h>

static const struct sh_type int_type = {"int", sizeof(int), NULL, 0};
static struct outcome out;

/* ---- A panic ---- */

static void
panic_at_once(void *arg)
{
    sh_panic("%s", (const char *)arg);
}

static void
start_one_that_panics(void *arg)
{
    sh_task_start(panic_at_once, arg);
    sh_task_sleep(UINT64_C(60000000000));
}

static void
panic_in_a_task_of_a_task(void *arg)
{
    sh_task_start(start_one_that_panics, arg);
    sh_task_sleep(UINT64_C(60000000000));
}

static void
test_panic_in_a_task_names_it_and_where_it_was_started(void **state)
{
    (void)state;
    run_in_child(&out, start_one_that_panics, "alone");
    assert_int_equal(out.code, 128 + SIGABRT);
    assert_non_null(strstr(out.text, "panic: alone\n\ntask 1 on thread "));
    assert_non_null(strstr(out.text, " [running]:\n    "));
    assert_non_null(strstr(out.text, "\n    panic_at_once+0x"));
    assert_non_null(strstr(out.text, "\n    started at start_one_that_panics+0x"));
    run_in_child(&out, panic_in_a_task_of_a_task, "second");
    assert_non_null(strstr(out.text, "panic: second\n\ntask 2 on thread "));
    assert_non_null(strstr(out.text, "\n    started by task 1 at start_one_that_panics+0x"));
}

static void
test_panic_in_a_thread_names_the_thread(void **state)
{
    (void)state;
    run_in_child(&out, panic_at_once, "in a thread");
    assert_non_null(strstr(out.text, "panic: in a thread\n\nthread "));
    assert_non_null(strstr(out.text, " [running]:\n    "));
    assert_non_null(strstr(out.text, "\n    panic_at_once+0x"));
    assert_null(strstr(out.text, "started at"));
}

/* ---- A leak ---- */

static void
wait_for_channel(void *channel)
{
    sh_channel_receive(channel, NULL);
}

static void
wait_for_group(void *group)
{
    sh_wait_group_wait(group);
}

static void
sleep_shortly(void *arg)
{
    (void)arg;
    sh_task_sleep(20000000);
}

static NOINLINE void
start_leaks(struct sh_channel *c, struct sh_wait_group *group)
{
    sh_task_start(wait_for_group, group);
    sh_task_start(wait_for_channel, c);
}

static void
read_file(FILE *file, char *text, size_t size)
{
    rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

static void
test_leak_check_prints_those_that_are_left_and_no_others(void **state)
{
    (void)state;
    static struct sh_wait_group group;
    char text[4000];
    FILE *file = tmpfile();
    struct sh_channel *earlier = sh_channel_make(&int_type, 0);
    struct sh_channel *c = sh_channel_make(&int_type, 0);
    sh_task_start(wait_for_channel, earlier); /* not of the test's */
    uint64_t before = sh_tasks_newest();
    sh_wait_group_add(&group, 1);
    start_leaks(c, &group);
    sh_task_start(sleep_shortly, NULL); /* ends while the check waits */
    assert_int_equal(sh_tasks_print_leaked(fileno(file), before, 2000000000), 2);
    read_file(file, text, sizeof text);
    char head[64];
    snprintf(head, sizeof head, "task %llu [semacquire]:\n    waits at wait_for_group+0x",
             (unsigned long long)before + 1);
    assert_int_equal(strncmp(text, head, strlen(head)), 0);
    snprintf(head, sizeof head, "\ntask %llu [chan receive]:\n    waits at wait_for_channel+0x",
             (unsigned long long)before + 2);
    assert_non_null(strstr(text, head));
    assert_non_null(strstr(text, "\n    runs wait_for_group+0x"));
    assert_non_null(strstr(text, "\n    started at start_leaks+0x"));
    assert_null(strstr(text, "sleep"));
    snprintf(head, sizeof head, "task %llu ", (unsigned long long)before);
    assert_null(strstr(text, head));
    sh_wait_group_done(&group);
    sh_channel_close(c);
    file = tmpfile();
    assert_int_equal(sh_tasks_print_leaked(fileno(file), before, 2000000000), 0);
    read_file(file, text, sizeof text);
    assert_string_equal(text, "");
    sh_channel_close(earlier);
    assert_int_equal(sh_tasks_leaked(0, 2000000000, NULL, 0), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_panic_in_a_task_names_it_and_where_it_was_started),
        cmocka_unit_test(test_panic_in_a_thread_names_the_thread),
        cmocka_unit_test(test_leak_check_prints_those_that_are_left_and_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
