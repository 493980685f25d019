/* No memory: NULL where it was asked for, else a collection, the hook, and a clear end. */
#include "check.h"

#include "collector/verify.h"
#include "heap/pageheap.h"

static struct outcome out;
static void *held[70000]; /* a root each */
static size_t nheld;

static void
run_small(const char *part)
{
    run_anew(&out, part, (const char *const[]){"SH_RESERVE=64MiB", "SH_GOGC=off", NULL});
}

static void
let_go(void)
{
    memset(held, 0, sizeof held);
    nheld = 0;
}

/* Fills the heap with objects of one size that are all held; returns how many there was room for.
 */
static NOINLINE size_t
fill(size_t size)
{
    size_t before = nheld;
    errno = 0;
    while ((held[nheld] = sh_try_alloc(1, size, SH_NOSCAN)) != NULL)
        nheld++;
    need(errno == ENOMEM, "errno is ENOMEM");
    return nheld - before;
}

static void
exhaust_small(void)
{
    size_t n = fill(1024);
    need(n > 60 * 1024 && n <= 64 * 1024, "the whole reserve is used");
    need(sh_try_alloc(1, 1024, SH_NOSCAN) == NULL, "still full");
    need(sh_try_alloc(1, 1 << 20, SH_NOSCAN) == NULL, "no room for a large one");
    verify_now();
    let_go();
    clear_stack();
    need(fill(1024) >= n - 10, "what is let go is found again");
    verify_now();
}

static void
exhaust_large(void)
{
    size_t n = fill(5 << 20);
    need(n == 12, "12 times 5 MiB fit into 64 MiB");
    need(sh_try_alloc(1, 1 << 20, SH_NOSCAN) != NULL, "a smaller one still fits");
    let_go();
    clear_stack();
    need(fill(5 << 20) >= n - 1, "what is let go is found again");
    verify_now();
}

static void
exhaust_by_alloc(void)
{
    for (;;)
        held[nheld++] = sh_alloc(4096);
}

static size_t hook_calls, hook_size;

static bool
free_half(size_t size)
{
    hook_calls++;
    hook_size = size;
    size_t freed = 0;
    for (; nheld > 0 && freed < 32; freed++) {
        sh_free(held[--nheld]);
        held[nheld] = NULL;
    }
    return freed > 0;
}

static bool
give_up(size_t size)
{
    hook_calls++;
    hook_size = size;
    return false;
}

static void
free_in_hook(void)
{
    need(sh_set_oom_hook(free_half) == NULL, "there was no hook");
    for (int i = 0; i < 200; i++)
        held[nheld++] = sh_alloc(1 << 20);
    need(hook_calls >= 4 && hook_calls <= 6, "each call frees 32 MiB");
    need(hook_size == 1 << 20, "the hook is told the size");
    need(sh_set_oom_hook(NULL) == free_half, "the hook was ours");
}

static void
give_up_in_hook(void)
{
    sh_set_oom_hook(give_up);
    fill(1 << 20);
    need(hook_calls == 1 && hook_size == 1 << 20, "the hook is asked once");
    sh_alloc(1 << 20);
}

static void
garbage_only(void)
{
    struct sh_stats stats;
    for (int i = 0; i < 1000; i++)
        sh_alloc(1 << 20); /* a thousand MiB through a heap of 64, and GOGC is off */
    sh_stats_read(&stats);
    need(stats.num_gc > 5, "collections made room");
}

/* Data is limited, addresses are not: the next arena cannot be made usable. */
static void
limit_data(void)
{
    limit_to_what_is_there(RLIMIT_DATA, "VmData", (rlim_t)96 << 20);
    size_t n = fill(1 << 20);
    need(n > 32 && n <= 64, "one arena fits under the limit, a second does not");
    let_go();
    sh_collect();
    need(sh_try_alloc(1, 1 << 20, SH_NOSCAN) != NULL, "let go, there is room again");
    verify_now();
}

/* What cannot be had is not live, and the goal is not made for it. */
static void
leave_goal(void)
{
    struct sh_stats stats;
    held[0] = sh_alloc(1 << 20);
    sh_collect();
    sh_stats_read(&stats);
    size_t goal_b = stats.next_gc_b;
    for (int i = 0; i < 3; i++)
        need(sh_try_alloc(1, (size_t)1 << (i == 0 ? 45 : 26), SH_NOSCAN) == NULL, "no room");
    sh_stats_read(&stats);
    need(stats.next_gc_b < goal_b + (1 << 20), "the goal is what it was, but for the roots");
    need(stats.heap_alloc_b < 2 << 20, "nothing else is live");
    for (int i = 0; i < 30000; i++)
        sh_alloc(1024);
    uint32_t before = stats.num_gc;
    sh_stats_read(&stats);
    need(stats.num_gc > before, "collections still begin by themselves");
}

static void
expect_success(const char *part)
{
    run_small(part);
    assert_success(&out);
}

static void
test_try_alloc_of_small_objects_returns_null_and_recovers(void **state)
{
    (void)state;
    expect_success("small");
}

static void
test_try_alloc_of_large_objects_returns_null_and_recovers(void **state)
{
    (void)state;
    expect_success("large");
}

static void
test_alloc_without_memory_is_fatal_and_says_how_much(void **state)
{
    (void)state;
    run_small("alloc");
    assert_fatal(&out, "out of memory: cannot allocate 4096 bytes; the heap has 67108864 bytes");
    assert_non_null(strstr(out.text, "SH_RESERVE"));
}

static void
test_hook_can_free_and_the_allocation_goes_on(void **state)
{
    (void)state;
    expect_success("hook frees");
}

static void
test_hook_that_gives_up_ends_the_program(void **state)
{
    (void)state;
    run_small("hook gives up");
    assert_fatal(&out, "out of memory: cannot allocate 1048576 bytes");
}

static void
test_garbage_is_collected_before_memory_is_said_to_be_out(void **state)
{
    (void)state;
    expect_success("garbage");
}

static void
test_failed_allocation_leaves_the_goal(void **state)
{
    (void)state;
    run_anew(&out, "goal", (const char *const[]){"SH_RESERVE=64MiB", "SH_MODE=stw", NULL});
    assert_success(&out);
}

static void
test_limit_of_the_system_is_out_of_memory_too(void **state)
{
    (void)state;
    if (UNDER_ASAN)
        skip();
    run_anew(&out, "limit data", (const char *const[]){"SH_GOGC=off", NULL});
    assert_success(&out);
}

static const struct program_part parts[] = {
    {"small", exhaust_small},     {"large", exhaust_large},           {"alloc", exhaust_by_alloc},
    {"hook frees", free_in_hook}, {"hook gives up", give_up_in_hook}, {"garbage", garbage_only},
    {"goal", leave_goal},         {"limit data", limit_data},
};

int
main(int argc, char **argv)
{
    if (argc > 1)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_try_alloc_of_small_objects_returns_null_and_recovers),
        cmocka_unit_test(test_try_alloc_of_large_objects_returns_null_and_recovers),
        cmocka_unit_test(test_alloc_without_memory_is_fatal_and_says_how_much),
        cmocka_unit_test(test_hook_can_free_and_the_allocation_goes_on),
        cmocka_unit_test(test_hook_that_gives_up_ends_the_program),
        cmocka_unit_test(test_garbage_is_collected_before_memory_is_said_to_be_out),
        cmocka_unit_test(test_failed_allocation_leaves_the_goal),
        cmocka_unit_test(test_limit_of_the_system_is_out_of_memory_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
