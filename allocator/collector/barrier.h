/* The write barrier, of which there is only the switch while marking stops the world. */
#ifndef SPANHEAP_BARRIER_H
#define SPANHEAP_BARRIER_H

#include "heap/base.h"

/** Nonzero while stores of pointers must be told to the marker. Changed only in a stop. */
extern _Atomic uint32_t barrier_enabled;
/** sh_store() with the barrier on; called from assembly. */
void barrier_store_slow(void *slot, const void *value);

#endif
