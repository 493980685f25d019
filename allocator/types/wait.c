#include "types/wait.h"

#include "collector/world.h"
#include "heap/os.h"

void
wait_init(struct parking *p)
{
    *p = (struct parking){.task = task_self()};
}

static void
sleep_until_woken(void *parking)
{
    struct parking *p = parking;
    while (!atomic_load(&p->woken))
        os_futex_wait(&p->woken, 0, 0);
}

void
wait_park(struct parking *p, void (*unlock)(void *arg), void *arg, const char *why, const void *on,
          const void *at)
{
    if (p->task != NULL) {
        task_park(unlock, arg, why, on, at);
        return;
    }
    unlock(arg);
    world_safe_call(sleep_until_woken, p);
}

void
wait_wake(struct parking *p)
{
    if (p->task != NULL) {
        task_ready(p->task);
        return;
    }
    /* The parking may be gone as soon as the word is 1: nothing but its address is used then. */
    _Atomic uint32_t *word = &p->woken;
    atomic_store(word, 1);
    os_futex_wake_one(word);
}

void
wait_enqueue(struct wait_queue *q, struct sh_waiter *w)
{
    w->next = NULL;
    w->prev = q->last;
    w->queued = true;
    if (q->last != NULL)
        q->last->next = w;
    else
        q->first = w;
    q->last = w;
}

void
wait_dequeue(struct wait_queue *q, struct sh_waiter *w)
{
    if (!w->queued)
        return;
    if (w->prev != NULL)
        w->prev->next = w->next;
    else
        q->first = w->next;
    if (w->next != NULL)
        w->next->prev = w->prev;
    else
        q->last = w->prev;
    w->queued = false;
}

struct sh_waiter *
wait_take(struct wait_queue *q)
{
    struct sh_waiter *w;
    while ((w = q->first) != NULL) {
        wait_dequeue(q, w);
        uint32_t free = 0;
        if (!atomic_compare_exchange_strong(&w->parking->claimed, &free, 1))
            continue;
        w->parking->winner = w;
        return w;
    }
    return NULL;
}
