/*
 * Work buffers: what marking has still to do, in pieces of 2 KiB. A marker fills and empties its
 * own two buffers without a lock and exchanges whole ones with the global lists, so that markers
 * share the work. Threads that are no markers hand in buffers too: what the barrier recorded, and
 * the words of the roots.
 */
#ifndef SPANHEAP_WORKBUF_H
#define SPANHEAP_WORKBUF_H

#include "heap/base.h"

#define WORKBUF_B 2048
#define WORKBUF_WORDS ((WORKBUF_B - 2 * WORD_B) / WORD_B)

enum work_kind {
    WORK_GREY,   /* addresses of marked objects that are to be scanned */
    WORK_WORDS,  /* words that may point into objects: from variables, or recorded by the barrier */
    WORK_SCAN,   /* addresses of objects that are to be scanned, marked or not */
    WORK_FRAMES, /* the same from stacks and registers: a word may point just past an object, too */
};

struct workbuf {
    struct workbuf *next;
    uint32_t n;
    uint32_t kind; /* enum work_kind */
    uintptr_t words[WORKBUF_WORDS];
};

struct workqueue {
    struct workbuf *current, *spare; /* spare avoids a walk to the lists at every border */
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

void workqueue_push_slow(struct workqueue *q, uintptr_t object);
/** False: the marker's own buffers are empty. */
bool workqueue_pop_slow(struct workqueue *q, uintptr_t *object);
/** Makes a grey buffer from the global list the marker's own. */
void workqueue_adopt(struct workqueue *q, struct workbuf *b);
/** Hands all that the marker holds to the global lists. */
void workqueue_flush(struct workqueue *q);
/** Hands over one of the marker's buffers if it has two with work, or half of its only one. */
void workqueue_share(struct workqueue *q);

extern uint32_t workbuf_limit; /* see workbuf_set_capacity() */

static inline void
workqueue_push(struct workqueue *q, uintptr_t object)
{
    if (likely(q->current != NULL && q->current->n < workbuf_limit))
        q->current->words[q->current->n++] = object;
    else
        workqueue_push_slow(q, object);
}

static inline bool
workqueue_pop(struct workqueue *q, uintptr_t *object)
{
    if (likely(q->current != NULL && q->current->n > 0)) {
        *object = q->current->words[--q->current->n];
        return true;
    }
    return workqueue_pop_slow(q, object);
}

#endif
