/*
 * How much memory the scavenger leaves with the heap. Two goals, each of its own reason:
 *   - the heap should keep what it is going to use: what it used at the last cycle, grown as its
 *     goal grows, and a tenth more, since pages that come back are paid for twice;
 *   - under a memory limit, all of the library should keep 95 percent of it, so that the scavenger
 *     is at work before the limit is reached.
 * Set when a cycle ends and when a setting changes. Pure.
 *
 * Source: Go 1.19, runtime/mgcscavenge.go. Its second goal is multiplied by 95 instead of 0.95
 * there and never reached (newer Go mended it); here it is what was meant.
 */
#ifndef SPANHEAP_SCAVENGE_PACER_H
#define SPANHEAP_SCAVENGE_PACER_H

#include <stdint.h>

/* The state that the goals follow from; bytes. */
struct scavenge_state {
    uint64_t goal_b, last_goal_b; /* of the pacer, now and as the last cycle ended; 0: none yet */
    uint64_t last_in_use_b;       /* in spans as the last cycle ended */
    uint64_t retained_b;          /* in spans, and free but not given back, now */
    uint64_t memory_limit_b;      /* UINT64_MAX: none */
    uint64_t mapped_b;            /* all memory of the library that is not given back, now */
    uint64_t page_b;              /* of the operating system; a power of two */
};

/* UINT64_MAX: nothing to do. */
struct scavenge_goals {
    uint64_t heap_b;  /* release while retained memory is more than this */
    uint64_t limit_b; /* release while mapped memory is more than this */
};

struct scavenge_goals scavenge_pacer_goals(const struct scavenge_state *s);

#endif
