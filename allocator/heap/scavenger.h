/* The scavenger: pages that no span uses go back to the operating system. */
#ifndef SPANHEAP_SCAVENGER_H
#define SPANHEAP_SCAVENGER_H

#include "heap/base.h"

struct cache;

/** Releases up to max_b bytes of free pages, highest addresses first. Returns the bytes released.
 */
size_t scavenger_release(struct cache *c, size_t max_b);
/** The same inside the slow section, until a stop is asked for. */
size_t scavenger_release_inside(const struct cache *c, size_t max_b);

#endif
