/*
 * Regions: the heap's addresses in REGIONS shares, each a stripe in every so many. A region has one
 * marker at a time, and only that one sets marks in it. So a mark is a plain store and no locked
 * instruction, and no two processors write one line of marks in turns. What a marker finds in other
 * regions it sends there, many words at a time, to whoever will own them.
 * Source of the idea: Oancea, Mycroft, Watt, "A new approach to parallelising tracing algorithms",
 * 2009.
 *
 * Objects of a span belong to the region of its first page.
 */
#ifndef SPANHEAP_REGIONS_H
#define SPANHEAP_REGIONS_H

#include "collector/workbuf.h"
#include "heap/pageheap.h"

#define REGIONS 64 /* as many as a word has bits; no more markers than that find work at once */
#define NO_REGION REGIONS

struct region {
    _Atomic(struct workbuf *) inbox; /* WORK_FOUND, from anybody */
    /* The owner's. */
    struct workbuf *unread; /* taken from the inbox */
    struct workbuf *grey;   /* a stack of WORK_GREY; only the last buffer may be empty */
    struct workbuf *spare;
} __attribute__((aligned(CACHE_LINE_B)));

struct regions {
    struct region all[REGIONS];
    _Atomic uint64_t ready; /* has work, or had */
    _Atomic uint64_t owned;
    uint32_t stripe_shift;
};
extern struct regions regions;

/** For the heap as large as it is: in the stop that begins marking. */
void regions_begin(void);
/** The region of an address inside the heap's range. */
static inline uint32_t
region_of(uintptr_t address)
{
    return (uint32_t)((address - pageheap.base) >> regions.stripe_shift) % REGIONS;
}

/** Whether there is work in a region without an owner. An old answer is possible. */
bool regions_any(void);
/** Makes the caller the owner. False: it has one. */
bool regions_take(uint32_t id);
/** The same for a region with work, looked for from `after` on. NO_REGION: there is none. */
uint32_t regions_take_ready(uint32_t after);
/** Ends the ownership. */
void regions_leave(uint32_t id);
/** Hands words to a region; b is of the kind WORK_FOUND. Any thread. */
void regions_send(uint32_t id, struct workbuf *b);
/** The next buffer that was sent. Owner only. NULL: none. */
struct workbuf *regions_receive(uint32_t id);
/** Takes all work away: the collection is given up. */
void regions_drop_all(void);

void region_push_slow(struct region *r, uintptr_t object);
bool region_pop_slow(struct region *r, uintptr_t *object);

/** A grey object of the region. Owner only. */
static inline void
region_push(struct region *r, uintptr_t object)
{
    if (likely(r->grey != NULL && r->grey->n < workbuf_limit))
        r->grey->words[r->grey->n++] = object;
    else
        region_push_slow(r, object);
}

/** False: there is none. */
static inline bool
region_pop(struct region *r, uintptr_t *object)
{
    if (unlikely(r->grey == NULL || r->grey->n == 0))
        return region_pop_slow(r, object);
    *object = r->grey->words[--r->grey->n];
    return true;
}

#endif
