/*
 * The heap as tools see it. Where AddressSanitizer or valgrind watches the program, or
 * SH_DEBUG_HEAP=1 asks for it, the heap is *watched*:
 *   - a slot may be touched while it holds an object and not else: free slots, freed and swept
 *     objects are poisoned, for the tools that are there;
 *   - what sh_free gives back is *held* for a while (the quarantine): its slot is not used again
 *     until heap_watch.quarantine_b bytes have been freed after it;
 *   - with SH_DEBUG_HEAP=1 each object ends in a guard, freed memory is overwritten, and the stacks
 *     that allocated and freed an object are kept (slot_watch), to be named in messages.
 *
 * Nothing of it lies on a fast path: in a watched heap no thread has a cache_fast, so that each
 * allocation takes the longer way. Whether it is watched is settled before the first object.
 *
 * The collector reads what is poisoned: objects freed while it marks, words of objects that the
 * program has poisoned in part (sh_poison). It reads slots by watch_read() alone, which is not
 * instrumented, and tells valgrind to be silent meanwhile (watch_blind).
 */
#ifndef SPANHEAP_WATCH_H
#define SPANHEAP_WATCH_H

#include "heap/span.h"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_DISABLE_ERROR_REPORTING ((void)0)
#define VALGRIND_ENABLE_ERROR_REPORTING ((void)0)
#endif

struct watch {
    bool on;             /* one of the next three */
    bool asan, valgrind; /* the tool is there */
    bool debug;          /* SH_DEBUG_HEAP */
    size_t guard_b;      /* least bytes behind an object's end; a multiple of 16; 0 without debug */
    size_t quarantine_b; /* 0: none, as in a heap that is not watched */
};
extern struct watch heap_watch;

/* What a watched span notes of a slot. Written by who allocates and who frees the object. */
struct slot_watch {
    size_t size;          /* as asked for; its guard follows, up to the slot's end */
    uint32_t made, freed; /* hook_site() */
    uint32_t pooled;      /* not 0: it was given back to a pool */
};

/** tools: whether those that are there are told; quarantine_b: UINT64_MAX for the default. Before
 * the first span is made. */
void watch_init(bool tools, bool debug, uint64_t quarantine_b);

/** Nobody may touch the range from here on; its contents need not stay. For any range. */
void watch_close(uintptr_t start, size_t size);
/** It may be touched again, and holds nothing. */
void watch_open(uintptr_t start, size_t size);

/** In span_setup() and span_teardown(). False: no memory. */
bool watch_setup_span(struct span *s);
void watch_teardown_span(struct span *s);
/** A free slot is about to be zeroed and handed out. */
void watch_slot_taken(struct span *s, uint32_t index);
/** It holds an object of `size` bytes now. site: of hook_site(). Before it can be swept. */
void watch_slot_made(struct span *s, uint32_t index, size_t size, uint32_t site);
/**
 * sh_free() of a live object: fatal if its guard was overwritten; closes it. Before its bit `freed`
 * is set. The slot is held from here on; watch_hold() must follow.
 */
void watch_slot_freed(struct span *s, uint32_t index, uint32_t site);
/** Puts the slot at the end of the quarantine and lets go of those that have been there for long
 * enough. Inside the slow section. */
void watch_hold(struct span *s, uint32_t index);
/** Empties the quarantine. Inside the slow section. */
void watch_let_go_all(void);
/**
 * Around span_commit_sweep(). Before it the guards of all objects are checked, and the dead ones
 * are overwritten (if asked for) and closed; held slots count as live until it is done.
 */
void watch_before_sweep(struct span *s, bool clobber);
void watch_after_sweep(struct span *s);

/** Bytes of the object that the program may use. */
size_t watch_usable_b(const struct span *s, uint32_t index);
/** Prints what is known about an address: its object's size, who allocated and freed it. Takes no
 * lock. Nothing without SH_DEBUG_HEAP. */
void watch_explain(const void *p);

/** Notes whether the object that starts at p lies in a pool; returns what was noted before. False
 * for what is no object's start. */
bool watch_set_pooled(const void *p, bool pooled);

/** The slots among 64 that are held. */
uint64_t watch_held_word(const struct span *s, uint32_t word);

/** A store that no compiler has instrumented: reports it if it goes to poisoned memory. */
void watch_check_store(const void *slot);

/** A word of an object, poisoned or not. */
__attribute__((no_sanitize_address)) static inline uintptr_t
watch_read(const uintptr_t *slot)
{
    return __atomic_load_n(slot, __ATOMIC_RELAXED);
}

/** Between the two, valgrind reports nothing of this thread. They nest; elsewhere they are a few
 * instructions. */
static inline void
watch_blind(void)
{
    VALGRIND_DISABLE_ERROR_REPORTING;
}

static inline void
watch_see(void)
{
    VALGRIND_ENABLE_ERROR_REPORTING;
}

#endif
