/* The environment variables: each does what it says, and a bad value is named. */
#include "check.h"

#include "collector/cycle.h"
#include "collector/pacing.h"
#include "collector/world.h"
#include "heap/os.h"
#include "heap/pageheap.h"

static struct outcome out;

static void
run_with(const char *part, const char *setting)
{
    run_anew(&out, part, (const char *const[]){setting, NULL});
}

static void
expect_shown(const char *setting, const char *shown)
{
    run_with("show", setting);
    assert_success(&out);
    if (strstr(out.text, shown) == NULL)
        fail_msg("%s: wanted \"%s\" in: %s", setting, shown, out.text);
}

/* ---- Parts: what this program does when it is run anew ---- */

static void
show(void)
{
    struct sh_stats stats;
    for (int i = 0; i < 20000; i++)
        sh_alloc_noscan(1024);
    sh_stats_read(&stats);
    fprintf(stderr, "gogc %d reserve %zu MiB signal %d period %llu collected %s verify %d\n",
            pacing_set_gogc(100), pageheap.reserved_b >> 20, world.signal,
            (unsigned long long)(cycle.period_ns / 1000000000u), stats.num_gc > 0 ? "yes" : "no",
            cycle.verify);
}

static void
die_dirty(void *out_word)
{
    uint32_t *p = sh_alloc_noscan(64);
    memset(p, 1, 64);
    *(uintptr_t *)out_word = hide(p);
}

static __attribute__((no_sanitize_address)) void
look_at_dead(void)
{
    uintptr_t hidden;
    run_elsewhere(die_dirty, &hidden);
    sh_collect();
    need(!is_alive(hidden), "the object is dead");
    const uint32_t *p = (const uint32_t *)~hidden;
    fprintf(stderr, "dead words %x %x\n", p[0], p[15]);
}

/* The clock is not waited for: the last collection is put into the past. */
static void
let_period_pass(void)
{
    struct sh_stats before, after;
    struct sh_pause pause;
    sh_collect();
    sh_stats_read(&before);
    for (int i = 0; i < 100; i++)
        sh_alloc(8192);
    sh_stats_read(&after);
    need(after.num_gc == before.num_gc, "no collection before its time");
    atomic_store(&cycle.last_end_ns, os_now_ns() - 8000000000u);
    for (int i = 0; i < 100; i++)
        sh_alloc(8192);
    sh_stats_read(&after);
    fprintf(stderr, "collections %u\n", after.num_gc - before.num_gc);
    sh_pauses_read(&pause, 1);
}

static void
corrupt(void)
{
    pageheap.inuse_pages++;
    sh_collect();
}

static void
restart_limited(void)
{
    const rlim_t limit_b = (rlim_t)400 << 20;
    struct rlimit limit = {limit_b, limit_b};
    setrlimit(RLIMIT_AS, &limit);
    execl("/proc/self/exe", "spanheap-test", "show", (char *)NULL);
}

static void
restart_starved(void)
{
    const rlim_t limit_b = (rlim_t)60 << 20;
    struct rlimit limit = {limit_b, limit_b};
    setrlimit(RLIMIT_AS, &limit);
    execl("/proc/self/exe", "spanheap-test", "show", (char *)NULL);
}

/* ---- Tests ---- */

static void
test_defaults_hold_without_any_variable(void **state)
{
    (void)state;
    run_anew(&out, "show", NULL);
    assert_success(&out);
    assert_non_null(strstr(out.text, "gogc 100 "));
    assert_non_null(strstr(out.text, " period 120 "));
    assert_non_null(strstr(out.text, " collected yes verify 0"));
    char expected[32];
    snprintf(expected, sizeof expected, " signal %d ", SIGPWR);
    assert_non_null(strstr(out.text, expected));
}

static void
test_gogc_sets_the_growth(void **state)
{
    (void)state;
    expect_shown("SH_GOGC=50", "gogc 50 ");
    expect_shown("SH_GOGC=0", "gogc 0 ");
    expect_shown("SH_GOGC=100000", "gogc 100000 reserve");
    expect_shown("SH_GOGC=off", "gogc -1 ");
    expect_shown("SH_GOGC=off", " collected no ");
}

static void
test_reserve_sets_the_address_space(void **state)
{
    (void)state;
    expect_shown("SH_RESERVE=128MiB", " reserve 128 MiB ");
    expect_shown("SH_RESERVE=1GiB", " reserve 1024 MiB ");
    expect_shown("SH_RESERVE=65536KiB", " reserve 64 MiB ");
    expect_shown("SH_RESERVE=67108865", " reserve 128 MiB "); /* whole arenas */
    expect_shown("SH_RESERVE=1B", " reserve 64 MiB ");
}

