/* The trace file: what stands in it, when it is written, and what is said when it cannot be. That
 * it is JSON is tested in harness/tests/test_trace_file.py. */
#include "folder.h"

#include "observe/events.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>

static struct outcome out;
static char text[4 << 20]; /* of the file looked at */

/* ---- Files ---- */

static void
load(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail_msg("%s: %s", path, strerror(errno));
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
}

static unsigned
count(const char *words)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, words)) != NULL; at++)
        n++;
    return n;
}

static void
assert_has(const char *words)
{
    if (count(words) == 0)
        fail_msg("no %s in: %s", words, text);
}

/* ---- Parts: what this program does when it is run anew ---- */

static void
collect_late(void)
{
    sh_collect();
}

static void
part_exit(void)
{
    atexit(collect_late);
    for (int i = 0; i < 10; i++)
        sh_collect();
    if (chdir("/") != 0)
        abort();
    exit(3);
}

static void
part_fork(void)
{
    sh_collect();
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 5; i++)
            sh_collect();
        exit(0);
    }
    waitpid(child, NULL, 0);
    struct stat file = {0}; /* so far from the child only */
    const char *name = getenv("SH_TRACE");
    if (name != NULL)
        stat(name, &file);
    fprintf(stderr, "%d %d %ld", (int)getpid(), (int)child, (long)file.st_size);
    exit(0);
}

static void *
exit_from_here(void *arg)
{
    exit(arg == NULL ? 4 : 5);
}

/* The static library does not know of this thread. */
static void
part_unknown_thread(void)
{
    pthread_t thread;
    sh_collect();
    pthread_create(&thread, NULL, exit_from_here, NULL);
    for (;;)
        pause();
}

static void
part_full(void)
{
    struct rlimit limit = {4096, 4096};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    for (int i = 0; i < 100; i++)
        sh_collect();
    exit(3);
}

static const struct program_part parts[] = {
    {"exit", part_exit},
    {"fork", part_fork},
    {"unknown thread", part_unknown_thread},
    {"full", part_full},
};

static void
run_tracing(const char *part, const char *path, const char *more)
{
    char setting[PATH_MAX];
    snprintf(setting, sizeof setting, "SH_TRACE=%s", path);
    run_anew(&out, part, (const char *const[]){setting, more, NULL});
}

/* ---- Tests of sh_trace_write() ---- */

static void
assert_refused(const char *path, int error)
{
    errno = 0;
    assert_int_equal(sh_trace_write(path), -1);
    assert_int_equal(errno, error);
}

