/*
 * The driver: see pitfall.h for what a variant gives it and the order of the phases.
 *
 * Exact numbers come from the heap's own counters, read before and after the timed region. Nothing
 * between the two readings belongs to the driver but a loop: no output, no allocation, no clock.
 * What a round leaves behind is measured afterwards, in a round of its own, so that looking at it
 * disturbs no time and no peak.
 */
#include "pitfall.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "arguments.h"
#include "output.h"
#include "probe.h"

enum {
    SPARE_DESCRIPTORS = 16, /* standard streams, the record, /proc */
};

const struct sh_type PITFALL_BYTE = {.name = "byte", .size = 1};
const struct sh_type PITFALL_INT64 = {.name = "int64", .size = sizeof(int64_t)};
const struct sh_type PITFALL_SLICE = SH_TYPE(struct sh_slice, SH_POINTER_AT(struct sh_slice, data));

static struct own_numbers own;

/* ---- What a variant calls -------------------------------------------------------------------- */

void
pitfall_fail(const char *format, ...)
{
    va_list rest;

    fprintf(stderr, "%s.%s: ", PITFALL.id, PITFALL.variant);
    va_start(rest, format);
    vfprintf(stderr, format, rest);
    va_end(rest);
    fputs("\n", stderr);
    exit(1);
}

void
pitfall_metric(const char *key, uint64_t value)
{
    if (own.nmetrics == METRICS_MAX)
        pitfall_fail("more than %d metrics: raise METRICS_MAX in output.h", METRICS_MAX);
    own.metrics[own.nmetrics].key = key;
    own.metrics[own.nmetrics++].value = value;
}

void
pitfall_list(const char *key, const uint64_t *values, size_t count)
{
    if (own.nlists == LISTS_MAX)
        pitfall_fail("more than %d lists: raise LISTS_MAX in output.h", LISTS_MAX);
    own.lists[own.nlists].key = key;
    own.lists[own.nlists].values = values;
    own.lists[own.nlists++].count = count;
}

void
pitfall_saw(double value, double expected)
{
    own.seen.known = 1;
    own.seen.value = value;
    own.seen.expected = expected;
}

void
pitfall_need_descriptors(uint64_t n)
{
    struct rlimit limit;
    uint64_t needed = n + SPARE_DESCRIPTORS;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        pitfall_fail("the limit of open files cannot be read: %s", strerror(errno));
    if (limit.rlim_cur >= needed)
        return;
    if (limit.rlim_max < needed)
        pitfall_fail("n = %" PRIu64 " needs %" PRIu64 " file descriptors and the hard limit is "
                     "%" PRIu64 ": raise it (ulimit -Hn, as root) or give a smaller --n",
                     n, needed, (uint64_t)limit.rlim_max);
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        pitfall_fail("the limit of open files cannot be raised: %s", strerror(errno));
}

/* ---- The round that is looked at ------------------------------------------------------------- */

static struct {
    int on;
    uint64_t calls;
    int64_t baseline_b, baseline_fds;
    struct left_behind result;
} look;

/* The object that --explain asks about. */
static struct {
    int on;
    uintptr_t hidden; /* the complement of its address, which keeps nothing alive; 0: none */
    char *words;      /* why it is alive */
} retains;

void
pitfall_retains(const void *p)
{
    if (retains.on)
        retains.hidden = ~(uintptr_t)p;
}

static void
explain_moment(int64_t held_b)
{
    free(retains.words);
    probe_clear_stack();
    retains.words = output_explain(retains.hidden, held_b);
}

void
pitfall_look(void)
{
    if (!look.on)
        return;
    look.calls++;
    if ((look.calls & (look.calls - 1)) != 0)
        return;
    int64_t held_b = probe_live_b() - look.baseline_b;
    int64_t open_fds = probe_open_descriptors() - look.baseline_fds;
    if (!look.result.looked || held_b >= look.result.held_b) {
        look.result.held_b = held_b;
        if (retains.on && retains.hidden != 0)
            explain_moment(held_b);
    }
    if (!look.result.looked || open_fds > look.result.open_fds)
        look.result.open_fds = open_fds;
    look.result.looked = 1;
}

/* The subject of retained_b runs in a frame of its own, which is gone when it has returned. */
static PITFALL_NOINLINE uint64_t
run_round(uint64_t n)
{
    return PITFALL.run(n);
}

static PITFALL_NOINLINE void
look_at_round(uint64_t n)
{
    if (PITFALL.teardown != NULL)
        PITFALL.teardown();
    look.baseline_b = probe_live_b();
    look.baseline_fds = probe_open_descriptors();
    look.on = 1;
    run_round(n);
    look.on = 0;
}

static struct left_behind
measure_left_behind(uint64_t n)
{
    look_at_round(n);
    look.result.retained_b = probe_live_b() - look.baseline_b;
    return look.result;
}

