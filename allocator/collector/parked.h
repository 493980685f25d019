/*
 * Stacks that nobody runs on: those of parked tasks. The collector does not know tasks; whoever has
 * such stacks offers them here, in shares, and the markers scan them beside the program, so that a
 * stop takes no longer for any number of them.
 *
 * A parked stack does not change, so it may be read at any time after the stop that begins marking,
 * but before somebody runs on it again: who resumes one while a collection marks scans it first,
 * unless it has been scanned since the roots were read (parked_epoch). Values that others write
 * into it meanwhile are reachable from elsewhere.
 *
 * For the pacer, what is scanned of a stack is work, and as in Go it is the part in use. How much
 * there is to scan it is told by estimate, since a look at each stack would make the stop longer.
 */
#ifndef SPANHEAP_PARKED_H
#define SPANHEAP_PARKED_H

#include "collector/roots.h"

/** Takes the words in [start, end), which lie on a stack. */
typedef void (*parked_words)(void *arg, uintptr_t start, uintptr_t end);

/* Whose stack it is. */
struct parked_owner {
    uint64_t number;
    const void *runs, *started_at; /* its function; the code that started it */
};

struct parked_source {
    size_t (*shares)(void); /**< how many; grows only */
    size_t (*stacks)(void); /**< how many are in use, by somebody or parked */
    /** Calls words() for each stack of a share that is parked and was not scanned in this epoch;
     * look: for each that is parked, and it stays unscanned (the world is stopped). */
    void (*scan)(size_t share, bool look, parked_words words, void *arg);
    /** Who has the stack that an address lies on, parked or not. False: it lies on none. */
    bool (*owner)(uintptr_t address, struct parked_owner *owner);
};

/** There is one source at most. */
void parked_offer(const struct parked_source *source);
/** Counts the readings of all roots; from 1. */
extern _Atomic uint32_t parked_epoch;

/** In a stop that reads roots: figures start at 0; with all roots, a new epoch begins, and the work
 * of scanning all shares. */
void parked_begin(enum root_set set);
/** Scans a share; see struct parked_source. Returns the bytes that words() was called for. */
size_t parked_scan(size_t share, bool look, parked_words words, void *arg);
/** Calls words() for every parked stack, scanned or not; nothing counts as scanned by that. The
 * world is stopped. */
void parked_each(parked_words words, void *arg);
/** See struct parked_source. */
bool parked_owner_of(uintptr_t address, struct parked_owner *owner);
/** The words of a stack that is about to be run on, for the markers. */
void parked_hand_over(uintptr_t start, uintptr_t end);

/** Bytes scanned since parked_begin(). */
uint64_t parked_scanned_b(void);
/** Bytes that there may be to scan: as much of each stack as was used of those scanned last, and
 * what a goroutine has at least. */
uint64_t parked_most_b(void);

#endif
