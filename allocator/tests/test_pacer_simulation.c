/*
 * The pacer in a simulated program: every cycle of Go 1.19.8's own pacer simulation, and of more
 * workloads that were run through it, is followed number by number (pacer.csv, pacer_more.csv).
 * Workloads that Go was not asked about must keep what the pacer promises.
 */
#include "pacer_simulation.h"

#define ROOM (64 << 10) /* bytes that a peak may be over its goal */

/* ---- Workloads ---- */

/* clang-format off */
#define IS(c) {{{CONSTANT, c, 0, 0}}}
#define FROM_BY(c, height, length) {{{CONSTANT, c, 0, 0}, {RAMP, height, length, 0}}}
#define FROM_BY_PEAK_AT(c, height, length, peak, at)                                               \
    {{{CONSTANT, c, 0, 0}, {RAMP, height, length, 0}, {UNIT, peak, 0, at}}}
#define STEP_AT(at, c, height) {{{CONSTANT, c, 0, 0}, {RAMP, height, 1, at}}}
#define PEAK_AT(c, height, at) {{{CONSTANT, c, 0, 0}, {UNIT, height, 0, at}}}
#define WAVES(c, height, period) {{{CONSTANT, c, 0, 0}, {WAVE, height, period, 0}}}

/* What most have: 100 percent, 8 processors, a heap that stops growing after 12 cycles. */
#define DEFAULTS                                                                                   \
    .percent = 100, .limit_b = NO_LIMIT, .globals_b = 32 << 10, .processors = 8,                   \
    .alloc = IS(33), .scan = IS(1024), .growth = FROM_BY(2, -1, 12), .scannable = IS(1),           \
    .stacks_b = IS(8192), .cycles = 50
#define WITH(...) {DEFAULTS, __VA_ARGS__}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"

static const struct workload of_go[] = {
    WITH(.name = "Steady"),
    WITH(.name = "SteadyBigGlobals", .globals_b = 128 * MIB, .alloc = IS(132)),
    WITH(.name = "StepAlloc", .alloc = STEP_AT(50, 33, 66), .cycles = 100),
    WITH(.name = "HeavyStepAlloc", .alloc = STEP_AT(50, 33, 330), .cycles = 100),
    WITH(.name = "StepScannableFrac", .alloc = IS(128), .scannable = PEAK_AT(0.2, 0.5, 50),
         .cycles = 100),
    WITH(.name = "SmallHeapSlowAlloc", .alloc = IS(1), .scan = IS(2048), .scannable = IS(0.01),
         .growth = FROM_BY(2, -1, 3)),
    WITH(.name = "MediumHeapSlowAlloc", .alloc = IS(1), .scan = IS(2048), .scannable = IS(0.01),
         .growth = FROM_BY(2, -1, 8)),
    WITH(.name = "LargeHeapSlowAlloc", .alloc = IS(1), .scan = IS(2048), .scannable = IS(0.01),
         .growth = FROM_BY(4, -3, 12)),
    WITH(.name = "SteadyMemoryLimit", .limit_b = 512 * MIB),
    WITH(.name = "SteadyMemoryLimitNoGCPercent", .limit_b = 512 * MIB, .percent = -1),
    WITH(.name = "ExceedMemoryLimitNoGCPercent", .limit_b = 512 * MIB, .percent = -1,
         .growth = FROM_BY(3.5, -2.5, 12)),
    WITH(.name = "MaintainMemoryLimit", .limit_b = 512 * MIB, .growth = FROM_BY(3, -2, 12)),
    WITH(.name = "MaintainMemoryLimitNoGCPercent", .limit_b = 512 * MIB, .percent = -1,
         .growth = FROM_BY(3, -2, 12)),
};