static void
test_nothing_can_be_written_before_the_start(void **state)
{
    (void)state;
    const char *path = in_folder("early");
    assert_refused(path, EINVAL);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void
test_failure_is_told_by_errno(void **state)
{
    (void)state;
    sh_trace_start();
    assert_refused(NULL, EINVAL);
    assert_refused(in_folder("none/file"), ENOENT);
    assert_refused(folder, EISDIR);
    assert_refused("/dev/full", ENOSPC);
    assert_int_equal(sh_trace_write(in_folder("good")), 0);
}

static void
work_under_a_name(void *name)
{
    prctl(PR_SET_NAME, name);
    void *volatile kept = sh_alloc(100000);
    sh_collect();
    events_add(EVENT_ASSIST, 1, 2, 12345, 0);
    (void)kept;
}

static void
test_file_holds_phases_stops_counters_and_names(void **state)
{
    (void)state;
    static const char *const wanted[] = {
        "{\"name\":\"process_name\",\"ph\":\"M\"",
        "{\"name\":\"collection phases\"}",
        "{\"name\":\"world stopped\"}",
        "{\"name\":\"worker one\"}",
        "{\"name\":\"mark\",\"cat\":\"gc\",\"ph\":\"X\"",
        "{\"name\":\"sweep\",\"cat\":\"gc\",\"ph\":\"X\"",
        "{\"name\":\"sweep spans\",\"cat\":\"gc\",\"ph\":\"X\"",
        "{\"name\":\"signal\"",
        "{\"name\":\"roots\"",
        "{\"name\":\"rest\"",
        "\"trigger\":\"forced\"",
        "\"args\":{\"scanned_b\":12345}",
        "{\"name\":\"live heap\",\"ph\":\"C\"",
        "{\"name\":\"heap goal\",\"ph\":\"C\"",
        "{\"name\":\"resident memory\",\"ph\":\"C\"",
        ("\"version\":\"spanheap " SH_VERSION "\""),
        "\"lost_events\":0}}\n",
    };
    const char *path = in_folder("contents");
    sh_trace_start();
    char name[] = "worker one";
    run_elsewhere(work_under_a_name, name);
    assert_int_equal(sh_trace_write(path), 0);
    load(path);
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        assert_has(wanted[i]);
    assert_true(count("\"stop: mark") > 0);
}

static void
test_goal_that_is_off_is_no_point_of_a_curve(void **state)
{
    (void)state;
    const char *path = in_folder("off");
    sh_trace_start();
    int old = sh_set_gogc(SH_GOGC_OFF);
    sh_collect();
    assert_int_equal(sh_trace_write(path), 0);
    sh_set_gogc(old);
    load(path);
    assert_int_equal(count("18446744073709551615"), 0);
}

static void
test_any_name_of_a_thread_is_written(void **state)
{
    (void)state;
    static char names[][16] = {"a\"b\\c\td", "gr\xc3\xbc\xc3\x9f", "\xc3", "\xff\xe2\x82",
                               "\xed\xa0\x80"};
    static const char *const written[] = {"a\\u0022b\\u005cc\\u0009d", "gr\xc3\xbc\xc3\x9f", "?",
                                          "???", "???"};
    const char *path = in_folder("names");
    sh_trace_start();
    for (size_t i = 0; i < COUNT_OF(names); i++)
        run_elsewhere(work_under_a_name, names[i]);
    assert_int_equal(sh_trace_write(path), 0);
    load(path);
    for (size_t i = 0; i < COUNT_OF(written); i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "{\"name\":\"%s\"}}", written[i]);
        assert_has(expected);
    }
}

static void
test_file_can_be_written_again_and_is_replaced(void **state)
{
    (void)state;
    const char *path = in_folder("twice");
    sh_trace_start();
    for (int i = 0; i < 200; i++)
        sh_collect();
    assert_int_equal(sh_trace_write(path), 0);
    load(path);
    unsigned before = count("\"stop: mark");
    sh_collect();
    assert_int_equal(sh_trace_write(path), 0);
    load(path);
    assert_true(count("\"stop: mark") > before);
    assert_int_equal(count("traceEvents"), 1);
}

static void *
write_from_here(void *path)
{
    return sh_trace_write(path) == 0 ? path : NULL;
}

static void
test_thread_that_is_not_attached_may_write(void **state)
{
    (void)state;
    char path[PATH_MAX];
    pthread_t thread;
    void *result = NULL;
    snprintf(path, sizeof path, "%s", in_folder("stranger"));
    sh_trace_start();
    assert_int_equal(pthread_create(&thread, NULL, write_from_here, path), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, path);
    load(path);
    assert_has("\"lost_events\":");
}

/* ---- Tests of SH_TRACE ---- */

static void
test_exit_loses_no_event_and_no_status(void **state)
{
    (void)state;
    run_tracing("exit", in_folder("exit"), NULL);
    assert_int_equal(out.code, 3);
    assert_string_equal(out.text, "");
    load(in_folder("exit"));
    assert_int_equal(count("{\"name\":\"mark\""), 11); /* one of them in atexit() */
    assert_int_equal(count("\"trigger\":\"forced\""), count("{\"name\":\"stop: mark"));
    assert_has("\"lost_events\":0}}");
}

static void
test_relative_name_stands_for_where_the_program_began(void **state)
{
    (void)state;
    char before[PATH_MAX];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder), 0);
    run_tracing("exit", "relative", NULL);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(out.code, 3);
    load(in_folder("relative"));
    assert_has("\"lost_events\":0}}");
}

static void
test_small_ring_says_what_it_lost(void **state)
{
    (void)state;
    run_tracing("exit", in_folder("small"), "SH_EVENTS=5");
    assert_int_equal(out.code, 3);
    load(in_folder("small"));
    assert_has("\"events\":5,\"lost_events\":");
    assert_int_equal(count("\"lost_events\":0"), 0);
}

