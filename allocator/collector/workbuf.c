#include "collector/workbuf.h"

#include "heap/lock.h"
#include "heap/meta.h"

#include <string.h>

static struct {
    struct lock lock;
    _Atomic(struct workbuf *) full; /* read without the lock, to see whether there is any */
    struct workbuf *empty;
} bufs SH_STATE = {.lock = {.rank = RANK_WORK}};

uint32_t workbuf_limit SH_STATE = WORKBUF_WORDS;

void
workbuf_set_capacity(uint32_t words)
{
    workbuf_limit = words < WORKBUF_WORDS ? words : (uint32_t)WORKBUF_WORDS;
}

struct workbuf *
workbuf_take_empty(enum work_kind kind)
{
    lock_take(&bufs.lock);
    struct workbuf *b = bufs.empty;
    if (b != NULL)
        bufs.empty = b->next;
    lock_drop(&bufs.lock);
    if (b == NULL)
        b = meta_alloc(sizeof *b);
    sh_require(b != NULL, "no memory for the mark queue");
    b->n = 0;
    b->kind = kind;
    return b;
}

void
workbuf_put(struct workbuf *b)
{
    lock_take(&bufs.lock);
    if (b->n > 0) {
        b->next = atomic_load_explicit(&bufs.full, memory_order_relaxed);
        atomic_store(&bufs.full, b);
    } else {
        b->next = bufs.empty;
        bufs.empty = b;
    }
    lock_drop(&bufs.lock);
}

void
workbuf_close(struct workbuf **open)
{
    if (*open != NULL)
        workbuf_put(*open);
    *open = NULL;
}

void
workbuf_append(struct workbuf **open, enum work_kind kind, uintptr_t word)
{
    if (*open == NULL)
        *open = workbuf_take_empty(kind);
    (*open)->words[(*open)->n++] = word;
    if ((*open)->n >= workbuf_limit)
        workbuf_close(open);
}

struct workbuf *
workbuf_take_full(void)
{
    if (!workbuf_any_full())
        return NULL;
    lock_take(&bufs.lock);
    struct workbuf *b = atomic_load_explicit(&bufs.full, memory_order_relaxed);
    if (b != NULL)
        atomic_store(&bufs.full, b->next);
    lock_drop(&bufs.lock);
    return b;
}

bool
workbuf_any_full(void)
{
    return atomic_load(&bufs.full) != NULL;
}

void
workbuf_each(void (*visit)(const struct workbuf *b))
{
    for (struct workbuf *b = atomic_load(&bufs.full); b != NULL; b = b->next)
        visit(b);
}

void
workbuf_drop_all(void)
{
    struct workbuf *b;
    while ((b = workbuf_take_full()) != NULL) {
        b->n = 0;
        workbuf_put(b);
    }
}

void
workbuf_lock_for_fork(void)
{
    lock_take(&bufs.lock);
}

void
workbuf_unlock_for_fork(void)
{
    lock_drop(&bufs.lock);
}

/* ---- A marker's two buffers ---- */

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
    if (q->current != NULL && q->current->n >= workbuf_limit) {
        workbuf_put(q->current);
        q->current = NULL;
    }
    if (q->current == NULL)
        q->current = workbuf_take_empty(WORK_GREY);
    q->current->words[q->current->n++] = object;
}

bool
workqueue_pop_slow(struct workqueue *q, uintptr_t *object)
{
    swap(q);
    if (q->current == NULL || q->current->n == 0)
        return false;
    *object = q->current->words[--q->current->n];
    return true;
}

void
workqueue_adopt(struct workqueue *q, struct workbuf *b)
{
    if (q->current != NULL)
        workbuf_put(q->current);
    q->current = b;
}

void
workqueue_flush(struct workqueue *q)
{
    if (q->current != NULL)
        workbuf_put(q->current);
    if (q->spare != NULL)
        workbuf_put(q->spare);
    q->current = q->spare = NULL;
}

void
workqueue_share(struct workqueue *q)
{
    if (q->spare != NULL && q->spare->n > 0) {
        workbuf_put(q->spare);
        q->spare = NULL;
        return;
    }
    struct workbuf *b = q->current;
    if (b == NULL || b->n < 2)
        return;
    struct workbuf *half = workbuf_take_empty(WORK_GREY);
    half->n = b->n / 2; /* the older ones: they lead to more */
    memcpy(half->words, b->words, half->n * sizeof *half->words);
    b->n -= half->n;
    memmove(b->words, b->words + half->n, b->n * sizeof *b->words);
    workbuf_put(half);
}
