/*
 * The limiter: a collector that cannot keep up must not take the whole machine.
 *
 * A leaky bucket of processor time. What the collector uses flows in, what the program uses flows
 * out, so the level rises only while the collector has more than half. A full bucket means: limit,
 * that is, let no thread assist. The capacity of one second for each processor is what a short
 * burst may use; the level never goes below 0, so that an idle day buys no storm the day after.
 *
 * Source: Go 1.19, runtime/mgclimit.go. Time comes from the caller, in nanoseconds of one monotonic
 * clock. No locks: the owner serialises the calls, and publishes `limiting` where others read it.
 */
#ifndef SPANHEAP_LIMITER_H
#define SPANHEAP_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

#define LIMITER_CAPACITY_NS UINT64_C(1000000000) /* for each processor */
#define LIMITER_PERIOD_NS UINT64_C(10000000)     /* an update is due after so much time */

struct limiter {
    bool limiting;        /* the answer: threads should not assist */
    bool marking;         /* background workers run */
    bool in_transition;   /* between limiter_begin_transition and limiter_end_transition */
    unsigned processors;  /* that the program may use */
    double background;    /* share of all processors that background workers take while marking */
    uint64_t fill_ns;     /* level of the bucket, processor time; <= capacity_ns */
    uint64_t capacity_ns; /* processor time */
    uint64_t overflow_ns; /* processor time that found the bucket full, ever */
    uint64_t assist_ns;   /* processor time of assists since the last update; the owner adds */
    uint64_t idle_ns;     /* processor time nobody wanted, with what idle workers used; likewise */
    uint64_t updated_ns;  /* time of the last update */
};

/** An empty bucket at time now_ns. background starts at 0.25. */
void limiter_init(struct limiter *l, uint64_t now_ns, unsigned processors);
/** Moves the bucket to now_ns. A time before the last update changes nothing. */
void limiter_update(struct limiter *l, uint64_t now_ns);
/** Whether the last update is more than LIMITER_PERIOD_NS ago. */
bool limiter_is_due(const struct limiter *l, uint64_t now_ns);
/** In a stop, as it begins: marking starts (true) or ends (false). It must change. */
void limiter_begin_transition(struct limiter *l, bool marking, uint64_t now_ns);
/** As that stop ends: its time counts as the collector's, on every processor. */
void limiter_end_transition(struct limiter *l, uint64_t now_ns);
/** Another number of processors. Not while marking. */
void limiter_set_processors(struct limiter *l, unsigned processors, uint64_t now_ns);

#endif
