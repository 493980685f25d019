/*
 * The library's own threads. They mark while a collection marks, sweep when it is over, give pages
 * back, and start the collection that is due by time. They block every signal but the stop signal,
 * hold no reference to any object, and start with the first collection: a program that never
 * collects has none, and a daemon may fork before.
 *
 * Marking is meant to take a quarter of the processors. There is one worker for each four of them,
 * and where one is more than a quarter it runs at a lower priority: with all processors busy it
 * then gets about that share, and idle processors it has for itself.
 */
#ifndef SPANHEAP_BACKGROUND_H
#define SPANHEAP_BACKGROUND_H

#include "heap/base.h"

/** Starts the workers if they do not run. Safe state, under the cycle lock, world not stopped. */
void background_start(void);
/** There is something to mark, to sweep or to give back. */
void background_wake(void);
/** Marking is over. Where one collection follows the other within milliseconds, the program sweeps
 * by itself, and a worker that was woken each time would only be in its way: one that waits for the
 * end of SWEEP_DELAY is left alone. */
void background_wake_to_sweep(void);
/** In the child of a fork they are gone. */
void background_forget(void);
/** Whether the library may have threads of its own. */
bool background_is_allowed(void);
/** At most so many workers from now on: 0 leaves all work to the program's threads (SH_WORKERS). */
void background_limit(unsigned workers);

#endif
