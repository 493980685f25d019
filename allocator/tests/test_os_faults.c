/*
 * mmap or mprotect fails, at each of its calls in turn: what asked for the memory says that there
 * is none, as documented, or the library ends the program with its message. Nothing hangs, nothing
 * crashes, and the heap is whole.
 */
#include "tree.h"

#include "collector/verify.h"
#include "heap/os.h"

#include <spanheap/channel.h>
#include <spanheap/task.h>

static struct outcome out;

#define LIVE_OBJECTS 3000

static void *held[LIVE_OBJECTS];

static void *
work_elsewhere(void *arg)
{
    struct node *tree = tree_build((uintptr_t)arg, 8);
    sh_collect();
    tree_check(tree, (uintptr_t)arg, 8);
    return NULL;
}

static void
send_number(void *channel)
{
    int number = 7;
    sh_channel_send(channel, &number);
}

static const struct sh_type int_type = {"int", sizeof(int), NULL, 0};

static void
use_tasks(void)
{
    struct sh_channel *channel = sh_channel_make(&int_type, 0);
    int number = 0;
    for (int i = 0; i < 100; i++)
        sh_task_start(send_number, channel);
    for (int i = 0; i < 100; i++)
        need(sh_channel_receive(channel, &number) && number == 7, "what was sent arrives");
}

/* Some of all that asks for memory. NULL is an answer; a wrong one is not. */
static void
work(void)
{
    pthread_t thread;
    for (size_t i = 0; i < LIVE_OBJECTS; i++)
        held[i] = sh_try_alloc(1, 16 + i * 7, i % 2 == 0 ? SH_NOSCAN : SH_UNTYPED);
    for (int i = 0; i < 20; i++)
        if (sh_try_alloc(1, 5 << 20, SH_NOSCAN) == NULL)
            need(errno == ENOMEM, "errno says why");
    bool made = sh_thread_create(&thread, NULL, work_elsewhere, (void *)1) == 0;
    work_elsewhere((void *)2);
    if (made)
        sh_thread_join(thread, NULL);
    use_tasks();
    sh_collect();
    verify_now();
}

static void
count_calls(void)
{
    work();
    fprintf(stderr, "calls %llu\n", (unsigned long long)os_memory_calls());
}

static bool
ended_as_documented(void)
{
    return out.code == 0 ||
           (out.code == 128 + SIGABRT && strstr(out.text, "spanheap: fatal: ") != NULL &&
            (strstr(out.text, "memory") != NULL || strstr(out.text, "address space") != NULL));
}

static void
test_each_call_of_the_system_may_fail(void **state)
{
    (void)state;
    unsigned long long calls = 0, failed = 0;
    run_anew(&out, "count", NULL);
    assert_success(&out);
    assert_int_equal(sscanf(out.text, "calls %llu", &calls), 1);
    assert_in_range(calls, 10, 500);
    for (unsigned long long n = 1; n <= calls; n++) {
        char setting[40];
        snprintf(setting, sizeof setting, "SH_STRESS_OS=%llu", n);
        run_anew(&out, "work", (const char *const[]){setting, NULL});
        if (!ended_as_documented())
            print_error("%s: ended with %d: %s\n", setting, out.code, out.text);
        assert_true(ended_as_documented());
        failed += out.code != 0;
    }
    assert_true(failed > 0); /* the faults are there */
}

/* The system has nothing more, and the collector has the queues that it needs for this heap. */
static void
live_without_memory(void)
{
    size_t n = 0;
    sh_set_gogc(SH_GOGC_OFF);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < LIVE_OBJECTS; i++)
            held[i] = sh_alloc(1000);
        sh_collect();
    }
    os_fail(1, UINT64_MAX);
    while (sh_try_alloc(1, 10 << 20, SH_NOSCAN) != NULL && n < 100)
        n++;
    need(n > 3, "what is there is used, garbage again and again");
    need(sh_try_alloc(1, 200 << 20, SH_NOSCAN) == NULL && errno == ENOMEM, "more is not there");
    for (int round = 0; round < 10; round++) {
        sh_collect();
        for (size_t i = 0; i < LIVE_OBJECTS; i++)
            held[i] = sh_try_alloc(1, 1000, SH_UNTYPED);
    }
    sh_free(held[0]);
    held[0] = NULL;
    verify_now();
    os_fail(0, 0);
    need(sh_try_alloc(1, 200 << 20, SH_NOSCAN) != NULL, "when there is memory again, it is had");
    verify_now();
}

/* Addresses are limited to little more than there are. */
static void
live_in_little_space(void)
{
    limit_to_what_is_there(RLIMIT_AS, "VmSize", (rlim_t)1 << 20);
    size_t n = 0;
    for (size_t i = 0; i < LIVE_OBJECTS * 20; i++)
        n += sh_try_alloc(1, 16 + i % 2000, SH_UNTYPED) != NULL;
    need(n > 1000, "what was reserved before can be used");
    sh_collect();
    verify_now();
}

static void
test_program_lives_on_when_there_is_no_more_memory(void **state)
{
    (void)state;
    run_anew(&out, "live", (const char *const[]){"SH_RESERVE=1GiB", NULL});
    assert_success(&out);
}

static void
test_program_lives_on_under_a_limit_of_addresses(void **state)
{
    (void)state;
    if (UNDER_ASAN) /* its own tables need more */
        skip();
    run_anew(&out, "little", NULL);
    assert_success(&out);
}

/* As before, but the collector has nothing either. */
static void
live_without_queues(void)
{
    os_fail(1, UINT64_MAX);
    for (size_t i = 0; i < LIVE_OBJECTS; i++)
        held[i] = sh_try_alloc(1, 100000, SH_UNTYPED);
    sh_collect();
}

static void
test_collector_without_memory_of_its_own_says_so(void **state)
{
    (void)state;
    run_anew(&out, "live without queues", NULL);
    assert_true(ended_as_documented());
}

static const struct program_part parts[] = {
    {"count", count_calls},           {"work", work},
    {"live", live_without_memory},    {"live without queues", live_without_queues},
    {"little", live_in_little_space},
};

int
main(int argc, char **argv)
{
    if (argc > 1)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_call_of_the_system_may_fail),
        cmocka_unit_test(test_program_lives_on_when_there_is_no_more_memory),
        cmocka_unit_test(test_collector_without_memory_of_its_own_says_so),
        cmocka_unit_test(test_program_lives_on_under_a_limit_of_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
