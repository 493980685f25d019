/*
 * A typed slot that points to a free object: the object was freed while somebody held it, by
 * sh_free or by a fault in the collector.
 */
#ifndef SPANHEAP_ZOMBIE_H
#define SPANHEAP_ZOMBIE_H

#include "heap/base.h"

/** Whether it ends the program. Not in a library whose typed objects may be wrong about that. */
extern bool zombies_are_fatal;

/** By a marker, who has seen that it is so. */
void zombie_found(const uintptr_t *slot, uintptr_t address);

#endif
