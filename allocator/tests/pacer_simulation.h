/*
 * A simulated program for the pacer, after the one in Go 1.19.8's own pacer test: it allocates and
 * scans at given rates, in steps of half a millisecond. In a step the collector gets as much of the
 * processors as makes scanned/allocated equal to the assist ratio, and never less than the
 * background workers' quarter.
 */
#ifndef SPANHEAP_TESTS_PACER_SIMULATION_H
#define SPANHEAP_TESTS_PACER_SIMULATION_H

#include "check.h"

#include "collector/pacer.h"

#include <inttypes.h>
#include <math.h>

#define MIB ((uint64_t)1 << 20)
#define NO_LIMIT UINT64_MAX
#define STEP_NS 500000.0
#define KIB_PER_STEP 512.0 /* bytes in a step at 1 KiB per processor-millisecond */
#define FIRST_HEAP_B (256 << 10)
#define LEAST_RATE 0.0001

/* ---- Workloads ---- */

enum shape { NOTHING, CONSTANT, RAMP, UNIT, WAVE, NOISE };

/* A value for each cycle. RAMP goes from 0 to height in `length` cycles and stays; UNIT is height
   once; WAVE is a sine of that period; NOISE is anything between -height and height, `length` being
   its seed. Before `delay` cycles have passed all are 0. */
struct part {
    enum shape shape;
    double height;
    int length, delay;
};

#define PARTS 3
struct stream {
    struct part parts[PARTS]; /* their sum */
};

struct workload {
    const char *name;
    int percent, cycles;
    uint64_t limit_b, globals_b;
    unsigned processors;
    struct stream alloc, scan; /* KiB per processor-millisecond */
    struct stream growth;      /* of the marked heap, a factor */
    struct stream scannable;   /* part of the heap */
    struct stream stacks_b;
};

static inline double
part_at(const struct part *part, int cycle)
{
    int i = cycle - part->delay;
    if (i < 0)
        return 0;
    switch (part->shape) {
    case CONSTANT:
        return part->height;
    case RAMP:
        return part->height * (i < part->length ? i : part->length) / part->length;
    case UNIT:
        return i == 0 ? part->height : 0;
    case WAVE:
        return part->height * sin((double)(i % part->length) / part->length * 2 * M_PI);
    case NOISE: {
        struct rng r = {(uint64_t)part->length * 1000003 + (uint64_t)i + 1};
        rng_next(&r);
        return part->height * ((double)rng_below(&r, 2000001) / 1000000 - 1);
    }
    default:
        return 0;
    }
}

static inline double
stream_at(const struct stream *s, int cycle)
{
    double sum = 0;
    for (int i = 0; i < PARTS; i++)
        sum += part_at(&s->parts[i], cycle);
    return sum;
}

/* ---- The simulation ---- */

struct row {
    double cpu_percent;
    uint64_t live_b, trigger_b, peak_b;
    uint64_t goal_b;       /* as marking ended */
    uint64_t start_goal_b; /* before it started */
};

struct simulation {
    const struct workload *w;
    struct pacer pacer;
    int64_t black_b; /* allocated while the last cycle marked */

    /* Of the current cycle. */
    double alloc, scan, scannable;
    int64_t globals_left, stacks_left, heap_left;
    int64_t assist_ns, duration_ns;
    uint64_t start_goal_b;
};

static inline void
simulation_init(struct simulation *s, const struct workload *w)
{
    *s = (struct simulation){.w = w};
    pacer_init(&s->pacer, w->percent, w->limit_b);
}

/* Takes up to *budget from what is left of one kind of work. */
static inline int64_t
take(int64_t *left, int64_t *budget)
{
    int64_t n = *left < *budget ? *left : *budget;
    *left -= n;
    *budget -= n;
    return n;
}

/* Scans up to `budget` bytes. Returns how many there were. */
static inline int64_t
scan_some(struct simulation *s, int64_t budget)
{
    int64_t all = budget;
    struct pacer_work *done = &s->pacer.done;
    done->globals_b += (uint64_t)take(&s->globals_left, &budget);
    done->stacks_b += (uint64_t)take(&s->stacks_left, &budget);
    done->heap_b += (uint64_t)take(&s->heap_left, &budget);
    return all - budget;
}