static int
explain(const struct arguments *args)
{
    retains.on = 1;
    look_at_round(args->n);
    retains.on = 0;
    if (retains.hidden == 0)
        pitfall_fail("--explain: this variant marks no object with pitfall_retains()");
    if (retains.words == NULL)
        explain_moment(-1);
    output_explanation(args, retains.words);
    free(retains.words);
    return 0;
}

/* ---- The timed region ------------------------------------------------------------------------ */

static void
mark(const char *name)
{
    if (own.nmarks < MARKS_MAX) {
        own.marks[own.nmarks].name = name;
        own.marks[own.nmarks++].at_ns = probe_now_ns();
    }
}

static PITFALL_NOINLINE uint64_t
run_rounds(uint64_t n, uint64_t count)
{
    uint64_t work = 0;

    for (uint64_t i = 0; i < count; i++)
        work += PITFALL.run(n);
    return work;
}

struct worker {
    pthread_t thread;
    pthread_barrier_t *gate;
    uint64_t n, count, work;
};

static void
pass_gate(pthread_barrier_t *gate)
{
    sh_blocking_begin();
    pthread_barrier_wait(gate);
    sh_blocking_end();
}

static void *
work_in_thread(void *arg)
{
    struct worker *worker = arg;

    pass_gate(worker->gate);
    worker->work = run_rounds(worker->n, worker->count);
    return NULL;
}

/* Fills in the beginning of the timed region, up to its first clock reading. */
static void
begin_region(struct timed *timed)
{
    timed->peak_was_reset = probe_reset_peak();
    timed->rss_before_b = probe_status_b("VmRSS");
    sh_stats_read(&timed->before);
    probe_pauses_start();
    probe_cpu_ns(&timed->user_ns, &timed->sys_ns);
}

static void
end_region(struct timed *timed)
{
    uint64_t user_ns, sys_ns;

    timed->end_ns = probe_now_ns();
    probe_cpu_ns(&user_ns, &sys_ns);
    probe_pauses_stop();
    timed->peak_rss_b = probe_status_b("VmHWM");
    sh_stats_read(&timed->after);
    timed->user_ns = user_ns - timed->user_ns;
    timed->sys_ns = sys_ns - timed->sys_ns;
}

static void
time_threads(struct timed *timed, const struct arguments *args)
{
    struct worker *workers = calloc(args->threads, sizeof *workers);
    pthread_barrier_t gate;

    if (workers == NULL)
        pitfall_fail("no memory for %" PRIu64 " threads", args->threads);
    pthread_barrier_init(&gate, NULL, (unsigned)args->threads + 1);
    for (uint64_t i = 0; i < args->threads; i++) {
        workers[i] = (struct worker){.gate = &gate, .n = args->n, .count = timed->count};
        int failed = sh_thread_create(&workers[i].thread, NULL, work_in_thread, &workers[i]);
        if (failed != 0)
            pitfall_fail("thread %" PRIu64 " cannot be made: %s", i + 1, strerror(failed));
    }
    begin_region(timed);
    timed->start_ns = probe_now_ns();
    pass_gate(&gate);
    for (uint64_t i = 0; i < args->threads; i++) {
        sh_thread_join(workers[i].thread, NULL);
        timed->work += workers[i].work;
    }
    end_region(timed);
    pthread_barrier_destroy(&gate);
    free(workers);
}

static struct timed
time_rounds(const struct arguments *args, uint64_t count)
{
    struct timed timed = {.count = count, .ops = count * args->threads};

    if (PITFALL.op == PITFALL_OP_IS_ONE_OF_N)
        timed.ops *= args->n;
    if (args->threads > 1) {
        time_threads(&timed, args);
        return timed;
    }
    begin_region(&timed);
    timed.start_ns = probe_now_ns();
    timed.work = run_rounds(args->n, count);
    end_region(&timed);
    return timed;
}

static struct timed
measure(const struct arguments *args)
{
    uint64_t count = args->count;
    struct timed timed = time_rounds(args, count);

    while ((double)(timed.end_ns - timed.start_ns) < args->seconds * 1e9) {
        count *= 2;
        timed = time_rounds(args, count);
    }
    return timed;
}

/* ---- The run -------------------------------------------------------------------------------- */

int
main(int argc, char **argv)
{
    mark("start");
    struct arguments args = arguments_read(&PITFALL, argc, argv);

    sh_init();
    probe_pauses_init();
    if (PITFALL.setup != NULL)
        PITFALL.setup(args.n);
    if (args.start_only)
        return 0;
    if (args.explain)
        return explain(&args);
    mark("collect");
    sh_collect();
    mark("warm-up");
    run_rounds(args.n, args.warmup);
    mark("timed");
    struct timed timed = measure(&args);
    if (PITFALL.report != NULL)
        PITFALL.report(args.n);
    mark("left behind");
    probe_clear_stack(); /* or the next frame would lie over pointers of the timed rounds */
    struct left_behind left = measure_left_behind(args.n);
    mark("end");
    if (output_record_wanted())
        output_record(&args, &timed, &left, &own);
    else
        output_line(&args, &timed, &left, &own);
    return 0;
}
