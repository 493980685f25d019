/* Tasks: they run, wait and end; the collector sees their stacks; they can be looked at. */
/* run: native asan tsan valgrind */
#include "check.h"

#include <spanheap/channel.h>
#include <spanheap/panic.h>
#include <spanheap/task.h>

static const uint64_t pointer_mask = 1;
static const struct sh_type pointer_type = {"pointer", 8, &pointer_mask, 0};
static const struct sh_type int_type = {"int", sizeof(int), NULL, 0};

static struct sh_wait_group all;
static _Atomic int done;

static void
finish(void *arg)
{
    done += (int)(uintptr_t)arg;
    sh_wait_group_done(&all);
}

static void
test_every_task_runs_once(void **state)
{
    (void)state;
    done = 0;
    sh_wait_group_add(&all, 1000);
    uint64_t first = sh_task_start(finish, (void *)1);
    for (uintptr_t i = 2; i <= 1000; i++)
        assert_int_equal(sh_task_start(finish, (void *)i), first + i - 1);
    sh_wait_group_wait(&all);
    assert_int_equal(done, 500500);
    assert_int_equal(sh_tasks_leaked(first - 1, 2000000000, NULL, 0), 0);
    assert_int_equal(sh_task_number(), 0);
}

static int turns[10], nturns;

static void
take_turns(void *arg)
{
    for (int i = 0; i < 5; i++) {
        turns[nturns++] = (int)(uintptr_t)arg;
        sh_task_yield();
    }
    sh_wait_group_done(&all);
}

static void
start_both(void *arg)
{
    (void)arg;
    sh_task_start(take_turns, (void *)1);
    sh_task_start(take_turns, (void *)2);
    sh_wait_group_done(&all);
}

static void
yield_alone(void *arg)
{
    (void)arg;
    sh_task_set_threads(1);
    sh_wait_group_add(&all, 3);
    sh_task_start(start_both, NULL);
    sh_wait_group_wait(&all);
    need(nturns == 10, "all turns were taken");
    for (int i = 1; i < 10; i++)
        need(turns[i] != turns[i - 1], "the tasks take turns on one thread");
}

static void
test_yield_lets_others_run(void **state)
{
    (void)state;
    skip_under_tsan();
    assert_child_succeeds(yield_alone, NULL);
}

static _Atomic bool second_has_run;

static void
run_second(void *arg)
{
    (void)arg;
    second_has_run = true;
    sh_wait_group_done(&all);
}

static void
compute_until_second_has_run(void *arg)
{
    (void)arg;
    sh_task_start(run_second, NULL); /* to run next on this thread */
    while (!second_has_run) {
    }
    sh_wait_group_done(&all);
}

static void
keep_a_thread_busy(void *arg)
{
    (void)arg;
    sh_task_set_threads(3);
    for (int i = 0; i < 30; i++) {
        second_has_run = false;
        sh_wait_group_add(&all, 2);
        sh_task_start(compute_until_second_has_run, NULL);
        sh_wait_group_wait(&all);
        if (i % 2 == 0)
            usleep(20000); /* all threads sleep */
    }
}

static void
test_task_that_is_next_on_a_busy_thread_runs_on_another(void **state)
{
    (void)state;
    skip_under_tsan();
    assert_child_succeeds(keep_a_thread_busy, NULL);
}

/* ---- What the collector sees ---- */

struct holding {
    struct sh_channel *go_on;
    uintptr_t hidden;
    bool good;
};

static void
hold(void *arg)
{
    struct holding *h = arg;
    char *p = sh_alloc_noscan(300);
    memset(p, 77, 300);
    h->hidden = hide(p);
    sh_wait_group_done(&all);
    sh_channel_receive(h->go_on, NULL);
    h->good = p[0] == 77 && p[299] == 77;
    sh_wait_group_done(&all);
}

#define HOLDERS 200
static struct holding holders[HOLDERS];

