/* The event ring: nothing is kept when it is off, the newest are kept when it is full, and no event
 * is ever read half written. */
#include "check.h"

#include "observe/event_slot.h"

#include <sys/prctl.h>

static struct outcome out;

/* ---- Events that show whether they are whole ---- */

static struct event
number(uint64_t n)
{
    return (struct event){n, ~n, {n * 3, n * 5, n * 7, n * 11}, EVENT_ASSIST, 0};
}

static bool
is_whole(const struct event *e)
{
    uint64_t n = e->start_ns;
    return e->end_ns == ~n && e->args[0] == n * 3 && e->args[1] == n * 5 && e->args[2] == n * 7 &&
           e->args[3] == n * 11;
}

/* ---- Parts: what this program does when it is run anew ---- */

enum { WRITERS = 4, EACH = 50000, TARGET = UNDER_ASAN ? 500000 : 4000000 };
static _Atomic unsigned writing;
static _Atomic bool enough_read;

static void *
write_many(void *arg)
{
    uint64_t base = (uint64_t)(uintptr_t)arg << 32;
    for (uint64_t i = 0; i < EACH || !atomic_load(&enough_read); i++)
        events_append(number(base + i));
    atomic_fetch_sub(&writing, 1);
    return NULL;
}

/* Reads all that can be read. Returns how many it got. */
static uint64_t
read_all(void)
{
    struct events_window window = events_window();
    uint64_t got = 0;
    for (uint64_t i = window.first; i < window.end; i++) {
        struct event e;
        if (!events_get(i, &e))
            continue;
        got++;
        need(e.thread > 0 && e.kind < EVENT_KINDS, "an event has a thread and a kind");
        need(e.kind != EVENT_ASSIST || is_whole(&e), "an event is whole");
    }
    return got;
}

/* The collections stop threads in the middle of an append, for a whole round of a small ring. Goes
   on until so many have been read beside the writers. */
static void
storm(uint64_t target)
{
    pthread_t threads[WRITERS];
    uint64_t got = 0;
    need(sh_trace_start() == 0, "events start");
    atomic_store(&writing, WRITERS);
    for (uintptr_t i = 0; i < WRITERS; i++)
        need(sh_thread_create(&threads[i], NULL, write_many, (void *)i) == 0, "a thread starts");
    for (unsigned round = 0; atomic_load(&writing) > 0; round++) {
        got += read_all();
        atomic_store(&enough_read, got >= target);
        if (round % 1024 == 0)
            sh_collect();
    }
    for (int i = 0; i < WRITERS; i++)
        sh_thread_join(threads[i], NULL);
    struct events_window window = events_window();
    need(window.end >= (uint64_t)WRITERS * EACH, "every append has an index");
    events_append(number(1));
    need(read_all() >= 1, "the ring still takes events");
}

static void
storm_in_a_usual_ring(void)
{
    storm(TARGET);
}

static void
storm_in_one_slot(void)
{
    storm(0); /* it is nearly always being written */
}

static void
wrap(void)
{
    struct event e;
    need(sh_trace_start() == 0, "events start");
    uint64_t before = events_window().end;
    for (uint64_t n = 0; n < 25; n++)
        events_append(number(n));
    struct events_window window = events_window();
    need(window.end == before + 25 && window.first == window.end - 10, "the newest 10 are kept");
    need(read_all() == 10, "all ten can be read");
    for (uint64_t i = 0; i < 10; i++)
        need(events_get(window.first + i, &e) && e.start_ns == 15 + i, "they are in order");
    need(!events_get(window.first - 1, &e), "an overwritten one is not told as another");
    need(!events_get(window.end, &e), "nor is one to come");
}

/* ---- Tests ---- */

static void
test_nothing_is_kept_before_the_start(void **state)
{
    (void)state;
    assert_false(events_exist());
    assert_false(events_are_on());
    assert_int_equal(events_begin(), 0);
    events_add(EVENT_ASSIST, 1, 2, 3, 4);
    events_end(EVENT_ASSIST, 0, 1, 1);
    sh_collect();
    assert_int_equal(events_window().end, 0);
    assert_false(events_exist());
}

