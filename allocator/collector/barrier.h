/*
 * The write barriers. While a collection marks beside the program, a store of a pointer into the
 * heap is told to the markers:
 *
 *   deletion   records the value that is overwritten. With all roots read in one stop at the start,
 *              everything that could be reached then is marked: a snapshot. Nothing is read again
 *              at the end. New objects are black.
 *   insertion  records the value that is stored ("incremental update"). What a thread has loaded
 *              from the heap is in no record, so all roots are read in the stop at the end, and
 *              marked from there: that stop grows with the work. New objects are white, since a
 *              thread may fill one by plain stores before it shows it. For the same reason the stop
 *              at the start reads no stacks: what only its owner knows must not become black before
 *              it is filled.
 *   none       records nothing: marking stops the world. Forced to run beside the program
 *              (SH_BARRIER=none SH_MODE=concurrent), it loses objects.
 *
 * Sources: Yuasa, "Real-time garbage collection on general-purpose machines", 1990 (deletion);
 * Dijkstra et al., "On-the-fly garbage collection", 1978 (insertion).
 */
#ifndef SPANHEAP_BARRIER_H
#define SPANHEAP_BARRIER_H

#include "collector/workbuf.h"

enum barrier_kind {
    BARRIER_NONE,
    BARRIER_DELETION,
    BARRIER_INSERTION,
    BARRIER_WATCHED, /* records nothing either, but stores go the long way, where they are checked
                      */
};

struct thread;

/** What stores of pointers record now (enum barrier_kind). Changed only in a stop. */
extern _Atomic uint32_t barrier_enabled;
/** Nothing marks: stores record nothing. */
void barrier_off(void);
/** sh_store() with the barrier on; called from assembly. */
void barrier_store_slow(void *slot, const void *value);
/** Tells the markers of an object that the thread has come by. Stops are held off. */
void barrier_record(struct thread *t, uintptr_t address);
/** memcpy over words that are not to be followed, on a stack that may be parked: a word that was
 * there before may have looked like a pointer when the roots were read, so it is recorded. */
void barrier_copy_over(void *to, const void *from, size_t size);
/** Hands what a thread has recorded to the markers. By the thread, or in a stop. */
void barrier_flush(struct thread *t);
/** Forgets what it has recorded: the collection is given up. */
void barrier_forget(struct thread *t);

#endif
