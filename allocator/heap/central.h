/*
 * The central lists: for each row (span class) the spans that no thread caches, by two questions:
 * swept in this generation or not, and with free slots (partial) or without (full). A collection
 * renames the swept lists to unswept ones by moving the generation; no span is touched for that.
 * Large objects, one to a span, live in the full lists of class 0.
 *
 * The lists exist once for each processor (a shard, up to 16). A thread returns spans to its own
 * shard and looks there first, then in the others: what it gets has most often been its own before
 * and lies in its processor's cache. Fetching memory that another processor has written costs more
 * than anything else in here.
 */
#ifndef SPANHEAP_CENTRAL_H
#define SPANHEAP_CENTRAL_H

#include "heap/cache.h"
#include "heap/pageheap.h"

#define SHARDS_MAX 16u

/** Makes the lists, for so many shards, from 1 to SHARDS_MAX. False: no memory. */
bool central_init(unsigned shards);
/** How many shards there are. */
unsigned central_shards(void);
/** The shard of a new thread, and when it ends. */
unsigned central_join_shard(void);
void central_leave_shard(unsigned shard);

/**
 * Refills a thread's stock of a row with spans that have a free slot: swept partial ones, else ones
 * that sweeping finds (at most 100 are tried), else a new one; the spent ones go back. Twice as
 * many as the last time, up to 16 pages. False: there is no memory, or a stop is asked for.
 */
bool central_restock(struct cache *c, unsigned row);
/** Takes all spans of a stock back. */
void central_unstock(struct cache *c, unsigned row);
/** Enters a new large span. */
void central_add_large(struct cache *c, struct span *s);
/**
 * Acquires up to `most` unswept spans of a shard's row for sweeping, linked by next; they are in no
 * list. NULL: none is left. *empty_wanted: so many empty ones are worth keeping, because
 * threads took more spans of the row in the last cycle than are swept now.
 */
struct span *central_take_unswept(unsigned shard, unsigned row, unsigned most,
                                  unsigned *empty_wanted);
/** Files such spans, or some of them, after the sweep. */
void central_file_swept(struct span *first);
/** A slot of an uncached span was freed: files it as partial, or frees it when it is empty. */
void central_note_free(struct span *s);
/** Spans of a row in each list, for the heap walker. */
struct central_counts {
    size_t swept_partial, swept_full, unswept_partial, unswept_full;
};
struct central_counts central_count(unsigned row);

#endif