static void
test_events_are_kept_as_they_were_given(void **state)
{
    (void)state;
    struct event e;
    assert_int_equal(sh_trace_start(), 0);
    uint64_t index = events_window().end;
    events_add(EVENT_SCAVENGE, 10, 20, 30, 40);
    assert_int_equal(events_window().end, index + 1);
    assert_true(events_get(index, &e));
    struct event expected = {10, 20, {30, 40}, EVENT_SCAVENGE, (uint32_t)gettid()};
    assert_memory_equal(&e, &expected, sizeof e);
    uint64_t start_ns = events_begin();
    events_end(EVENT_ASSIST, start_ns, 5, 0);
    assert_true(events_get(index + 1, &e));
    assert_int_equal(e.start_ns, start_ns);
    assert_true(start_ns > 0 && e.end_ns >= start_ns);
    assert_int_equal(e.args[0], 5);
}

static void
test_stopped_ring_keeps_what_it_has_and_goes_on_later(void **state)
{
    (void)state;
    struct event e;
    sh_trace_start();
    uint64_t index = events_window().end;
    events_add(EVENT_ASSIST, 1, 2, 3, 4);
    sh_trace_stop();
    events_add(EVENT_ASSIST, 5, 6, 7, 8);
    sh_collect();
    assert_int_equal(events_window().end, index + 1);
    assert_true(events_get(index, &e));
    sh_trace_start();
    assert_true(events_get(index, &e));
    assert_int_equal(e.start_ns, 1);
    assert_true(events_window().end > index + 1); /* the heap's size at the start */
}

/* ---- Two in one slot, step by step: what threads do one after the other here ---- */

static void
test_writer_gives_up_while_another_is_writing(void **state)
{
    (void)state;
    struct event e, mine = number(77);
    sh_trace_start();
    uint64_t index = events_window().end;
    struct event_slot *s = events_slot(index);
    assert_true(event_slot_claim(s, index));
    events_append(number(78)); /* has the same index */
    assert_int_equal(events_window().end, index + 1);
    assert_false(events_get(index, &e));
    event_slot_fill(s, &mine);
    assert_false(events_get(index, &e));
    event_slot_publish(s, index);
    assert_true(events_get(index, &e));
    assert_memory_equal(&e, &mine, sizeof e);
}

static void
test_writer_that_comes_late_leaves_the_newer_event(void **state)
{
    (void)state;
    struct event e, newer = number(77);
    sh_trace_start();
    uint64_t index = events_window().end, later = index + EVENTS_DEFAULT;
    struct event_slot *s = events_slot(index);
    assert_ptr_equal(s, events_slot(later));
    assert_true(event_slot_claim(s, later));
    event_slot_fill(s, &newer);
    event_slot_publish(s, later);
    events_append(number(78));
    assert_int_equal(events_window().end, index + 1);
    assert_false(events_get(index, &e));
    assert_true(events_get(later, &e));
    assert_memory_equal(&e, &newer, sizeof e);
}

static void
test_reader_notices_a_writer_that_came_between(void **state)
{
    (void)state;
    struct event_slot s = {0};
    struct event e, first = number(1), second = number(2);
    assert_false(event_slot_holds(&s, 0));
    assert_true(event_slot_claim(&s, 3));
    event_slot_fill(&s, &first);
    event_slot_publish(&s, 3);
    assert_true(event_slot_holds(&s, 3));
    assert_true(event_slot_claim(&s, 8));
    assert_false(event_slot_claim(&s, 13)); /* a round later, the writer of 8 is still at it */
    atomic_store(&s.words[0], second.start_ns);
    event_slot_copy(&s, &e);
    assert_false(is_whole(&e));
    assert_false(event_slot_holds(&s, 3));
    event_slot_fill(&s, &second);
    event_slot_publish(&s, 8);
    assert_false(event_slot_holds(&s, 3));
    assert_true(event_slot_holds(&s, 8));
}

static unsigned
count_kind(uint64_t from, enum event_kind kind, struct event *last)
{
    unsigned n = 0;
    struct event e;
    *last = (struct event){0};
    for (uint64_t i = from; i < events_window().end; i++)
        if (events_get(i, &e) && e.kind == kind) {
            *last = e;
            n++;
        }
    return n;
}