static void
test_full_device_is_told_and_changes_no_status(void **state)
{
    (void)state;
    run_tracing("exit", "/dev/full", NULL);
    assert_int_equal(out.code, 3);
    assert_string_equal(out.text, "spanheap: SH_TRACE=/dev/full: the trace cannot be written: No "
                                  "space left on device\n");
    run_tracing("full", in_folder("big"), NULL);
    assert_int_equal(out.code, 3);
    assert_non_null(strstr(out.text, "big: the trace cannot be written: File too large\n"));
}

static void
test_name_that_cannot_be_written_is_fatal_at_the_start(void **state)
{
    (void)state;
    run_tracing("exit", "/none/trace.json", NULL);
    assert_fatal(&out, "SH_TRACE=/none/trace.json cannot be written: No such file or directory");
    run_tracing("exit", folder, NULL);
    assert_fatal(&out, " cannot be written: Is a directory");
    run_tracing("exit", "", NULL);
    assert_fatal(&out, "SH_TRACE= cannot be read; give the name of the trace file to write");
    static char path[PATH_MAX + 1];
    memset(path, 'x', sizeof path - 1);
    static char setting[PATH_MAX + 16];
    snprintf(setting, sizeof setting, "SH_TRACE=%s", path);
    run_anew(&out, "exit", (const char *const[]){setting, NULL});
    assert_fatal(&out, "SH_TRACE=xxx");
}

static void
test_child_of_fork_leaves_its_parent_s_file_alone(void **state)
{
    (void)state;
    int parent = 0, child = 0;
    long written_b = -1;
    run_tracing("fork", in_folder("fork"), NULL);
    assert_success(&out);
    assert_int_equal(sscanf(out.text, "%d %d %ld", &parent, &child, &written_b), 3);
    assert_int_equal(written_b, 0);
    load(in_folder("fork"));
    assert_int_equal(count("{\"name\":\"mark\""), 1);
}

static void
test_percent_p_gives_each_process_a_file(void **state)
{
    (void)state;
    int parent = 0, child = 0;
    char name[64];
    run_tracing("fork", in_folder("of-%p.json"), NULL);
    assert_success(&out);
    assert_int_equal(sscanf(out.text, "%d %d", &parent, &child), 2);
    snprintf(name, sizeof name, "of-%d.json", parent);
    load(in_folder(name));
    assert_int_equal(count("{\"name\":\"mark\""), 1);
    snprintf(name, sizeof name, "of-%d.json", child);
    load(in_folder(name));
    assert_int_equal(count("{\"name\":\"mark\""), 6);
    snprintf(name, sizeof name, "\"pid\":%d", parent);
    assert_int_equal(count(name), 0);
}

static void
test_thread_that_is_not_attached_may_end_the_program(void **state)
{
    (void)state;
    run_tracing("unknown thread", in_folder("unknown"), NULL);
    assert_int_equal(out.code, 4);
    assert_string_equal(out.text, "");
    load(in_folder("unknown"));
    assert_int_equal(count("{\"name\":\"mark\""), 1);
}

int
main(int argc, char **argv)
{
    if (argc > 1)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_can_be_written_before_the_start),
        cmocka_unit_test(test_failure_is_told_by_errno),
        cmocka_unit_test(test_file_holds_phases_stops_counters_and_names),
        cmocka_unit_test(test_goal_that_is_off_is_no_point_of_a_curve),
        cmocka_unit_test(test_any_name_of_a_thread_is_written),
        cmocka_unit_test(test_file_can_be_written_again_and_is_replaced),
        cmocka_unit_test(test_thread_that_is_not_attached_may_write),
        cmocka_unit_test(test_exit_loses_no_event_and_no_status),
        cmocka_unit_test(test_relative_name_stands_for_where_the_program_began),
        cmocka_unit_test(test_small_ring_says_what_it_lost),
        cmocka_unit_test(test_full_device_is_told_and_changes_no_status),
        cmocka_unit_test(test_name_that_cannot_be_written_is_fatal_at_the_start),
        cmocka_unit_test(test_child_of_fork_leaves_its_parent_s_file_alone),
        cmocka_unit_test(test_percent_p_gives_each_process_a_file),
        cmocka_unit_test(test_thread_that_is_not_attached_may_end_the_program),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
