/*
 * Faults that can be built in, one at a time (-DSH_FAULT=FAULT_TLS): each undoes one of the
 * decisions that keep a concurrent collector in C from losing objects. The tests build each and
 * expect it to be caught; a fault that nobody catches is a hole in the tests.
 */
#ifndef SPANHEAP_FAULT_H
#define SPANHEAP_FAULT_H

#include "heap/base.h"

#define FAULT_NONE 0
#define FAULT_BARRIER_OFF 1       /* nothing is recorded */
#define FAULT_BARRIER_LATE 2      /* it is switched on when the world runs again */
#define FAULT_NO_RESTART 3        /* a thread stopped inside sh_store goes on there */
#define FAULT_TINY_BLOCK 4        /* the first stop leaves the current tiny blocks white */
#define FAULT_CACHE_NOT_FLUSHED 5 /* the last stop leaves the caches' spans where they are */
#define FAULT_TLS 6               /* thread-local storage is no root */
#define FAULT_THREAD_MISSED 7     /* the snapshot leaves out the newest thread */
#define FAULT_BORN_WHITE 8        /* new objects are not marked */
#define FAULT_WEAK_READ 9         /* a weak reference gives its object without marking it */
#define FAULT_BUFFER_KEPT 10      /* the last stop does not look at what the barriers recorded */

#ifndef SH_FAULT
#define SH_FAULT FAULT_NONE
#endif

static inline bool
fault(int which)
{
    return SH_FAULT == which;
}

#endif
