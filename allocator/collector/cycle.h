/*
 * A collection, from its trigger to its end:
 *   1. what the last cycle left unswept is swept, while the program runs;
 *   2. a short stop: barrier on, new objects black, all roots read (PHASE_MARK);
 *   3. marking beside the program: background workers, assisting threads (markers.h, assist.h);
 *   4. when no work can be seen, a short stop looks once more, at what the barriers have recorded.
 *      If that is much, marking goes on. Else it is over: caches return their spans, the sweep
 *      generation moves, the next goal is set, the barrier goes off (PHASE_OFF);
 *   5. the program runs; spans are swept in the background and as they are needed.
 * In stop-the-world mode 2 to 4 are one stop.
 *
 * Who finds the heap at its trigger does 1 and 2, who finds nothing left to mark does 4, whoever it
 * is: a collection ends even if the workers get no processor.
 */
#ifndef SPANHEAP_CYCLE_H
#define SPANHEAP_CYCLE_H

#include "collector/barrier.h"
#include "collector/markers.h"
#include "collector/roots.h"

#include <spanheap.h>

enum gc_phase { PHASE_OFF, PHASE_MARK, PHASE_MARK_TERMINATION };
enum gc_mode { MODE_CONCURRENT, MODE_STW };

/* What one collection did, for the trace line. */
struct cycle_record {
    struct sh_pause pause; /* its last stop */
    uint64_t start_ns;     /* when its first stop was asked for */
    uint64_t end_ns;
    /* By the clock: the first stop, marking, the last stop. Where marking stops the world: reaching
       the stop, marking, the rest of it. */
    uint64_t stop_ns, mark_ns, end_stop_ns;
    uint64_t assist_cpu_ns, background_cpu_ns, idle_cpu_ns; /* of marking, by who did it */
    uint64_t live_before_b, live_after_b, marked_b, goal_b;
};

struct cycle {
    _Atomic uint32_t phase;             /* enum gc_phase */
    _Atomic uint64_t goal_b, trigger_b; /* UINT64_MAX: off */
    enum gc_mode mode;
    enum barrier_kind barrier;
    bool trace, verify;
    uint64_t period_ns; /* a collection at least so often; 0: no such rule */
    _Atomic uint64_t last_end_ns;
    uint64_t start_ns;                /* of the library */
    uint64_t marked_b, most_marked_b; /* by the last one, and by the one that found most */
    struct root_bytes roots;          /* as read last */
    uint64_t stacks_b;       /* scanned of all stacks by the last one, those of parked tasks too */
    _Atomic uint32_t cycles; /* finished */
    uint32_t forced;
    uint64_t cpu_ns;           /* spent by the collector, all processors */
    void (*on_start[4])(void); /* run in the first stop, before the roots are read */
    /* Of the collection that runs. */
    struct cycle_record now;
    uint64_t uncharged_b; /* of heap_size.live_b at its start: free slots in caches */
    uint32_t tries;       /* to end it that found more work */
    bool small;           /* the last one had little to scan */
};
extern struct cycle cycle;

/** sh_store() into a slot of the heap that holds no pointer: the deletion barrier would record
 * nothing. */
static inline void
cycle_fill(void *slot, void *value)
{
    if (likely(cycle.barrier == BARRIER_DELETION))
        atomic_store_explicit((void *_Atomic *)slot, value, memory_order_relaxed);
    else
        sh_store(slot, value);
}

/** Starts a collection, unless one runs or another thread's has made it unnecessary. */
void cycle_begin(enum sh_gc_trigger trigger);
/** Collects, and returns when it is over. Helps a running one to its end first. */
void cycle_run(enum sh_gc_trigger trigger);
/** Marks until the collection that runs, if one does, is over. In the safe state. */
void cycle_help_to_end(void);
/** Ends the running collection if nothing is left to mark. In the safe state. */
void cycle_try_end(void);
/** Runs work(arg) in a stop for statistics, and tells of it; *pause is for the pause hook, which is
 * called afterwards. Under the cycle lock, in the safe state. */
void cycle_stop_to_read(void (*work)(void *arg), void *arg, struct sh_pause *pause);
/** The longest time without a collection has passed. */
bool cycle_is_due(void);
/** In the child of a fork: gives the running collection up. */
void cycle_abandon(void);
/** Calls `function` at the start of each collection, while the world is stopped. At most 4. */
void cycle_on_start(void (*function)(void));

static inline bool
cycle_is_marking(void)
{
    return atomic_load_explicit(&cycle.phase, memory_order_acquire) == PHASE_MARK;
}

#endif
