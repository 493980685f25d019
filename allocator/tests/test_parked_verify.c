/* Parked stacks and the second opinion (SH_VERIFY): words that are no pointers, and that others
   overwrite while a task waits, are no reason to say that an object was lost. */
#include "check.h"

#include <spanheap/channel.h>
#include <spanheap/task.h>

#include "collector/cycle.h"

static struct sh_channel *channel;
static uintptr_t hidden_first, hidden_second; /* complements of addresses */

/* Finds an object at an address that ends in 0100, as the word of a waiter's flags would when only
   they are written: 0, then 1. Another lies near. */
static NOINLINE void
find_objects(void)
{
    uintptr_t at;
    do
        at = (uintptr_t)sh_alloc_noscan(16);
    while ((at & 0xffff) != 0x100);
    hidden_first = ~at;
    hidden_second = ~(uintptr_t)sh_alloc_noscan(16);
}

static NOINLINE __attribute__((no_sanitize_address)) void
fill_stack(uintptr_t word)
{
    volatile uintptr_t words[2000];
    for (size_t i = 0; i < COUNT_OF(words); i++)
        words[i] = word;
}

/* Waits on a stack on which old words of pointers are, in the variable, too. */
static void
receive_one(void *done)
{
    volatile uint64_t number;
    fill_stack(~hidden_first + 64);
    number = ~hidden_second;
    need(sh_channel_receive(channel, (void *)&number), "a number comes");
    need(number == 7, "it is the one that was sent");
    *(bool *)done = true;
}

static void
collect_around_a_sender(void *done)
{
    uint64_t seven = 7;
    sh_store(&channel, sh_channel_make(&sh_uint64_type, 0));
    find_objects();
    sh_task_start(receive_one, done);
    sh_task_yield();
    clear_stack();
    cycle_begin(SH_TRIGGER_FORCED);
    sh_channel_send(channel, &seven);
    sh_collect();
}

static void
send_into_a_parked_stack(void)
{
    static bool done;
    uint64_t before = sh_tasks_newest();
    sh_task_start(collect_around_a_sender, &done);
    need(sh_tasks_leaked(before, UINT64_C(60000000000), NULL, 0) == 0, "all tasks end");
    need(done, "the receiver has received");
}

static void
test_words_that_are_sent_over_are_not_lost(void **state)
{
    (void)state;
    static struct outcome out;
    static const char *const settings[][5] = {
        {"SH_VERIFY=1", "SH_WORKERS=0", "SH_TASK_THREADS=1", NULL},
        {"SH_VERIFY=1", "SH_WORKERS=0", "SH_TASK_THREADS=1", "SH_BARRIER=insertion", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        run_anew(&out, "send", settings[i]);
        assert_success(&out);
    }
}

static const struct program_part parts[] = {{"send", send_into_a_parked_stack}};

int
main(int argc, char **argv)
{
    if (argc > 1)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_that_are_sent_over_are_not_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
