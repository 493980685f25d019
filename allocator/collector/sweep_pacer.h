/*
 * Proportional sweeping: whoever takes memory for a span first sweeps its share, so that the last
 * page is swept a little before the heap reaches the next trigger. Without it the thread that
 * starts the next cycle would find all that is left.
 *
 * Set after each cycle, and again when the trigger moves. Pure; the owner serialises and publishes.
 * Source: Go 1.19, runtime/mgcsweep.go.
 */
#ifndef SPANHEAP_SWEEP_PACER_H
#define SPANHEAP_SWEEP_PACER_H

#include <stdint.h>

struct sweep_pacer {
    double pages_per_byte; /* to sweep for each byte that the heap grows; 0: nothing to do */
    uint64_t live_b;       /* live heap from which it counts */
    uint64_t swept_pages;  /* pages swept by then in this cycle */
};

/**
 * Spreads the in_use_pages - swept_pages that are left over the growth from live_b to trigger_b
 * less a margin of 1 MiB. swept_pages counts from the start of the sweep. All swept: the ratio is
 * 0.
 */
void sweep_pacer_set(struct sweep_pacer *s, uint64_t trigger_b, uint64_t live_b,
                     uint64_t in_use_pages, uint64_t swept_pages);

/**
 * Pages to sweep before a span of span_b bytes is taken, the live heap being live_b. The caller may
 * go on without them when no span is left to sweep. caller_pages: pages that it will sweep itself
 * for this span.
 */
uint64_t sweep_pacer_debt(const struct sweep_pacer *s, uint64_t live_b, uint64_t span_b,
                          uint64_t swept_pages, uint64_t caller_pages);

#endif