static void
test_parked_task_keeps_what_its_stack_holds(void **state)
{
    (void)state;
    sh_wait_group_add(&all, HOLDERS);
    for (int i = 0; i < HOLDERS; i++) {
        holders[i].go_on = sh_channel_make(&int_type, 0);
        sh_task_start(hold, &holders[i]);
    }
    sh_wait_group_wait(&all);
    for (int round = 0; round < 3; round++) {
        collect();
        for (int i = 0; i < HOLDERS; i++)
            assert_true(is_alive(holders[i].hidden));
    }
    sh_wait_group_add(&all, HOLDERS);
    for (int i = 0; i < HOLDERS; i++)
        sh_channel_close(holders[i].go_on);
    sh_wait_group_wait(&all);
    for (int i = 0; i < HOLDERS; i++)
        assert_true(holders[i].good);
    assert_int_equal(sh_tasks_leaked(0, 2000000000, NULL, 0), 0);
    collect();
    size_t alive = 0;
    for (int i = 0; i < HOLDERS; i++)
        alive += is_alive(holders[i].hidden);
    assert_true(alive <= 4); /* words of the threads */
}

/* Trees that live on the stacks of tasks only, which hand them on while collections run. */
struct node {
    struct node *left, *right;
    uint64_t sum;
};
static const struct sh_type node_type = SH_PLAIN_TYPE(
    struct node, SH_POINTER_AT(struct node, left) | SH_POINTER_AT(struct node, right));

static struct node *
build(int depth)
{
    struct node *n = sh_alloc_typed(&node_type);
    n->sum = 1;
    if (depth > 0) {
        sh_store(&n->left, build(depth - 1));
        sh_store(&n->right, build(depth - 1));
        n->sum += n->left->sum + n->right->sum;
    }
    return n;
}

static uint64_t
count(const struct node *n)
{
    return n == NULL ? 0 : 1 + count(n->left) + count(n->right);
}

struct link {
    struct sh_channel *in, *out;
};
static const struct sh_type link_type =
    SH_TYPE(struct link, SH_POINTER_AT(struct link, in) | SH_POINTER_AT(struct link, out));

static void
pass_on(void *arg)
{
    struct link *l = arg;
    struct node *n = NULL;
    while (sh_channel_receive(l->in, &n)) {
        need(n->sum == count(n), "the tree is whole");
        struct node *fresh = build(5);
        need(n->sum == count(n), "the tree is whole after an allocation");
        sh_channel_send(l->out, n->sum % 3 == 0 ? &n : &fresh);
    }
    sh_channel_close(l->out);
    sh_wait_group_done(&all);
}

#define LINKS 30

static void
hand_trees_on(void *arg)
{
    size_t trees = (uintptr_t)arg;
    struct sh_channel *first = sh_channel_make(&pointer_type, 2), *last = first;
    sh_wait_group_add(&all, LINKS);
    for (int i = 0; i < LINKS; i++) {
        struct link *l = sh_alloc_typed(&link_type);
        l->in = last;
        l->out = last = sh_channel_make(&pointer_type, (size_t)i % 4);
        sh_task_start(pass_on, l);
    }
    size_t sent = 0, received = 0;
    while (received < trees) {
        struct node *n = build(6);
        struct sh_select_case cases[] = {{last, &n, SH_SELECT_RECEIVE, false},
                                         {sent < trees ? first : NULL, &n, SH_SELECT_SEND, false}};
        if (sh_select(cases, 2, false) == 1) {
            sent++;
            if (sent == trees)
                sh_channel_close(first);
        } else {
            need(n->sum == count(n), "the tree that came is whole");
            received++;
        }
        if (sent % 50 == 0)
            sh_collect();
    }
    sh_wait_group_wait(&all);
}

static void
hand_trees_on_anew(void)
{
    hand_trees_on((void *)3000);
}