static const struct workload more[] = {
    WITH(.name = "SteadyBigStacks", .alloc = IS(132), .stacks_b = FROM_BY(2048, 128 * MIB, 8)),
    WITH(.name = "ExceedMemoryLimit", .limit_b = 512 * MIB, .growth = FROM_BY(3.5, -2.5, 12)),
    WITH(.name = "OscAlloc", .alloc = WAVES(67, 13, 8)),
    WITH(.name = "FallingAlloc", .alloc = STEP_AT(50, 330, -297), .cycles = 80),
    WITH(.name = "AllocStops", .alloc = STEP_AT(20, 330, -330)),
    WITH(.name = "LowPercent", .percent = 25),
    WITH(.name = "HighPercent", .percent = 1500, .alloc = IS(165),
         .growth = FROM_BY_PEAK_AT(2, -1, 12, 14, 25)),
    WITH(.name = "ZeroPercent", .percent = 0),
    WITH(.name = "OneProcessor", .processors = 1, .alloc = IS(200)),
    WITH(.name = "SmallMemoryLimit", .limit_b = 3 * MIB, .growth = FROM_BY(2, -1, 6)),
    WITH(.name = "ShrinkingHeap", .growth = FROM_BY_PEAK_AT(2, -1, 12, -0.9, 30)),
    WITH(.name = "FastAlloc", .alloc = IS(4096)),
    WITH(.name = "NothingScannable", .alloc = IS(132), .scannable = IS(0)),
};

#pragma GCC diagnostic pop
/* clang-format on */

/* ---- Go's figures ---- */

__asm__(".section .rodata\npacer_csv: .incbin \"tests/pacer.csv\"\n.byte 0\n.previous\n");
__asm__(".section .rodata\npacer_more_csv: .incbin \"tests/pacer_more.csv\"\n.byte 0\n.previous\n");
extern const char pacer_csv[], pacer_more_csv[];

enum column { CPU, LIVE, TRIGGER, PEAK, GOAL, COLUMNS };
static const char *const column_names[COLUMNS] = {"cpu", "live", "trigger", "peak", "goal"};
/* Go prints cpu to a tenth of a percent. Bytes are equal where doubles are rounded alike. */
static const double tolerances[COLUMNS] = {0.051, 1e-6, 1e-6, 1e-6, 1e-6};

/* The line of one cycle of a workload; *at moves from line to line. */
static struct row
read_row(const char **at, const char *name, int cycle)
{
    struct row row;
    int number;
    size_t length = strlen(name);
    if (strncmp(*at, name, length) != 0 ||
        sscanf(*at + length, ",%d,%lf,%" SCNu64 ",%" SCNu64 ",%" SCNu64 ",%" SCNu64, &number,
               &row.cpu_percent, &row.live_b, &row.trigger_b, &row.peak_b, &row.goal_b) != 6 ||
        number != cycle + 1)
        fail_msg("%s, cycle %d: not found in the table", name, cycle + 1);
    *at = strchr(*at, '\n') + 1;
    return row;
}

static double
relative(uint64_t ours, uint64_t gos)
{
    return fabs((double)ours - (double)gos) / (gos == 0 ? 1 : (double)gos);
}

/* Notes how far a row is from Go's. */
static void
compare_rows(double worst[COLUMNS], const struct row *ours, const struct row *gos, const char *name,
             int cycle)
{
    double off[COLUMNS] = {
        [CPU] = fabs(ours->cpu_percent - gos->cpu_percent),
        [LIVE] = relative(ours->live_b, gos->live_b),
        [TRIGGER] = relative(ours->trigger_b, gos->trigger_b),
        [PEAK] = relative(ours->peak_b, gos->peak_b),
        [GOAL] = relative(ours->goal_b, gos->goal_b),
    };
    for (int c = 0; c < COLUMNS; c++) {
        if (off[c] > tolerances[c])
            fail_msg("%s, cycle %d: %s is off by %g", name, cycle + 1, column_names[c], off[c]);
        if (off[c] > worst[c])
            worst[c] = off[c];
    }
}

static const char *
table_of(const char *csv, const char *name)
{
    char start[100];
    snprintf(start, sizeof start, "\n%s,", name);
    const char *at = strstr(csv, start);
    if (at == NULL)
        fail_msg("%s: not in the table", name);
    return at + 1;
}

