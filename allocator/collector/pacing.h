/*
 * Where the pure pacer (pacer.h), its limiter, and the pacers of sweeping and scavenging meet the
 * running program: what they are told, and what follows from their answers. The pacer's calls are
 * serialised by a flag; allocating threads read a few published figures.
 */
#ifndef SPANHEAP_PACING_H
#define SPANHEAP_PACING_H

#include "heap/base.h"

struct marker_figures;

/** percent < 0: off. limit_b UINT64_MAX: none. */
void pacing_init(int percent, uint64_t limit_b);
/** Returns the old value. Goal and trigger change at once. */
int pacing_set_gogc(int percent);
/** The limit for all memory of the library; UINT64_MAX: none. Returns the old value. */
uint64_t pacing_set_memory_limit(uint64_t limit_b);

/** In the first stop, when the roots are known. periodic: the clock started the collection. */
void pacing_begin(bool periodic);
/** Adapts the rate of assists to what has been marked and allocated. Any thread. */
void pacing_revise(void);
/** In the last stop: learns from the collection, and computes the next goal and trigger. mark_ns:
 * how long marking took. The live heap is counted anew already. */
void pacing_end(const struct marker_figures *figures, uint64_t mark_ns);

/** No span is left to sweep: goal and trigger need not leave room for it any more. */
void pacing_sweep_done(void);
/** In the child of a fork: no collection runs, and no other thread is at the pacer. */
void pacing_abandon(void);

/** Scan work, bytes, that a byte of allocation costs now; 0: nobody needs to assist. */
double pacing_work_per_byte(void);
/** The heap is beyond its goal by a tenth: allocation waits for marking. */
bool pacing_heap_is_over(void);
/** Pages to sweep before span_b bytes are taken, so that sweeping ends before the next cycle. */
uint64_t pacing_sweep_debt(size_t span_b);
/** Bytes of memory that should go back to the operating system now. *urgent: by a limit. */
uint64_t pacing_scavenge_debt(bool *urgent);
/** The collection that has ended counts size bytes more as live: an object that is about to be. */
void pacing_count_live(uint64_t size);
/** Pages have been taken: brings the goal by a memory limit up to date, and returns how many bytes
 * of free pages must go back before these are touched, or the limit is passed. */
uint64_t pacing_over_limit(void);
/** The collector has used more than its half of the processors: no thread assists now. */
bool pacing_is_limiting(void);
/** Lets the heap grow so far whatever lives, from the next goal on. For a client of the collector.
 */
void pacing_set_least_goal(uint64_t least_b);
/** The goal by what lived, roots and GOGC, or that least one; without the room for late sweeping.
 */
uint64_t pacing_percent_goal_b(void);
/** How long that took: it is the collector's time, like an assist. */
void pacing_add_release(uint64_t ns);

#endif
