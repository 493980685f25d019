#include "collector/workbuf.h"

#include "heap/lock.h"
#include "heap/meta.h"

static struct {
    struct lock lock;
    struct workbuf *full, *empty;
} bufs SH_STATE = {.lock = {.rank = RANK_CENTRAL}};

static struct workbuf *
take(struct workbuf **list)
{
    lock_take(&bufs.lock);
    struct workbuf *b = *list;
    if (b != NULL)
        *list = b->next;
    lock_drop(&bufs.lock);
    return b;
}

static void
put(struct workbuf **list, struct workbuf *b)
{
    lock_take(&bufs.lock);
    b->next = *list;
    *list = b;
    lock_drop(&bufs.lock);
}

static struct workbuf *
take_empty(void)
{
    struct workbuf *b = take(&bufs.empty);
    if (b == NULL)
        b = meta_alloc(sizeof *b);
    sh_require(b != NULL, "no memory for the mark queue");
    b->n = 0;
    return b;
}

static void
swap(struct workqueue *q)
{
    struct workbuf *b = q->current;
    q->current = q->spare;
    q->spare = b;
}

void
workqueue_push_slow(struct workqueue *q, uintptr_t object)
{
    swap(q);
    if (q->current != NULL && q->current->n == WORKBUF_OBJECTS) {
        put(&bufs.full, q->current);
        q->current = NULL;
    }
    if (q->current == NULL)
        q->current = take_empty();
    q->current->objects[q->current->n++] = object;
}

bool
workqueue_pop_slow(struct workqueue *q, uintptr_t *object)
{
    swap(q);
    if (q->current == NULL || q->current->n == 0) {
        struct workbuf *full = take(&bufs.full);
        if (full == NULL)
            return false;
        if (q->current != NULL)
            put(&bufs.empty, q->current);
        q->current = full;
    }
    *object = q->current->objects[--q->current->n];
    return true;
}

static void
flush_one(struct workbuf *b)
{
    if (b != NULL)
        put(b->n > 0 ? &bufs.full : &bufs.empty, b);
}

void
workqueue_flush(struct workqueue *q)
{
    flush_one(q->current);
    flush_one(q->spare);
    q->current = q->spare = NULL;
}

bool
workbuf_any_full(void)
{
    lock_take(&bufs.lock);
    bool any = bufs.full != NULL;
    lock_drop(&bufs.lock);
    return any;
}
