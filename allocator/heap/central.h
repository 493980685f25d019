/*
 * The central lists: for each row (span class) the spans that no thread caches, by two questions:
 * swept in this generation or not, and with free slots (partial) or without (full). A collection
 * renames the swept lists to unswept ones by moving the generation; no span is touched for that.
 * Large objects, one to a span, live in the full lists of class 0.
 */
#ifndef SPANHEAP_CENTRAL_H
#define SPANHEAP_CENTRAL_H

#include "heap/cache.h"
#include "heap/pageheap.h"

/** Makes the lists. False: no memory. */
bool central_init(void);

/**
 * A span with a free slot, for the thread's cache: a swept partial one, else one that sweeping
 * finds (at most 100 are tried), else a new one. NULL: no memory.
 */
struct span *central_take(struct cache *c, unsigned row);
/** Takes a span back from a cache. */
void central_put(struct cache *c, struct span *s);
/** Enters a new large span. */
void central_add_large(struct span *s);
/** Acquires one unswept span of a row for sweeping, out of all lists; NULL: none is left. */
struct span *central_take_unswept(unsigned row);
/** Files a span that was swept and is not empty. */
void central_file_swept(struct span *s);
/** A slot of an uncached span was freed: files it as partial, or frees it when it is empty. */
void central_note_free(struct span *s);
/** Spans of a row in each list, for the heap walker. */
struct central_counts {
    size_t swept_partial, swept_full, unswept_partial, unswept_full;
};
struct central_counts central_count(unsigned row);

#endif
