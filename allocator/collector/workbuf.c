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
