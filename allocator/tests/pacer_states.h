/* Pacers in a known state, for the tests of single formulas. */
#ifndef SPANHEAP_TESTS_PACER_STATES_H
#define SPANHEAP_TESTS_PACER_STATES_H

#include "check.h"

#include "collector/pacer.h"

#include <math.h>

#define MIB ((uint64_t)1 << 20)
#define KIB ((uint64_t)1 << 10)
#define NONE UINT64_MAX

/* A pacer after a cycle that left marked_b and scanned scanned_b of the heap, swept. */
static inline struct pacer
pacer_after(uint64_t marked_b, uint64_t scanned_b)
{
    struct pacer p;
    pacer_init(&p, 100, NONE);
    p.done.heap_b = scanned_b;
    pacer_reset_live(&p, marked_b);
    pacer_commit(&p, true);
    return p;
}

/* Like it, in a cycle that started at its trigger with 8 processors. */
static inline struct pacer
pacer_marking(uint64_t marked_b, uint64_t scanned_b)
{
    struct pacer p = pacer_after(marked_b, scanned_b);
    p.live_b = pacer_trigger(&p);
    p.scannable_b += p.live_b - p.marked_b;
    pacer_start_cycle(&p, 8, false);
    return p;
}

static inline void
assert_near(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-9 * fabs(expected)))
        fail_msg("%.17g is not %.17g", value, expected);
}

#endif
