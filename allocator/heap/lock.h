/*
 * The library's mutex: a futex with a rank. A thread takes locks in rising rank only, so two
 * threads can never wait for each other; debug builds assert it. Held for short, bounded work only,
 * and never while the holder waits for the world to stop: a stopped thread holds no lock.
 */
#ifndef SPANHEAP_LOCK_H
#define SPANHEAP_LOCK_H

#include "heap/base.h"

enum lock_rank {
    RANK_CYCLE = 1,  /* one collection at a time */
    RANK_WORLD,      /* the list of threads; held while the world is stopped */
    RANK_CENTRAL,    /* the span lists of one span class; never two at once */
    RANK_SPECIALS,   /* what spans note about single objects */
    RANK_CLIENT,     /* what a client of the collector notes; see collector/client.h */
    RANK_PROFILE,    /* the counters of the heap profile */
    RANK_TASKS,      /* the queue of tasks, or the list of stacks; never both at once */
    RANK_QUARANTINE, /* freed slots that are held, see watch.h */
    RANK_SITES,      /* stacks that have allocated or freed, see sites.c */
    RANK_PAGEHEAP,   /* pages and arenas */
    RANK_META,       /* bookkeeping memory */
    RANK_WORK,       /* what marking has still to do */
};

struct lock {
    _Atomic uint32_t state; /* 0 free, 1 held, 2 held and somebody may wait */
    enum lock_rank rank;
};

void lock_take(struct lock *lock);
/** The same for one that is soon dropped as a rule: looks `spins` times before it sleeps. */
void lock_take_spinning(struct lock *lock, unsigned spins);
/** Takes it if it is free. */
bool lock_try(struct lock *lock);
void lock_drop(struct lock *lock);

#endif
