/* Stacks of parked tasks: what is used of them counts for the goal, and scanning them is work. */
/* run: native asan tsan */
#include "check.h"

#include <spanheap/channel.h>
#include <spanheap/task.h>

#include "collector/cycle.h"
#include "collector/pacer.h"
#include "collector/parked.h"
#include "collector/world.h"
#include "types/task.h"

enum { TASKS = 300, FRAME_B = 6000, KEPT_B = 8 << 20 };

static const struct sh_type int_type = {"int", sizeof(int), NULL, 0};
static struct sh_wait_group all;
static struct sh_channel *go_on;
static void *volatile kept;

/* Waits for a value, with a frame, and a second one deeper. */
static void
wait_twice(void *arg)
{
    volatile char frame[FRAME_B];
    frame[0] = (char)(uintptr_t)arg;
    sh_wait_group_done(&all);
    if (sh_channel_receive(go_on, NULL) && frame[0] == 1)
        wait_twice((void *)2);
    frame[1] = frame[0];
}

static void
add_parked(struct task *t, void *sums)
{
    uint64_t *sum = sums;
    uint32_t task_state = atomic_load(&t->state);
    sum[0] += task_state != TASK_FREE && task_state != TASK_PARKED;
    if (task_state == TASK_PARKED)
        sum[1] += t->stack_high - t->sp;
}

/* The bytes in use of all stacks, once nobody runs on one. */
static uint64_t
used_when_all_wait(void)
{
    for (;;) {
        uint64_t sums[2] = {0, 0};
        stacks_each(add_parked, sums);
        if (sums[0] == 0)
            return sums[1];
        sh_task_sleep(1000000);
    }
}

static uint64_t
start_tasks(void)
{
    go_on = sh_channel_make(&int_type, 0);
    sh_wait_group_add(&all, TASKS);
    for (int i = 0; i < TASKS; i++)
        sh_task_start(wait_twice, (void *)1);
    sh_wait_group_wait(&all);
    return used_when_all_wait();
}

static void
need_goal_of_formula(void)
{
    struct sh_stats s;
    sh_stats_read(&s);
    need(s.next_gc_b == pacer_heap_goal(s.marked_b, s.stack_roots_b, s.data_roots_b, 100),
         "the goal is that of the formula");
    need(s.stack_roots_b == cycle.stacks_b, "the bytes of stacks are those of the pacer");
}

static void
collect_beside_parked_tasks(void)
{
    struct sh_stats before, beside;
    kept = sh_alloc_noscan(KEPT_B);
    sh_collect();
    sh_stats_read(&before);
    uint64_t used_b = start_tasks();
    need(used_b > (uint64_t)TASKS * FRAME_B, "the frames lie on the stacks");
    for (int i = 0; i < 3; i++) {
        sh_collect();
        need(cycle.stacks_b == cycle.roots.stacks + used_b, "each stack counts once");
        need_goal_of_formula();
    }
    sh_stats_read(&beside);
    need(beside.next_gc_b > before.next_gc_b + used_b / 10 * 9, "the goal is higher by that");
    sh_channel_close(go_on);
    while (sh_task_count() > 0)
        sh_task_sleep(1000000);
    sh_collect();
    need(cycle.stacks_b == cycle.roots.stacks, "no stack is left to be scanned");
    need_goal_of_formula();
}

static void
test_goal_counts_what_is_used_of_parked_stacks(void **state)
{
    (void)state;
    static struct outcome out;
    static const char *const settings[][3] = {
        {NULL}, {"SH_WORKERS=0", NULL}, {"SH_MODE=stw", NULL}, {"SH_BARRIER=insertion", NULL}};
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        run_anew(&out, "collect", settings[i]);
        assert_success(&out);
    }
}

/* ---- While marking ---- */

static void
mark_all(void *total)
{
    uint64_t n;
    while ((n = markers_work(MARKER_FORCED, (uint64_t)32 << 10)) > 0)
        *(uint64_t *)total += n;
    cycle_try_end();
}

/* Without workers, so that nothing marks but this thread. */
static void
resume_while_marking(void)
{
    kept = sh_alloc_noscan(KEPT_B);
    uint64_t used_b = start_tasks(), paid_b = 0;
    sh_collect();
    cycle_begin(SH_TRIGGER_FORCED);
    need(cycle_is_marking() && parked_scanned_b() == 0, "no parked stack has been scanned");
    need(parked_most_b() >= used_b, "there may be as much to scan as there is");
    sh_wait_group_add(&all, TASKS / 2);
    for (int i = 0; i < TASKS / 2; i++)
        sh_channel_send(go_on, &i);
    sh_wait_group_wait(&all);
    uint64_t resumed_b = parked_scanned_b();
    need(resumed_b > (uint64_t)TASKS / 2 * FRAME_B && resumed_b < used_b,
         "who runs again is scanned first");
    need(used_when_all_wait() > used_b + (uint64_t)TASKS / 2 * FRAME_B, "they went on");
    while (cycle_is_marking())
        world_safe_call(mark_all, &paid_b);
    need(cycle.stacks_b == cycle.roots.stacks + used_b, "and is not scanned again");
    need(paid_b == markers_figures().scanned_b + used_b - resumed_b, "scanning stacks pays");
    need_goal_of_formula();
}

static void
test_stack_that_is_run_on_while_marking_counts_once(void **state)
{
    (void)state;
    static struct outcome out;
    run_anew(&out, "resume", (const char *const[]){"SH_WORKERS=0", NULL});
    assert_success(&out);
}

static const struct program_part parts[] = {
    {"collect", collect_beside_parked_tasks},
    {"resume", resume_while_marking},
};

int
main(int argc, char **argv)
{
    if (argc > 1)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goal_counts_what_is_used_of_parked_stacks),
        cmocka_unit_test(test_stack_that_is_run_on_while_marking_counts_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
