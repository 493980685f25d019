/*
 * The stacks that allocate and free in a heap with SH_DEBUG_HEAP=1, each kept once and for ever, as
 * text: when a bad pointer is found, perhaps in a stop, there is no time to ask the loader for the
 * names of functions.
 */
#ifndef SPANHEAP_SITES_H
#define SPANHEAP_SITES_H

#include "heap/hooks.h"

/** Around fork. */
void sites_lock_for_fork(void);
void sites_unlock_for_fork(void);

#endif
