/*
 * Marking: from a word to an object, and from a grey object to a black one. Any number of markers
 * work at once, beside the program.
 *
 *   white  bits mark and born clear
 *   grey   mark set, and on its region's stack, or in its marker's hands
 *   black  mark set, and nowhere else: scanned; or born set
 */
#ifndef SPANHEAP_MARK_H
#define SPANHEAP_MARK_H

#include "collector/regions.h"
#include "heap/span.h"

#include <spanheap.h>

/* Words that were found and whose spans are on their way into the processor's cache. A power of 2.
 */
#define MARK_AHEAD 16

struct candidate {
    uintptr_t address;
    struct span *span;     /* of the address; NULL: none */
    const uintptr_t *slot; /* the typed slot it was read from; NULL: a word that may be anything */
};

struct marker {
    uint32_t region, last_region; /* that it owns, and owned; NO_REGION: none */
    uint32_t first, waiting;
    struct candidate ahead[MARK_AHEAD]; /* a ring of words in its own region */
    struct workbuf *out[REGIONS];       /* for other regions, not sent yet: those of out_set */
    struct workbuf *spare;              /* an empty buffer */
    uint64_t out_set;
    uint32_t data_run;  /* objects without pointers, found one after the other */
    uint64_t marked_b;  /* of the objects that it turned grey */
    uint64_t scanned_b; /* of those that it turned black */
    uint64_t stacks_b;  /* of parked stacks that it scanned */
    uint64_t read_b;    /* words that were sent, of those that it looked at */
};

/** A marker that holds nothing. */
void mark_init(struct marker *m);
/** Whether there is work that no marker holds. No lock: an old answer is possible. */
bool mark_any_work(void);
/**
 * Marks until nothing is left that this marker can see, or until it has scanned, or read of what
 * was sent, work_b bytes more. True: nothing is left; it holds nothing then.
 */
bool mark_drain(struct marker *m, uint64_t work_b);
/** Hands what the marker holds to the others. */
void mark_flush(struct marker *m);

#endif
