/*
 * What the heap asks of the collector, and of the heap profile. The heap declares, the rooms above
 * define: so the heap needs no header of theirs, and can be tested with a few stubs in their place.
 */
#ifndef SPANHEAP_HOOKS_H
#define SPANHEAP_HOOKS_H

#include "heap/base.h"

struct cache;
struct span;

/** The calling thread has no cache: starts the library if need be. Fatal for an unknown thread. */
struct cache *hook_attach_caller(void);
/** About to take memory for new objects: the thread pays for what it has taken before, by marking
 * for the collection that runs or by sweeping for the last one. Holds nothing. */
void hook_pay(struct cache *c);
/** The heap may have grown to where a collection is to begin, or will with coming_b bytes more,
 * which the next object takes: begins it, or runs it. Holds nothing. Returns how many collections
 * had run before. */
uint32_t hook_trigger(size_t coming_b);
/** That object is there now: it counts as live, as in Go, if a collection has run since then. In
 * the section in which it was made: no stop may come between. */
void hook_count_live(size_t size, uint32_t cycles);
/** An object is about to be freed while a collection marks: what it points to may be reachable only
 * through it (sh_realloc has copied it), so it is marked and scanned all the same. */
void hook_mark_freed(struct span *s, uint32_t index);
/** An object with notes of the collector is about to be freed by sh_free: they go with it. */
void hook_forget_specials(struct span *s, uintptr_t object);
/** A new object of `size` bytes ends a gap between two samples of the heap profile. Holds nothing.
 */
void hook_sample(struct cache *c, uintptr_t object, size_t size);
/** A number for the stack that calls the library, which stays; 0: there is none. Holds nothing. */
uint32_t hook_site(void);
/** Its functions, a line each, ready to be printed; NULL for 0. Takes no lock. */
const char *hook_site_text(uint32_t site);
/** No memory for `size` bytes: collects, asks the user's hook. True: try again. */
bool hook_out_of_memory(size_t size, unsigned attempt);
/** A stop is asked for, and the thread is at a place where it can stop. */
void hook_stop_here(struct cache *c);
/** Sweeps a span that this thread has acquired. True: no object is left in it. */
bool hook_sweep_span(struct cache *c, struct span *s);
/** Counts what this thread has swept since it last did so. */
void hook_sweep_settle(struct cache *c);
/** Sweeps until npages pages have come free or nothing is left to sweep. */
void hook_reclaim_pages(struct cache *c, size_t npages);
/** Pages were taken from the page heap and are not touched yet: if the heap is beyond a memory
 * limit now, gives others back. Inside the slow section. */
void hook_pages_taken(struct cache *c);
/** Zeroes memory that no span covers yet, while the world may stop. */
void hook_zero_pages(void *p, size_t size);

#endif
