/*
 * The event ring: what the collector did and when, kept in memory until somebody writes it to a
 * file (trace.c). The newest events are kept, SH_EVENTS of them; older ones are overwritten.
 *
 * An append takes an index by one atomic addition and fills the slot of that index. It takes no
 * lock and calls neither malloc nor stdio, so it is allowed anywhere: on any thread, attached or
 * not, with any lock held, while the world is stopped, and a thread may be stopped in the middle of
 * one. Off, it costs one predictable branch.
 *
 * Nobody waits for anybody, and no event is ever read half written: a writer that finds its slot in
 * the hands of another gives its event up, and a reader passes over what is being written; see
 * event_slot.h. What a reader misses it counts as lost.
 */
#ifndef SPANHEAP_EVENTS_H
#define SPANHEAP_EVENTS_H

#include "heap/base.h"

enum event_kind {
    EVENT_MARK,        /* a phase, begin to end; marked bytes, number of the cycle */
    EVENT_SWEEP_PHASE, /* a phase: from the end of marking until no span is unswept */
    EVENT_STOP,        /* ns to stop, ns reading roots, root bytes, see event_stop_word() */
    EVENT_HEAP,        /* live bytes and goal at start_ns; a goal of UINT64_MAX is none */
    EVENT_RSS,         /* resident bytes of the process at start_ns */
    EVENT_SWEEP,       /* a thread sweeps many spans: spans, pages that came free */
    EVENT_ASSIST,      /* a thread marks to pay for its allocation: bytes scanned. For assist.c */
    EVENT_SCAVENGE,    /* memory goes back to the system: bytes. For scavenger_release() */
    EVENT_KINDS
};

struct event {
    uint64_t start_ns, end_ns; /* CLOCK_MONOTONIC */
    uint64_t args[4];          /* what they are says the kind */
    uint32_t kind;
    uint32_t thread; /* kernel's id of the thread that appended it; filled in by the append */
};

#define EVENTS_DEFAULT 16384

/* 1 while events are kept. */
extern _Atomic uint32_t events_on;

/** Sets how many events the ring will hold, from 1 on. Before the first events_start(). */
void events_set_capacity(size_t n);
/** Keeps events from now on, with those kept before. False: no memory for the ring. */
bool events_start(void);
/** Keeps no more. Those in the ring stay. */
void events_stop(void);
/** Puts an event into the ring. Only if there is one; see events_are_on(). */
void events_append(struct event e);

static inline bool
events_are_on(void)
{
    return unlikely(atomic_load_explicit(&events_on, memory_order_acquire));
}

/** An event from start_ns to end_ns. */
static inline void
events_add(enum event_kind kind, uint64_t start_ns, uint64_t end_ns, uint64_t a, uint64_t b)
{
    if (events_are_on())
        events_append((struct event){start_ns, end_ns, {a, b}, (uint32_t)kind, 0});
}

/** The time now if events are kept, else 0: no clock is read for nothing. For events_end(). */
uint64_t events_begin_slow(void);
static inline uint64_t
events_begin(void)
{
    return events_are_on() ? events_begin_slow() : 0;
}

/** An event that ends now; nothing if events were off at its events_begin(). */
void events_end_slow(enum event_kind kind, uint64_t start_ns, uint64_t a, uint64_t b);
static inline void
events_end(enum event_kind kind, uint64_t start_ns, uint64_t a, uint64_t b)
{
    if (unlikely(start_ns != 0))
        events_end_slow(kind, start_ns, a, b);
}

/** The last argument of EVENT_STOP: number of the cycle, enum sh_stop_cause, enum sh_gc_trigger. */
static inline uint64_t
event_stop_word(uint32_t cycle, uint16_t cause, uint16_t trigger)
{
    return (uint64_t)cycle << 32 | (uint64_t)cause << 16 | trigger;
}

/* ---- Reading ---- */

/* The indices that can be in the ring: [first, end). end events were appended in all. */
struct events_window {
    uint64_t first, end;
};

/** Whether there is a ring: events were started at some time. */
bool events_exist(void);
struct events_window events_window(void);
/** Copies the event of an index. False: it is overwritten, given up, or not yet complete. */
bool events_get(uint64_t index, struct event *out);

#define EVENT_NAME_B 16 /* as long as Linux has them, the end included */

/**
 * The name that a thread had when it first appended something; i counts the threads from 0. False:
 * no more. Names of the first 512 threads are kept. *thread is 0 where one is about to be written.
 */
bool events_thread_name(size_t i, uint32_t *thread, char name[EVENT_NAME_B]);

#endif