static inline double
collector_share(const struct simulation *s)
{
    double wanted = s->pacer.assist_work_per_byte * s->alloc;
    double share = wanted / (wanted + s->scan);
    return share < PACER_BACKGROUND ? PACER_BACKGROUND : share;
}

/* Half a millisecond, or less if the work ends before. Returns the bytes allocated. */
static inline int64_t
simulate_step(struct simulation *s)
{
    double processors = s->w->processors, u = collector_share(s);
    double scan_rate = s->scan * KIB_PER_STEP * processors * u;
    int64_t budget = (int64_t)scan_rate, scanned = scan_some(s, budget);
    int64_t elapsed_ns = (int64_t)STEP_NS;
    if (scanned < budget)
        elapsed_ns = (int64_t)((double)scanned * STEP_NS / scan_rate);
    int64_t allocated =
        (int64_t)(s->alloc * KIB_PER_STEP * (double)elapsed_ns / STEP_NS * processors * (1 - u));
    s->pacer.live_b += (uint64_t)allocated;
    s->pacer.scannable_b += (uint64_t)((double)allocated * s->scannable);
    pacer_revise(&s->pacer);
    assert_true(s->pacer.assist_work_per_byte > 0 && isfinite(s->pacer.assist_work_per_byte));
    s->assist_ns += (int64_t)((double)elapsed_ns * processors * (u - PACER_BACKGROUND));
    s->duration_ns += elapsed_ns;
    return allocated;
}

static inline void
read_streams(struct simulation *s, int cycle)
{
    const struct workload *w = s->w;
    s->alloc = fmax(LEAST_RATE, stream_at(&w->alloc, cycle));
    s->scan = fmax(LEAST_RATE, stream_at(&w->scan, cycle));
    s->scannable = fmin(1, fmax(0, stream_at(&w->scannable, cycle)));
    s->pacer.stacks_b = (uint64_t)(floor(stream_at(&w->stacks_b, cycle) / 2048) * 2048);
    s->pacer.globals_b = w->globals_b;
    s->globals_left = (int64_t)w->globals_b;
    s->stacks_left = (int64_t)s->pacer.stacks_b;
    s->assist_ns = s->duration_ns = 0;
}

/* The heap reaches its trigger. */
static inline void
reach_trigger(struct simulation *s)
{
    struct pacer *p = &s->pacer;
    uint64_t trigger = pacer_trigger(p);
    s->start_goal_b = pacer_goal(p);
    p->live_b = trigger < p->marked_b ? p->marked_b : trigger;
    p->scannable_b += (uint64_t)((double)(p->live_b - p->marked_b) * s->scannable);
    pacer_start_cycle(p, s->w->processors, false);
}

static inline void
finish_cycle(struct simulation *s, uint64_t marked_b)
{
    struct pacer_times times = {
        .duration_ns = (uint64_t)s->duration_ns,
        .assist_ns = (uint64_t)s->assist_ns,
        .processors = s->w->processors,
        .background = PACER_BACKGROUND,
    };
    pacer_end_cycle(&s->pacer, &times);
    pacer_reset_live(&s->pacer, marked_b);
    pacer_commit(&s->pacer, false);
}

/* One collection, from the growth to its trigger to the next goal. Cycles are counted from 0. */
static inline struct row
simulate_cycle(struct simulation *s, int cycle)
{
    struct pacer *p = &s->pacer;
    read_streams(s, cycle);
    reach_trigger(s);
    double growth = fmax(LEAST_RATE, stream_at(&s->w->growth, cycle));
    int64_t heap_b = FIRST_HEAP_B;
    if (cycle > 0)
        heap_b = (int64_t)((double)((int64_t)p->marked_b - s->black_b) * growth);
    s->heap_left = (int64_t)((double)heap_b * s->scannable);
    s->black_b = 0;
    while (s->globals_left + s->stacks_left + s->heap_left > 0)
        s->black_b += simulate_step(s);
    double all_ns = (double)s->duration_ns * s->w->processors;
    struct row row = {
        .cpu_percent = 100 * ((double)s->assist_ns / all_ns + PACER_BACKGROUND),
        .live_b = p->marked_b,
        .trigger_b = p->triggered_b,
        .peak_b = p->live_b,
        .goal_b = pacer_goal(p),
        .start_goal_b = s->start_goal_b,
    };
    finish_cycle(s, (uint64_t)(heap_b + s->black_b));
    return row;
}

#endif
