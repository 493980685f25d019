/*
 * What a span notes about single objects beyond their bits: finalizers, weak references, and which
 * are samples of the heap profile. As in Go:
 *   - What can be reached from an object with a finalizer is marked in every cycle, the object
 *     itself not. If nobody else reaches it, the sweep keeps it once more, whole, and queues its
 *     finalizer. So a chain of such objects is finalized one a cycle, from its head on, and a ring
 *     with a finalizer in it never.
 *   - A weak reference is cleared in that same sweep, before the finalizer is queued: the object
 * does not come back through it. Between the end of marking and the sweep of a span, reading one
 * asks the object's mark.
 *   - A sample that its finalizer has brought back has not died yet.
 * Source: Go 1.19, runtime/mheap.go and mgcmark.go (specials); Go 1.24 for
 * weak pointers.
 */
#ifndef SPANHEAP_FINALIZER_H
#define SPANHEAP_FINALIZER_H

#include "heap/cache.h"

struct profile_bucket;

enum special_root {
    SPECIAL_ROOT_OBJECT,   /* what an object with a finalizer points to is kept, for that; the
                              object itself is not */
    SPECIAL_ROOT_ARGUMENT, /* of its finalizer */
    SPECIAL_ROOT_WEAK,     /* a weak reference's own memory, while its object lives */
    SPECIAL_ROOT_QUEUED,   /* an object whose finalizer is to run, or runs next */
};

/** Visits all that the notes hold: a word, and the object that has the note. The world is stopped.
 * Returns how many there are. */
size_t finalizer_each_root(void (*visit)(void *arg, enum special_root kind, uintptr_t word,
                                         uintptr_t object),
                           void *arg);
/**
 * In a stop that reads roots: hands over what the notes hold (arguments, weak references' own
 * memory, queued objects), and, to be scanned though not marked, the objects with finalizers.
 * Returns the bytes read.
 */
size_t finalizer_read_roots(void);
/** Looks after the dead objects of a span that is about to be swept. */
void finalizer_sweep(struct span *s);
/** Notes that a new object, which the caller holds, is a sample, and tells its bucket. */
void finalizer_note_sample(uintptr_t object, struct profile_bucket *bucket);
/** Visits the objects of a span that are samples. The world is stopped. */
void finalizer_each_sample(const struct span *s,
                           void (*visit)(uintptr_t object, struct profile_bucket *bucket));
/** Around fork. */
void finalizer_lock_for_fork(void);
void finalizer_unlock_for_fork(void);
/** In the child: the thread that ran finalizers is gone. */
void finalizer_forget_thread(void);

#endif
