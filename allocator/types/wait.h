/*
 * How a task or a thread waits. Who waits has a `parking` on its stack, and a `sh_waiter` in the
 * queue of each thing that it waits for. Who has something for it takes a waiter out of a queue
 * (wait_take), which claims the parking: of several things that a select waits for, the first one
 * wins. The queue's lock is held for all of this.
 */
#ifndef SPANHEAP_WAIT_H
#define SPANHEAP_WAIT_H

#include "types/task.h"

struct parking {
    struct task *task; /* NULL: a thread */
    _Atomic uint32_t claimed;
    _Atomic uint32_t woken; /* a thread waits on it */
    struct sh_waiter *winner;
};

struct sh_waiter {
    struct sh_waiter *next, *prev;
    struct parking *parking;
    void *value; /* to send, or where to; NULL: nowhere */
    /* Whole words: bytes between flags would keep what was there, which may look like a pointer. */
    uint32_t done; /* a value went over; 0: the channel was closed */
    uint32_t queued;
};

struct wait_queue {
    struct sh_waiter *first, *last;
};

/** A parking of the caller's. */
void wait_init(struct parking *p);
/** Waits until it is woken. unlock(arg) drops the locks that are held, when nobody can miss the
 * caller any more. */
void wait_park(struct parking *p, void (*unlock)(void *arg), void *arg, const char *why,
               const void *on, const void *at);
/** Wakes whoever was claimed. */
void wait_wake(struct parking *p);

void wait_enqueue(struct wait_queue *q, struct sh_waiter *w);
/** Takes it out if it is in. */
void wait_dequeue(struct wait_queue *q, struct sh_waiter *w);
/** Takes out, and claims, the first who has not been claimed; it has to be woken. NULL: none. */
struct sh_waiter *wait_take(struct wait_queue *q);

#endif
