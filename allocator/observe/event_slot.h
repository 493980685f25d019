/*
 * One slot of the event ring, and the rules by which threads share it without a lock.
 *
 * sequence is 0 if the slot was never used, odd while it is being written, and 2 * (index + 1) when
 * it holds the event of that index. A writer claims the slot, fills it, publishes it. It gets no
 * claim while another is writing (that one may be stopped, a whole round of the ring behind), or
 * once a newer event is there: then it gives its own event up. A reader copies the words and looks
 * at the number before and after.
 *
 * The order: each word is stored with release and loaded with acquire. So a reader that has seen a
 * word of a later event has seen the claim before it too, and its second look finds another number.
 */
#ifndef SPANHEAP_EVENT_SLOT_H
#define SPANHEAP_EVENT_SLOT_H

#include "observe/events.h"

#include <string.h>

#define EVENT_WORDS (sizeof(struct event) / sizeof(uint64_t))

struct event_slot {
    _Atomic uint64_t sequence;
    _Atomic uint64_t words[EVENT_WORDS];
};
_Static_assert(sizeof(struct event_slot) == CACHE_LINE_B, "a slot is a cache line");

/** Takes the slot for the event of an index. False: the event must be given up. */
static inline bool
event_slot_claim(struct event_slot *s, uint64_t index)
{
    uint64_t seen = atomic_load_explicit(&s->sequence, memory_order_relaxed);
    return seen % 2 == 0 && seen <= 2 * index &&
           atomic_compare_exchange_strong(&s->sequence, &seen, 2 * index + 1);
}

static inline void
event_slot_fill(struct event_slot *s, const struct event *e)
{
    uint64_t words[EVENT_WORDS];
    memcpy(words, e, sizeof words);
    for (size_t i = 0; i < EVENT_WORDS; i++)
        atomic_store_explicit(&s->words[i], words[i], memory_order_release);
}

static inline void
event_slot_publish(struct event_slot *s, uint64_t index)
{
    atomic_store_explicit(&s->sequence, 2 * (index + 1), memory_order_release);
}

/** Whether the slot holds the event of an index: the reader's look before and after. */
static inline bool
event_slot_holds(struct event_slot *s, uint64_t index)
{
    return atomic_load_explicit(&s->sequence, memory_order_acquire) == 2 * (index + 1);
}

static inline void
event_slot_copy(struct event_slot *s, struct event *out)
{
    uint64_t words[EVENT_WORDS];
    for (size_t i = 0; i < EVENT_WORDS; i++)
        words[i] = atomic_load_explicit(&s->words[i], memory_order_acquire);
    memcpy(out, words, sizeof *out);
}

/** Where the event of an index has its place. There must be a ring. */
struct event_slot *events_slot(uint64_t index);

#endif
