/*
 * A collection, from its trigger to its end:
 *   1. what the last cycle left unswept is swept, while the program runs;
 *   2. the world is stopped, thread caches return their spans, the roots are read, marking runs to
 *      its end (PHASE_MARK), the generation moves (PHASE_MARK_TERMINATION), the next goal is set;
 *   3. the world runs; spans are swept as they are needed.
 * Concurrent marking splits step 2 at its two ends and lets the world run in between.
 */
#ifndef SPANHEAP_CYCLE_H
#define SPANHEAP_CYCLE_H

#include "collector/roots.h"

#include <spanheap.h>

enum gc_phase { PHASE_OFF, PHASE_MARK, PHASE_MARK_TERMINATION };

struct cycle {
    _Atomic uint32_t phase;  /* enum gc_phase */
    _Atomic uint64_t goal_b; /* UINT64_MAX: off */
    int gogc;
    bool trace, verify;
    uint64_t period_ns; /* a collection at least so often; 0: no such rule */
    _Atomic uint64_t last_end_ns;
    uint64_t start_ns; /* of the library */
    uint64_t marked_b;
    struct root_bytes roots;
    _Atomic uint32_t cycles;
    uint32_t forced;
    uint64_t cpu_ns;           /* spent by the collector, all processors */
    void (*on_start[4])(void); /* run in the stop, before the roots are read */
};
extern struct cycle cycle;

/* What one collection did, for the trace line. Times of its stop are in the pause. */
struct cycle_record {
    struct sh_pause pause;
    uint64_t mark_ns, mark_cpu_ns, end_ns;
    uint64_t live_before_b, live_after_b, marked_b, goal_b;
};

/** Collects, unless another thread's collection has made it unnecessary (forced ones always run).
 */
void cycle_run(enum sh_gc_trigger trigger);
/** Calls `function` at the start of each collection, while the world is stopped. At most 4. */
void cycle_on_start(void (*function)(void));
/** Recomputes the goal from what was marked last. Under the cycle lock. */
void cycle_set_goal(void);

#endif
