/*
 * The heap profile: which stacks allocate, and what of it is in use, known from samples.
 *
 * An allocation is a sample when it uses up its thread's gap (hook_sample, observe/sampling.h); its
 * stack is taken when the object has been handed out and the thread is outside of the allocator.
 * Samples of one stack, size and rate are counted in one bucket, which stays for ever. The object
 * has a note (SPECIAL_SAMPLE, collector/finalizer.h) that leads to its bucket, and when it is
 * freed or swept, that is counted there too.
 *
 * What is shown is the heap at the end of the last marking, as in Go: objects made since then are
 * not shown as in use, since nobody knows yet how many of them are garbage. Sweeping finds the dead
 * of marking n after it, when new objects are already being made, so each event is counted for the
 * marking it belongs to. While n collections are done:
 *     an allocation, a call of sh_free   happens before marking n + 1   is counted for n + 1
 *     a dead object, swept               died before marking n          is counted for n
 * A bucket holds the sums of what is before n, and two stages, for n and n + 1; whoever touches it
 * first brings it up to date. Stage n is shown when the sweep is over. Before the first
 * collection all is shown. Source: Go 1.19, runtime/mprof.go (memRecord).
 */
#ifndef SPANHEAP_PROFILE_H
#define SPANHEAP_PROFILE_H

#include "heap/base.h"

struct profile_bucket;

/* The samples of one stack and size. */
struct profile_sample {
    const uintptr_t *stack; /**< return addresses, innermost first, the library's own too; stays */
    size_t nstack;
    uint64_t size_b; /**< of each object */
    uint64_t rate_b; /**< that they were taken at */
    uint64_t allocs, frees;
};

struct profile_view {
    struct profile_sample *samples;
    size_t n;
    uint64_t rate_b; /**< now, or before it was set to 0 */
};

/** Copies the counters, all at one moment. Uses malloc. False: no memory. */
bool profile_view_take(struct profile_view *view);
void profile_view_free(struct profile_view *view);
/** What a bucket's samples have in common; its counters are 0. Buckets stay. */
struct profile_sample profile_of_bucket(const struct profile_bucket *bucket);
/** Leaves the library's own frames at the innermost end out. Not inside a stop. */
void profile_skip_own_frames(struct profile_sample *sample);
/** Whether a return address lies in a function through which an allocation goes inside the library.
 * May call malloc. */
bool profile_is_own_frame(uintptr_t return_address);
/** Whether samples have ever been taken. */
bool profile_exists(void);
/** Sets the rate, 0: no samples, for an attached thread. Returns the old one. */
uint64_t profile_set_rate(uint64_t rate_b);
/** For tests: what the threads' random numbers follow from. */
void profile_seed(uint64_t seed);

#endif