static void
test_signal_and_period_are_taken(void **state)
{
    (void)state;
    expect_shown("SH_SIGNAL=12", " signal 12 ");
    expect_shown("SH_GC_PERIOD=7", " period 7 ");
    expect_shown("SH_GC_PERIOD=0", " period 0 ");
    expect_shown("SH_VERIFY=1", " verify 1");
}

static void
test_bad_value_is_fatal_and_named(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "SH_GOGC=",
        "SH_GOGC=fast",
        "SH_GOGC=-1",
        "SH_GOGC=10%",
        "SH_GOGC=99999999999",
        "SH_GCTRACE=2",
        "SH_GCTRACE=yes",
        "SH_RESERVE=1GB",
        "SH_RESERVE=big",
        "SH_RESERVE= 1GiB",
        "SH_RESERVE=99999999TiB",
        "SH_GC_PERIOD=1s",
        "SH_GC_PERIOD=-5",
        "SH_SIGNAL=SIGPWR",
        "SH_CLOBBER=on",
        "SH_VERIFY=3",
        "SH_DEBUG_HEAP=2",
        "SH_QUARANTINE=1MB",
        "SH_HUGEPAGES=2",
        "SH_HUGEPAGES=always",
        "SH_RESERVE=99999999999999999999",
        "SH_VERIFY=99999999999999999999",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char message[64];
        run_with("show", bad[i]);
        snprintf(message, sizeof message, "%s cannot be read; give ", bad[i]);
        assert_fatal(&out, message);
    }
}

static void
test_signal_that_cannot_be_caught_is_fatal_and_named(void **state)
{
    (void)state;
    run_with("show", "SH_SIGNAL=9");
    assert_fatal(&out, "SH_SIGNAL: signal 9");
    run_with("show", "SH_SIGNAL=4000");
    assert_fatal(&out, "SH_SIGNAL: signal 4000");
}

static void
test_clobber_fills_dead_objects(void **state)
{
    (void)state;
    run_with("look at dead", "SH_CLOBBER=1");
    assert_success(&out);
    assert_string_equal(out.text, "dead words deadbeef deadbeef\n");
    run_with("look at dead", "SH_CLOBBER=0");
    assert_success(&out);
    assert_string_equal(out.text, "dead words 1010101 1010101\n");
}

static void
test_period_forces_a_collection(void **state)
{
    (void)state;
    run_with("period", "SH_GC_PERIOD=5");
    assert_success(&out);
    assert_string_equal(out.text, "collections 1\n");
    run_with("period", "SH_GC_PERIOD=0");
    assert_success(&out);
    assert_string_equal(out.text, "collections 0\n");
}

static void
test_verify_finds_a_wrong_counter_in_a_collection(void **state)
{
    (void)state;
    run_with("corrupt", "SH_VERIFY=1");
    assert_fatal(&out, "heap check: pages in spans are miscounted");
    run_with("corrupt", "SH_VERIFY=0");
    assert_success(&out);
}

static void
test_small_address_space_still_starts(void **state)
{
    (void)state;
    if (UNDER_ASAN)
        skip(); /* its shadow alone needs more */
    run_anew(&out, "limited", NULL);
    assert_success(&out);
    assert_non_null(strstr(out.text, " collected yes "));
}

static void
test_no_address_space_at_all_is_fatal_and_says_why(void **state)
{
    (void)state;
    if (UNDER_ASAN)
        skip();
    run_anew(&out, "starved", NULL);
    assert_fatal(&out, "no address space: cannot reserve even 64 MiB");
}

static const struct program_part parts[] = {
    {"show", show},       {"look at dead", look_at_dead}, {"period", let_period_pass},
    {"corrupt", corrupt}, {"limited", restart_limited},   {"starved", restart_starved},
};

int
main(int argc, char **argv)
{
    if (argc > 1)
        return run_part(parts, COUNT_OF(parts), argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_hold_without_any_variable),
        cmocka_unit_test(test_gogc_sets_the_growth),
        cmocka_unit_test(test_reserve_sets_the_address_space),
        cmocka_unit_test(test_signal_and_period_are_taken),
        cmocka_unit_test(test_bad_value_is_fatal_and_named),
        cmocka_unit_test(test_signal_that_cannot_be_caught_is_fatal_and_named),
        cmocka_unit_test(test_clobber_fills_dead_objects),
        cmocka_unit_test(test_period_forces_a_collection),
        cmocka_unit_test(test_verify_finds_a_wrong_counter_in_a_collection),
        cmocka_unit_test(test_small_address_space_still_starts),
        cmocka_unit_test(test_no_address_space_at_all_is_fatal_and_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
