/*
 * Work buffers: the grey objects. A marker fills and empties its own two buffers without a lock and
 * exchanges whole ones with the global lists, so that markers can share work.
 */
#ifndef SPANHEAP_WORKBUF_H
#define SPANHEAP_WORKBUF_H

#include "heap/base.h"

#define WORKBUF_B 2048
#define WORKBUF_OBJECTS ((WORKBUF_B - 2 * WORD_B) / WORD_B)

struct workbuf {
    struct workbuf *next;
    size_t n;
    uintptr_t objects[WORKBUF_OBJECTS];
};

struct workqueue {
    struct workbuf *current, *spare; /* spare avoids a walk to the lists at every border */
};

/** Fatal without memory: marking cannot go on. */
void workqueue_push_slow(struct workqueue *q, uintptr_t object);
bool workqueue_pop_slow(struct workqueue *q, uintptr_t *object);
/** Hands all that the marker holds to the global lists. */
void workqueue_flush(struct workqueue *q);
/** Whether the global list holds work. */
bool workbuf_any_full(void);

static inline void
workqueue_push(struct workqueue *q, uintptr_t object)
{
    if (likely(q->current != NULL && q->current->n < WORKBUF_OBJECTS))
        q->current->objects[q->current->n++] = object;
    else
        workqueue_push_slow(q, object);
}

static inline bool
workqueue_pop(struct workqueue *q, uintptr_t *object)
{
    if (likely(q->current != NULL && q->current->n > 0)) {
        *object = q->current->objects[--q->current->n];
        return true;
    }
    return workqueue_pop_slow(q, object);
}

#endif