static void
follow_go(const struct workload *workloads, size_t n, const char *csv)
{
    double worst[COLUMNS] = {0};
    for (size_t i = 0; i < n; i++) {
        const struct workload *w = &workloads[i];
        const char *at = table_of(csv, w->name);
        struct simulation s;
        simulation_init(&s, w);
        for (int cycle = 0; cycle < w->cycles; cycle++) {
            struct row ours = simulate_cycle(&s, cycle), gos = read_row(&at, w->name, cycle);
            compare_rows(worst, &ours, &gos, w->name, cycle);
        }
    }
    for (int c = 0; c < COLUMNS; c++)
        print_message("worst deviation of %s: %g\n", column_names[c], worst[c]);
}

static void
test_every_cycle_of_gos_workloads_is_gos(void **state)
{
    (void)state;
    follow_go(of_go, COUNT_OF(of_go), pacer_csv);
}

static void
test_every_cycle_of_more_workloads_is_gos(void **state)
{
    (void)state;
    follow_go(more, COUNT_OF(more), pacer_more_csv);
}

/* ---- Promises ---- */

static double
between(struct rng *r, double low, double high)
{
    return low + (high - low) * (double)rng_below(r, 1000001) / 1000000;
}

/* A program whose heap stops growing after ten cycles, and that can be collected by a quarter of
   the processors: the runway that it needs is within what the clamps of the trigger leave. */
static struct workload
any_steady_workload(struct rng *r)
{
    struct workload w = {.name = "steady", .cycles = 60, .limit_b = NO_LIMIT};
    w.percent = 25 + (int)rng_below(r, 600);
    w.processors = 1 + (unsigned)rng_below(r, 64);
    w.globals_b = 4096 + rng_below(r, MIB);
    double scannable = between(r, 0.05, 1), scan = between(r, 200, 4000);
    double most = scan * w.percent / 100 * 0.05;
    w.alloc = (struct stream)IS(between(r, most / 50, most));
    w.scan = (struct stream)IS(scan);
    w.growth = (struct stream)FROM_BY(1 + between(r, 0.5, 1.5), 0, 10);
    w.growth.parts[1].height = 1 - w.growth.parts[0].height;
    w.scannable = (struct stream)IS(scannable);
    w.stacks_b = (struct stream)IS((double)rng_below(r, MIB));
    return w;
}

static uint64_t
part_of_way(const struct row *row, unsigned parts)
{
    return row->live_b + (row->start_goal_b - row->live_b) / 64 * parts;
}

/* The clamps, by their definition. Sweeping may need the trigger to come later. */
static bool
trigger_is_clamped(const struct row *row)
{
    if (row->start_goal_b <= row->live_b)
        return row->trigger_b == row->start_goal_b;
    uint64_t latest = part_of_way(row, 61);
    if (row->start_goal_b > 4 * MIB && row->start_goal_b - 4 * MIB > latest)
        latest = row->start_goal_b - 4 * MIB;
    if (latest < row->live_b + MIB)
        latest = row->live_b + MIB;
    return row->trigger_b >= part_of_way(row, 45) && row->trigger_b <= latest &&
           row->trigger_b <= row->start_goal_b;
}

#define SEED 20240229
#define WORKLOADS 300

static void
test_steady_programs_settle_at_a_quarter_and_at_the_goal(void **state)
{
    (void)state;
    struct rng r = {SEED};
    for (int i = 0; i < WORKLOADS; i++) {
        uint64_t seed = r.state;
        struct workload w = any_steady_workload(&r);
        struct simulation s;
        simulation_init(&s, &w);
        for (int cycle = 0; cycle < w.cycles; cycle++) {
            struct row row = simulate_cycle(&s, cycle);
            assert_seeded(trigger_is_clamped(&row), seed);
            if (cycle < w.cycles - 10)
                continue;
            assert_seeded(row.cpu_percent >= 24.99 && row.cpu_percent < 26, seed);
            assert_seeded((double)row.peak_b <= (double)row.goal_b * 1.01 + ROOM, seed);
        }
    }
}