static void
test_nothing_is_lost_on_stacks_that_come_and_go(void **state)
{
    (void)state;
    static struct outcome out;
    if (under_valgrind()) { /* it watches a fork, and no program that is started anew */
        assert_child_succeeds(hand_trees_on, (void *)300);
        return;
    }
    static const char *const settings[][5] = {
        {"SH_VERIFY=1", "SH_GOGC=20", NULL},
        {"SH_VERIFY=1", "SH_GOGC=20", "SH_BARRIER=insertion", NULL},
        {"SH_VERIFY=1", "SH_GOGC=20", "SH_MODE=stw", NULL},
        {"SH_VERIFY=1", "SH_STRESS_DELAY=50", "SH_TASK_THREADS=4", "SH_CLOBBER=1", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        run_anew(&out, "hand on", settings[i]);
        assert_success(&out);
    }
}

/* ---- Time ---- */

static void
sleep_a_while(void *arg)
{
    sh_task_sleep((uint64_t)(uintptr_t)arg);
    turns[nturns++] = (int)((uintptr_t)arg / 1000000);
    sh_wait_group_done(&all);
}

static void
sleep_alone(void *arg)
{
    (void)arg;
    static const uintptr_t ms[] = {60, 20, 100, 80, 40};
    sh_task_set_threads(1);
    sh_wait_group_add(&all, 5);
    for (int i = 0; i < 5; i++)
        sh_task_start(sleep_a_while, (void *)(ms[i] * 1000000));
    sh_wait_group_wait(&all);
    for (int i = 0; i < 5; i++)
        need(turns[i] == 20 * (i + 1), "who sleeps less wakes first");
}

static void
test_sleepers_wake_in_the_order_of_their_times(void **state)
{
    (void)state;
    skip_under_tsan();
    assert_child_succeeds(sleep_alone, NULL);
}

static void
test_times_are_sent_to_channels(void **state)
{
    (void)state;
    uint64_t at, before = 0;
    assert_true(sh_channel_receive(sh_after(1000000), &at));
    struct sh_ticker ticker = sh_ticker_start(2000000);
    for (int i = 0; i < 3; i++) {
        collect(); /* the timer holds the channel */
        assert_true(sh_channel_receive(ticker.channel, &at));
        assert_true(at > before);
        before = at;
    }
    sh_ticker_stop(&ticker);
}

/* ---- Panics ---- */

static const struct sh_panic_value *_Atomic caught; /* by whichever task was last */

static void
catch_it(void *arg)
{
    (void)arg;
    caught = sh_recover();
}

static void
panic_between_switches(void *arg)
{
    SH_SCOPE(scope);
    sh_landing landing;
    if (SH_RECOVERED(scope, landing)) {
        done++;
        sh_wait_group_done(&all);
        return;
    }
    sh_defer(&scope, catch_it, NULL);
    for (int i = 0; i < 10; i++)
        sh_task_yield();
    sh_panic("task %d", (int)(uintptr_t)arg);
}

static void
test_each_task_has_panics_of_its_own(void **state)
{
    (void)state;
    done = 0;
    sh_wait_group_add(&all, 50);
    for (uintptr_t i = 0; i < 50; i++)
        sh_task_start(panic_between_switches, (void *)i);
    sh_wait_group_wait(&all);
    assert_int_equal(done, 50);
    assert_memory_equal(caught->message, "task ", 5);
}

static void
just_panic(void *arg)
{
    (void)arg;
    sh_panic("nobody catches it");
}

static void
panic_in_task(void *arg)
{
    (void)arg;
    sh_task_start(just_panic, NULL);
    sh_task_sleep(UINT64_C(5000000000));
}

static void
negative_group(void *arg)
{
    (void)arg;
    sh_wait_group_done(&all);
}

static void
start_nothing(void *arg)
{
    (void)arg;
    sh_task_start(NULL, NULL);
}

static void
no_threads(void *arg)
{
    (void)arg;
    sh_task_set_threads(0);
}

static void
test_mistakes_end_with_a_message(void **state)
{
    (void)state;
    skip_under_tsan();
    assert_child_panics(panic_in_task, NULL, "nobody catches it\n");
    assert_child_panics(negative_group, NULL, "sync: negative WaitGroup counter\n");
    assert_child_dies(start_nothing, NULL, "sh_task_start: no function to run");
    assert_child_dies(no_threads, NULL, "0 threads run nothing");
}

/* ---- Looking ---- */

static void
wait_for_channel(void *arg)
{
    sh_channel_receive(arg, NULL);
}

static void
test_task_that_waits_is_visible(void **state)
{
    (void)state;
    struct sh_task_info info[4];
    struct sh_channel *c = sh_channel_make(&int_type, 0);
    uint64_t before = sh_tasks_newest(), number = sh_task_start(wait_for_channel, c);
    assert_int_equal(sh_tasks_leaked(before, 50000000, info, 4), 1);
    assert_int_equal(info[0].number, number);
    assert_string_equal(info[0].state, "chan receive");
    assert_ptr_equal(info[0].waits_on, c);
    assert_ptr_equal(info[0].runs, wait_for_channel);
    assert_int_equal(info[0].started_by, 0);
    assert_true(info[0].waiting_ns > 0);
    assert_true((char *)info[0].waits_at > (char *)wait_for_channel);
    FILE *file = tmpfile();
    char text[2000] = "";
    assert_int_equal(sh_tasks_dump(fileno(file)), 1);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_non_null(strstr(text, " [chan receive]:\n    waits at wait_for_channel+0x"));
    assert_non_null(strstr(text, "\n    runs wait_for_channel+0x"));
    assert_non_null(strstr(text, "\n    started at test_task_that_waits_is_visible+0x"));
    sh_channel_close(c);
    assert_int_equal(sh_tasks_leaked(before, 2000000000, NULL, 0), 0);
}

static void
run_over(void *arg)
{
    volatile char frame[4000];
    frame[0] = (char)(uintptr_t)arg;
    if ((uintptr_t)arg > 0)
        run_over((void *)((uintptr_t)arg - 1));
    frame[1] = frame[0];
    sh_task_yield();
}

static void
run_over_the_end(void *arg)
{
    (void)arg;
    sh_task_start(run_over, (void *)30);
    sh_task_sleep(500000000);
}

static void
test_stack_that_is_run_over_is_noticed(void **state)
{
    (void)state;
    skip_under_tsan();
    static struct outcome out;
    run_in_child(&out, run_over_the_end, NULL);
    if (out.code != 128 + SIGSEGV)
        assert_fatal(&out, "has run over the end of its stack");
}

/* ---- fork ---- */

static void
fork_in_task(void *arg)
{
    (void)arg;
    pid_t child = fork();
    if (child == 0) {
        sh_collect();
        sh_wait_group_add(&all, 1); /* what the parent waits for is not ours: a new count */
        need(sh_task_count() == 1, "the task that forked is the only one");
        int value = 5;
        struct sh_channel *c = sh_channel_make(&int_type, 1);
        sh_channel_send(c, &value);
        need(sh_channel_receive(c, &value) && value == 5, "a channel works");
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    sh_wait_group_done(&all);
}

static void
test_child_of_a_fork_has_the_task_that_forked(void **state)
{
    (void)state;
    skip_under_tsan();
    struct sh_channel *c = sh_channel_make(&int_type, 0);
    for (int i = 0; i < 5; i++)
        sh_task_start(wait_for_channel, c);
    sh_wait_group_add(&all, 1);
    sh_task_start(fork_in_task, NULL);
    sh_wait_group_wait(&all);
    assert_int_equal(done, 1);
    pid_t child = fork();
    if (child == 0) { /* of a thread: no tasks, and new ones can be started */
        memset(&all, 0, sizeof all);
        sh_wait_group_add(&all, 1);
        need(sh_task_count() == 0, "there are no tasks");
        sh_task_start(finish, NULL);
        sh_wait_group_wait(&all);
        sh_collect();
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    sh_channel_close(c);
}

static const struct program_part parts[] = {{"hand on", hand_trees_on_anew}};

int
main(int argc, char **argv)
{
    if (argc > 1)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_task_runs_once),
        cmocka_unit_test(test_yield_lets_others_run),
        cmocka_unit_test(test_task_that_is_next_on_a_busy_thread_runs_on_another),
        cmocka_unit_test(test_parked_task_keeps_what_its_stack_holds),
        cmocka_unit_test(test_nothing_is_lost_on_stacks_that_come_and_go),
        cmocka_unit_test(test_sleepers_wake_in_the_order_of_their_times),
        cmocka_unit_test(test_times_are_sent_to_channels),
        cmocka_unit_test(test_each_task_has_panics_of_its_own),
        cmocka_unit_test(test_mistakes_end_with_a_message),
        cmocka_unit_test(test_task_that_waits_is_visible),
        cmocka_unit_test(test_stack_that_is_run_over_is_noticed),
        cmocka_unit_test(test_child_of_a_fork_has_the_task_that_forked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
