/* The trace line: Go's, field by field. */
#include "check.h"

#include "collector/cycle.h"
#include "observe/observe.h"

#include <regex.h>
#include <sched.h>

#define MIB ((uint64_t)1 << 20)
#define MS "(0|[0-9]+|[0-9]\\.[0-9]|0\\.[0-9]{2,3})"

static const char line_shape[] = "^gc [0-9]+ @[0-9]+\\.[0-9]{3}s [0-9]+%: " MS "\\+" MS "\\+" MS
                                 " ms clock, " MS "\\+" MS "/" MS "/" MS "\\+" MS " ms cpu, "
                                 "[0-9]+->[0-9]+->[0-9]+ MB, [0-9]+ MB goal, [0-9]+ MB stacks, "
                                 "[0-9]+ MB globals, [0-9]+ P( \\(forced\\))?$";

static void
collect_three_times(void)
{
    struct sh_stats stats;
    for (int i = 0; i < 3; i++)
        sh_collect();
    for (int i = 0; i < 50000; i++)
        sh_alloc_noscan(1024);
    sh_stats_read(&stats);
    fprintf(stderr, "collections %u forced %u\n", stats.num_gc, stats.num_forced_gc);
    exit(0);
}

struct counted {
    unsigned lines, forced, other;
    char other_text[200];
};

static void
count_lines(char *text, struct counted *n)
{
    regex_t shape;
    assert_int_equal(regcomp(&shape, line_shape, REG_EXTENDED | REG_NOSUB), 0);
    *n = (struct counted){0};
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        unsigned number = 0;
        if (regexec(&shape, line, 0, NULL, 0) != 0) {
            n->other++;
            snprintf(n->other_text, sizeof n->other_text, "%s", line);
            continue;
        }
        n->lines++;
        n->forced += strstr(line, "(forced)") != NULL;
        assert_int_equal(sscanf(line, "gc %u ", &number), 1);
        assert_int_equal(number, n->lines); /* none is missing, they are in order */
    }
    regfree(&shape);
}

static void
test_each_collection_prints_one_line_of_go_s_shape(void **state)
{
    (void)state;
    static struct outcome out;
    struct counted n;
    char expected[64];
    run_anew(&out, "collect", (const char *const[]){"SH_GCTRACE=1", NULL});
    assert_success(&out);
    count_lines(out.text, &n);
    assert_int_equal(n.other, 1);
    assert_int_equal(n.forced, 3);
    assert_true(n.lines > 3);
    snprintf(expected, sizeof expected, "collections %u forced %u", n.lines, n.forced);
    assert_string_equal(n.other_text, expected);
}

static void
test_no_line_without_the_setting(void **state)
{
    (void)state;
    static struct outcome out;
    struct counted n;
    run_anew(&out, "collect", (const char *const[]){"SH_GCTRACE=0", NULL});
    assert_success(&out);
    count_lines(out.text, &n);
    assert_int_equal(n.lines, 0);
}

/* On one processor, so that clock and cpu times are the same. */
static void
use_one_processor(void)
{
    cpu_set_t set, one;
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &set))
            CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
}

static void
format(char *line, size_t size, const struct cycle_record *r)
{
    size_t n = observe_format_trace(r, line, size);
    assert_int_equal(n, strlen(line));
}

static struct cycle_record
sample(void)
{
    struct cycle_record r = {
        .pause = {.cycle = 12, .trigger = SH_TRIGGER_FORCED},
        .stop_ns = 12345,
        .mark_ns = 1234567,
        .end_stop_ns = 345678,
        .assist_cpu_ns = 456789,
        .background_cpu_ns = 2345678,
        .idle_cpu_ns = 3456789,
        .live_before_b = 10 * MIB,
        .live_after_b = 11 * MIB - 1,
        .marked_b = 8 * MIB,
        .goal_b = 20 * MIB,
    };
    r.start_ns = cycle.start_ns + 61234999999u;
    r.end_ns = r.start_ns + r.stop_ns + r.mark_ns + r.end_stop_ns;
    cycle.cpu_ns = 0;
    cycle.stacks_b = 3 * MIB;
    cycle.roots.data = 5 * MIB - 1;
    return r;
}

static void
test_fields_stand_where_go_prints_them(void **state)
{
    (void)state;
    char line[512];
    struct cycle_record r = sample();
    format(line, sizeof line, &r);
    assert_string_equal(
        line, "gc 12 @61.234s 0%: 0.012+1.2+0.34 ms clock, 0.012+0.45/2.3/3.4+0.34 ms cpu, "
              "10->10->8 MB, 20 MB goal, 3 MB stacks, 4 MB globals, 1 P (forced)\n");
    r.pause.trigger = SH_TRIGGER_HEAP;
    format(line, sizeof line, &r);
    assert_non_null(strstr(line, ", 1 P\n"));
}

static void
test_percentage_is_the_collector_s_share(void **state)
{
    (void)state;
    char line[512];
    struct cycle_record r = sample();
    cycle.cpu_ns = (r.end_ns - cycle.start_ns) / 4;
    format(line, sizeof line, &r);
    assert_true(strstr(line, "s 25%: ") != NULL || strstr(line, "s 24%: ") != NULL);
}

static void
test_milliseconds_have_two_digits_and_at_most_three_decimals(void **state)
{
    (void)state;
    static const struct {
        uint64_t ns;
        const char *text;
    } cases[] = {
        {0, "0"},         {999, "0"},         {1000, "0.001"},        {12345, "0.012"},
        {99999, "0.099"}, {100000, "0.10"},   {123456, "0.12"},       {999999, "0.99"},
        {1000000, "1.0"}, {1234567, "1.2"},   {9999999, "9.9"},       {10000000, "10"},
        {12345678, "12"}, {123456789, "123"}, {12345678901, "12345"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char line[512], expected[64];
        struct cycle_record r = sample();
        r.mark_ns = cases[i].ns;
        format(line, sizeof line, &r);
        snprintf(expected, sizeof expected, ": 0.012+%s+0.34 ms clock, ", cases[i].text);
        if (strstr(line, expected) == NULL)
            fail_msg("wanted \"%s\" in %s", expected, line);
    }
}

static void
test_short_buffer_cuts_the_line(void **state)
{
    (void)state;
    char line[16];
    struct cycle_record r = sample();
    assert_int_equal(observe_format_trace(&r, line, sizeof line), 15);
    assert_string_equal(line, "gc 12 @61.234s ");
}

int
main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        collect_three_times();
    use_one_processor();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_collection_prints_one_line_of_go_s_shape),
        cmocka_unit_test(test_no_line_without_the_setting),
        cmocka_unit_test(test_fields_stand_where_go_prints_them),
        cmocka_unit_test(test_percentage_is_the_collector_s_share),
        cmocka_unit_test(test_milliseconds_have_two_digits_and_at_most_three_decimals),
        cmocka_unit_test(test_short_buffer_cuts_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