/* Anything goes: rates that jump, heaps that grow and shrink, limits that are too small. */
static struct workload
any_wild_workload(struct rng *r)
{
    struct workload w = any_steady_workload(r);
    w.name = "wild";
    double alloc = between(r, 1, 2000), growth = between(r, 0.8, 1.2);
    w.alloc = (struct stream){{{CONSTANT, alloc, 0, 0},
                               {NOISE, alloc, (int)rng_below(r, 1000), 0},
                               {RAMP, between(r, -alloc, alloc), 1, (int)rng_below(r, 60)}}};
    w.growth = (struct stream){{{CONSTANT, growth, 0, 0},
                                {NOISE, growth / 2, (int)rng_below(r, 1000), 0},
                                {UNIT, 4, 0, (int)rng_below(r, 60)}}};
    w.scannable.parts[1] = (struct part){NOISE, 0.5, (int)rng_below(r, 1000), 0};
    if (rng_below(r, 2) == 0)
        w.limit_b = MIB + rng_below(r, 64 * MIB);
    if (w.limit_b != NO_LIMIT && rng_below(r, 2) == 0)
        w.percent = -1;
    return w;
}

static void
test_wild_programs_keep_the_trigger_in_its_clamps(void **state)
{
    (void)state;
    struct rng r = {SEED + 1};
    for (int i = 0; i < WORKLOADS; i++) {
        uint64_t seed = r.state;
        struct workload w = any_wild_workload(&r);
        struct simulation s;
        simulation_init(&s, &w);
        for (int cycle = 0; cycle < w.cycles; cycle++) {
            struct row row = simulate_cycle(&s, cycle);
            assert_seeded(trigger_is_clamped(&row), seed);
            assert_seeded(row.cpu_percent >= 24.99 && row.cpu_percent <= 100.01, seed);
            assert_seeded(isfinite(s.pacer.cons_mark), seed);
        }
    }
}

static void
test_noise_moves_the_share_little(void **state)
{
    (void)state;
    struct rng r = {SEED + 2};
    for (int i = 0; i < WORKLOADS; i++) {
        uint64_t seed = r.state;
        struct workload w = any_steady_workload(&r);
        double alloc = w.alloc.parts[0].height;
        w.alloc.parts[1] = (struct part){NOISE, alloc / 10, (int)rng_below(&r, 1000), 0};
        struct simulation s;
        simulation_init(&s, &w);
        double sum = 0;
        for (int cycle = 0; cycle < w.cycles; cycle++) {
            struct row row = simulate_cycle(&s, cycle);
            sum += cycle >= 30 ? row.cpu_percent : 0;
            assert_seeded(cycle < 30 || (double)row.peak_b <= (double)row.goal_b * 1.05 + ROOM,
                          seed);
        }
        assert_seeded(sum / (w.cycles - 30) < 30, seed);
    }
}

static void
test_a_program_below_its_limit_stays_below_it(void **state)
{
    (void)state;
    struct rng r = {SEED + 3};
    for (int i = 0; i < WORKLOADS; i++) {
        uint64_t seed = r.state;
        struct workload w = any_steady_workload(&r);
        struct simulation free_of_limit, s;
        struct row row = {0};
        simulation_init(&free_of_limit, &w);
        for (int cycle = 0; cycle < w.cycles; cycle++)
            row = simulate_cycle(&free_of_limit, cycle);
        w.limit_b = row.live_b + row.live_b / 2 + 4 * MIB;
        simulation_init(&s, &w);
        for (int cycle = 0; cycle < w.cycles; cycle++) {
            row = simulate_cycle(&s, cycle);
            assert_seeded(row.goal_b <= w.limit_b - PACER_HEADROOM_B, seed);
            assert_seeded(cycle < 20 || row.peak_b <= w.limit_b, seed);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cycle_of_gos_workloads_is_gos),
        cmocka_unit_test(test_every_cycle_of_more_workloads_is_gos),
        cmocka_unit_test(test_steady_programs_settle_at_a_quarter_and_at_the_goal),
        cmocka_unit_test(test_noise_moves_the_share_little),
        cmocka_unit_test(test_a_program_below_its_limit_stays_below_it),
        cmocka_unit_test(test_wild_programs_keep_the_trigger_in_its_clamps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
