/*
 * What a marker finds in regions that are not its own: it collects the words by region, and hands
 * them over many at a time (regions.h).
 */
#ifndef SPANHEAP_OUTGOING_H
#define SPANHEAP_OUTGOING_H

#include "collector/mark.h"

/** An empty buffer for a region; what the marker has for it already is sent. */
struct workbuf *outgoing_open(struct marker *m, uint32_t region);
/** Sends all that the marker has. */
void outgoing_send_all(struct marker *m);

/** A word that leads to another region. slot: as in struct candidate. */
static inline void
outgoing_add(struct marker *m, uint32_t region, uintptr_t address, const uintptr_t *slot)
{
    struct workbuf *b = m->out[region];
    if (unlikely((m->out_set >> region & 1) == 0 || b->n >= workbuf_limit))
        b = outgoing_open(m, region);
    b->words[b->n++] = address;
    b->words[b->n++] = (uintptr_t)slot;
}

#endif
