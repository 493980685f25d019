/*
 * Work buffers: what marking has still to do, in pieces of 2 KiB. The grey objects of a region and
 * the words that are sent there (regions.h); and, for any marker, in the global list: words of the
 * roots, what the barriers recorded, objects that are to be scanned.
 */
#ifndef SPANHEAP_WORKBUF_H
#define SPANHEAP_WORKBUF_H

#include "heap/base.h"

#define WORKBUF_B 2048
#define WORKBUF_WORDS ((WORKBUF_B - 2 * WORD_B) / WORD_B)

enum work_kind {
    WORK_GREY,   /* addresses of marked objects that are to be scanned: a region's */
    WORK_FOUND,  /* pairs: a word inside the heap, and the typed slot it was read from or 0 */
    WORK_WORDS,  /* words that may point into objects: from variables, or recorded by the barrier */
    WORK_SCAN,   /* addresses of objects that are to be scanned, marked or not */
    WORK_FRAMES, /* the same from stacks and registers: a word may point just past an object, too */
    WORK_PARKED, /* two numbers: shares of parked stacks from the first up to the second, parked.h
                  */
};

struct workbuf {
    struct workbuf *next;
    uint32_t n;
    uint32_t kind; /* enum work_kind */
    uintptr_t words[WORKBUF_WORDS];
};

/** An empty buffer of a kind. Fatal without memory: marking cannot go on. */
struct workbuf *workbuf_take_empty(enum work_kind kind);
/** Hands a buffer to the markers, or to the empty ones if it holds nothing. */
void workbuf_put(struct workbuf *b);
/** Adds a word to the caller's open buffer (NULL: a new one of the kind), and hands it over when it
 * is full. */
void workbuf_append(struct workbuf **open, enum work_kind kind, uintptr_t word);
/** Hands the open buffer over, if there is one. */
void workbuf_close(struct workbuf **open);
/** A buffer with work, or NULL. */
struct workbuf *workbuf_take_full(void);
/** Whether the global list holds work. No lock: an old answer is possible. */
bool workbuf_any_full(void);
/** Looks at all buffers with work. Nobody adds or takes one meanwhile. */
void workbuf_each(void (*visit)(const struct workbuf *b));
/** Takes all work away: the collection is given up. */
void workbuf_drop_all(void);
/** Buffers that hold work never get more than this: 1 in tests that want every exchange. */
void workbuf_set_capacity(uint32_t words);
/** Around fork. */
void workbuf_lock_for_fork(void);
void workbuf_unlock_for_fork(void);

extern uint32_t workbuf_limit; /* see workbuf_set_capacity() */

#endif
