/*
 * The heap walker: recounts what the heap believes of itself. SH_VERIFY=1 runs it in each
 * collection; tests run it after each of their storms.
 */
#ifndef SPANHEAP_VERIFY_H
#define SPANHEAP_VERIFY_H

/** NULL, or what is wrong. Caches are flushed, and nobody changes the heap meanwhile. */
const char *verify_heap(void);
/** Stops the world and ends the program if the heap is inconsistent. */
void verify_now(void);
/** The same with the world stopped already. */
void verify_or_die(void);

#endif