static void
test_collection_leaves_its_phases_stop_and_sizes(void **state)
{
    (void)state;
    struct event e;
    struct sh_pause pause;
    struct sh_stats stats;
    sh_trace_start();
    uint64_t from = events_window().end;
    void *volatile kept = sh_alloc(100000);
    sh_collect();
    assert_int_equal(count_kind(from, EVENT_MARK, &e), 1);
    assert_true(e.args[0] >= 100000 && e.end_ns > e.start_ns);
    assert_int_equal(count_kind(from, EVENT_SWEEP_PHASE, &e), 1);
    assert_int_equal(count_kind(from, EVENT_SWEEP, &e), 1);
    assert_true(e.args[0] > 0);
    assert_true(count_kind(from, EVENT_STOP, &e) >= 1);
    sh_pauses_read(&pause, 1);
    assert_int_equal(e.start_ns, pause.start_ns);
    assert_int_equal(e.end_ns, pause.start_ns + pause.length_ns);
    assert_int_equal(e.args[0], pause.signal_ns);
    assert_int_equal(e.args[1], pause.roots_ns);
    assert_int_equal(e.args[2], pause.root_b);
    assert_int_equal(e.args[3], event_stop_word(pause.cycle, pause.cause, pause.trigger));
    sh_stats_read(&stats);
    assert_true(count_kind(from, EVENT_HEAP, &e) >= 2);
    assert_int_equal(e.args[0], stats.marked_b);
    assert_int_equal(e.args[1], stats.next_gc_b);
    assert_true(count_kind(from, EVENT_RSS, &e) >= 1);
    assert_true(e.args[0] > 100000);
    (void)kept;
}

static void
append_under_a_name(void *id)
{
    prctl(PR_SET_NAME, "speaker");
    *(uint32_t *)id = (uint32_t)gettid();
    for (int i = 0; i < 3; i++)
        events_add(EVENT_ASSIST, 1, 2, 3, 4);
}

static void
test_name_of_a_thread_outlives_it(void **state)
{
    (void)state;
    uint32_t speaker = 0, thread;
    unsigned found = 0;
    char name[EVENT_NAME_B];
    sh_trace_start();
    run_elsewhere(append_under_a_name, &speaker);
    for (size_t i = 0; events_thread_name(i, &thread, name); i++)
        found += thread == speaker && strcmp(name, "speaker") == 0;
    assert_int_equal(found, 1);
}

static void
run_with(const char *part, const char *setting)
{
    run_anew(&out, part, (const char *const[]){setting, NULL});
    assert_success(&out);
}

static void
test_full_ring_keeps_the_newest(void **state)
{
    (void)state;
    run_with("wrap", "SH_EVENTS=10");
}

static void
test_no_event_is_read_half_written(void **state)
{
    (void)state;
    run_with("storm in one slot", "SH_EVENTS=1");
    run_with("storm", "SH_EVENTS=4");
    run_with("storm", "SH_EVENTS=1000");
}

static void
test_bad_number_of_events_is_fatal_and_named(void **state)
{
    (void)state;
    static const char *const bad[] = {"SH_EVENTS=", "SH_EVENTS=many", "SH_EVENTS=-1",
                                      "SH_EVENTS=4294967296"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char message[64];
        run_anew(&out, "wrap", (const char *const[]){bad[i], NULL});
        snprintf(message, sizeof message, "%s cannot be read; give ", bad[i]);
        assert_fatal(&out, message);
    }
}

static const struct program_part parts[] = {
    {"wrap", wrap},
    {"storm", storm_in_a_usual_ring},
    {"storm in one slot", storm_in_one_slot},
};

int
main(int argc, char **argv)
{
    if (argc > 1)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_kept_before_the_start),
        cmocka_unit_test(test_events_are_kept_as_they_were_given),
        cmocka_unit_test(test_stopped_ring_keeps_what_it_has_and_goes_on_later),
        cmocka_unit_test(test_writer_gives_up_while_another_is_writing),
        cmocka_unit_test(test_writer_that_comes_late_leaves_the_newer_event),
        cmocka_unit_test(test_reader_notices_a_writer_that_came_between),
        cmocka_unit_test(test_collection_leaves_its_phases_stop_and_sizes),
        cmocka_unit_test(test_name_of_a_thread_outlives_it),
        cmocka_unit_test(test_full_ring_keeps_the_newest),
        cmocka_unit_test(test_no_event_is_read_half_written),
        cmocka_unit_test(test_bad_number_of_events_is_fatal_and_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
