/*
 * The pacer: when a collection starts, how large the heap may grow meanwhile, and how much threads
 * must help so that marking ends by then.
 *
 *   goal      the heap size at which marking should be over
 *   trigger   the heap size at which it starts; goal - trigger is the runway
 *   cons/mark bytes allocated for each byte scanned, if one processor did each: the one thing that
 *             is learned from cycle to cycle. It turns the bytes to scan into the runway needed.
 *   assist    while marking, who allocates a byte owes assist_work_per_byte bytes of scanning;
 *             with a good runway the background workers have done it before
 *
 * All is a pure function of the numbers in struct pacer. There is no clock, no lock and no global:
 * the owner (collector/cycle.c) serialises the calls, stores its counters in the fields marked so
 * before a call, and publishes what other threads read. The order in a cycle:
 *
 *   pacer_start_cycle    in the first stop, when live_b has reached pacer_trigger()
 *   pacer_revise         while marking, whenever live_b, scannable_b, memory or done have changed
 *   pacer_end_cycle      in the last stop, with the final numbers; then
 *   pacer_reset_live     and
 *   pacer_commit         which give the next goal and trigger
 *
 * A setting may change at any time; pacer_commit must follow, and pacer_revise too while marking.
 * Sizes are bytes; UINT64_MAX means off, none or never. Sums that would be more stay there.
 *
 * Source: Go 1.19, runtime/mgcpacer.go, and its design document 44167-gc-pacer-redesign.
 */
#ifndef SPANHEAP_PACER_H
#define SPANHEAP_PACER_H

#include "collector/pi_controller.h"

#include <stdbool.h>
#include <stdint.h>

#define PACER_HEAP_MIN_B ((uint64_t)4 << 20)      /* smallest goal at 100 percent */
#define PACER_HEADROOM_B ((uint64_t)1 << 20)      /* kept free below a memory limit */
#define PACER_SWEEP_ROOM_B ((uint64_t)1 << 20)    /* heap growth that sweeping is given at least */
#define PACER_LEAST_RUNWAY_B ((uint64_t)64 << 10) /* from where a cycle started to its goal */
#define PACER_BACKGROUND 0.25                     /* share of the processors that mark */

/* What has been scanned in this cycle. */
struct pacer_work {
    uint64_t heap_b, stacks_b, globals_b;
};

/* Where memory is. Needed for a memory limit only; all 0 means that the limit is the heap's own. */
struct pacer_memory {
    uint64_t mapped_b;  /* all that the library holds and has not given back */
    uint64_t free_b;    /* of these, in no span */
    uint64_t objects_b; /* of these, in objects, also dead ones that were not swept */
};

/* Who marks, from the number of processors. */
struct pacer_workers {
    unsigned dedicated; /* workers that mark from beginning to end */
    unsigned idle_max;  /* more that may mark on processors nobody needs */
    double fractional;  /* share of its time that each other processor gives; 0: none */
};

struct pacer {
    /* Settings; see pacer_set_*(). */
    int percent;           /* GOGC; -1: off */
    uint64_t least_goal_b; /* no goal by GOGC is less; 0 in Go */
    uint64_t memory_limit_b;

    /* The owner keeps these. */
    uint64_t live_b;      /* what the last cycle marked and all allocated since */
    uint64_t scannable_b; /* of live_b, what marking would have to read */
    uint64_t stacks_b;    /* most that stacks can have to scan */
    uint64_t globals_b;   /* data segments, registered ranges */
    struct pacer_work done;
    struct pacer_memory memory;

    /* Of the last cycle. */
    uint64_t marked_b;       /* live after it */
    uint64_t last_heap_b;    /* scanned in it: of the heap */
    uint64_t last_stacks_b;  /* and of stacks */
    uint64_t last_goal_b;    /* the goal as it ended; 0: there was no cycle */
    double cons_mark;        /* estimate for the next one; 0: none yet */
    struct pi_controller pi; /* smooths cons_mark */

    /* Set by pacer_commit. */
    uint64_t percent_goal_b; /* goal by GOGC alone, or least_goal_b */
    uint64_t sweep_until_b;  /* no trigger below this: sweeping needs the way; 0: it is over */
    uint64_t runway_b;

    /* Of this cycle. */
    uint64_t triggered_b; /* the trigger that started it; UINT64_MAX: no cycle runs */
    struct pacer_workers workers;
    double assist_work_per_byte; /* scanning owed for each byte allocated */
    double assist_bytes_per_work;
};

/* How a cycle went; times are nanoseconds. */
struct pacer_times {
    uint64_t duration_ns; /* of marking */
    uint64_t assist_ns;   /* processor time of assists */
    uint64_t idle_ns;     /* processor time of idle workers */
    unsigned processors;
    double background; /* share of all processors that dedicated and fractional workers had; what
                          was planned is PACER_BACKGROUND */
};

/** Before the first cycle. percent < 0: off. memory_limit_b UINT64_MAX: none. */
void pacer_init(struct pacer *p, int percent, uint64_t memory_limit_b);
/** Sets GOGC, any negative number being off. Returns the old value, -1 for off. */
int pacer_set_gogc(struct pacer *p, int percent);
/** Sets the limit for all memory of the library. Returns the old value. */
uint64_t pacer_set_memory_limit(struct pacer *p, uint64_t limit_b);
/**
 * Recomputes what goal and trigger rest on. sweep_done: no span is left to sweep, as is so during a
 * cycle; false moves trigger and goal to 1 MiB above the live heap, if they are below.
 */
void pacer_commit(struct pacer *p, bool sweep_done);

/** The heap size at which marking should be over; UINT64_MAX: off. */
uint64_t pacer_goal(const struct pacer *p);
/** The heap size at which marking should start; at most the goal; UINT64_MAX: never. */
uint64_t pacer_trigger(const struct pacer *p);

/**
 * Begins a cycle: notes its trigger, clears `done`, plans the workers, computes the first assist
 * ratio. processors > 0. periodic: the clock started it, so the machine need not be filled with
 * idle workers.
 */
void pacer_start_cycle(struct pacer *p, unsigned processors, bool periodic);
/** Recomputes the assist ratio from what is allocated and scanned. */
void pacer_revise(struct pacer *p);
/** Ends a cycle: learns cons/mark from it, notes its goal. Before pacer_reset_live. */
void pacer_end_cycle(struct pacer *p, const struct pacer_times *times);
/** marked_b is what lives; of it, what was scanned (`done.heap_b`) is what can be scanned. */
void pacer_reset_live(struct pacer *p, uint64_t marked_b);

/* ---- The formulas alone ---- */

/**
 * The goal by GOGC: marked + (marked + stacks + globals) * percent / 100, and at least 4 MiB *
 * percent / 100. percent < 0 (off): UINT64_MAX.
 */
uint64_t pacer_heap_goal(uint64_t marked_b, uint64_t stacks_b, uint64_t globals_b, int percent);
/**
 * The goal by a memory limit: the limit without what is mapped and cannot become objects, without
 * what is already over it, and without PACER_HEADROOM_B. At least marked_b. No limit: UINT64_MAX.
 */
uint64_t pacer_limit_goal(uint64_t limit_b, const struct pacer_memory *memory, uint64_t marked_b);
/**
 * As many dedicated workers as come nearest to a quarter of the processors; fractional ones where
 * that misses it by more than 30 percent. processors > 0. periodic: see pacer_start_cycle.
 */
struct pacer_workers pacer_plan_workers(unsigned processors, bool periodic);

#endif
