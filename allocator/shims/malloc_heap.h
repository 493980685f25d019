/*
 * A malloc over the heap's spans, without a collector: small objects.
 *
 * A *malloc heap* has spans of its own and, as a rule, a thread that uses it. Heaps outlive
 * threads: when one ends, its heap waits with all its spans for the next thread, and a span never
 * changes its heap. So the owner allocates and frees without a lock or an atomic operation, and
 * whoever frees another's object finds its heap in the span.
 *
 * Which slots of a span are free:
 *   - those whose bit `alloc` is 0, and those in its row's `free`, which were taken out of `alloc`
 *     64 at a time; only the owner changes these;
 *   - those whose bit `freed` is 1: freed by other threads. The owner moves them to `alloc` when it
 *     needs a slot. A span with such bits is in the heap's list `foreign`, once, by foreign_next.
 * `alloc_count` counts the bits of `alloc` that are 1. All bits lie outside the objects, so that a
 * write beyond an object's end cannot corrupt them, and a double free is always seen.
 *
 * Where a span is (`filed`): the current one of its row; with free slots, in a list of its row;
 * empty, in another one; full, in none. The list of those with free slots is a stack: the newest
 * free slot is warm in the caches, and the spans at the bottom become empty.
 *
 * Rows are sizes: multiples of 16 up to 1024, then eight to a doubling, up to 32 KiB. They are
 * finer than the collector's classes, as rounding is most of what a malloc wastes. All are
 * multiples of 16, so every object is aligned to 16.
 */
#ifndef SPANHEAP_MALLOC_HEAP_H
#define SPANHEAP_MALLOC_HEAP_H

#include "heap/pageheap.h"

#define STEP_B 16
#define STEPS_MAX_B 1024 /* rows are multiples of STEP_B up to here */
#define MALLOC_ROWS (STEPS_MAX_B / STEP_B + 1 + 5 * 8)

/* struct span's `filed`. */
enum filed { FILED_FULL, FILED_PARTIAL, FILED_EMPTY, FILED_CURRENT };

struct malloc_row {
    uint64_t free;     /* bit i: the slot i after `first` is at hand */
    uintptr_t first;   /* slot 0 of that word */
    struct span *span; /* that it is of; NULL: none yet */
    uint32_t slot_b;
    uint32_t dirty; /* the slots may hold old contents */
};

enum heap_state {
    HEAP_IDLE, /* anybody may take it */
    HEAP_USED, /* by one thread, for as long as it lives, or for a moment */
    HEAP_TORN, /* its thread is not in this process, which fork has made */
};

struct malloc_heap {
    struct malloc_row rows[MALLOC_ROWS]; /* [0] is never filled: malloc(0) takes the slow way */
    struct span_list partial[MALLOC_ROWS], empty[MALLOC_ROWS];
    size_t pages, empty_pages;
    unsigned cursor;          /* the row whose empty spans are released next */
    struct malloc_heap *next; /* of all heaps */
    _Atomic uint32_t state __attribute__((aligned(CACHE_LINE_B)));
    _Atomic(struct span *) foreign;
};

/* The calling thread's; malloc_no_heap, which has no free slot, until it needs one, and when the
   thread has ended. */
extern _Thread_local struct malloc_heap *malloc_self __attribute__((tls_model("initial-exec")));
extern struct malloc_heap malloc_no_heap;

/** The row of a size up to SMALL_MAX_B. */
static inline unsigned
malloc_row_of(size_t size)
{
    if (likely(size <= STEPS_MAX_B))
        return (unsigned)((size + STEP_B - 1) / STEP_B);
    unsigned shift = 63 - (unsigned)__builtin_clzll(size - 1);
    return STEPS_MAX_B / STEP_B + (shift - 10) * 8 + (unsigned)((size - 1) >> (shift - 3)) - 7;
}

/** The slot size of a row. */
static inline size_t
malloc_slot_b(unsigned row)
{
    if (row <= STEPS_MAX_B / STEP_B)
        return (size_t)row * STEP_B;
    unsigned above = row - STEPS_MAX_B / STEP_B - 1;
    return (size_t)(9 + above % 8) << (7 + above / 8);
}

/** A slot at hand, or NULL. */
static inline void *
malloc_take(struct malloc_row *row)
{
    uint64_t free = row->free;
    if (unlikely(free == 0))
        return NULL;
    row->free = free & (free - 1);
    return (void *)(row->first + (uintptr_t)__builtin_ctzll(free) * row->slot_b);
}

/** Chooses the lengths of spans. Before anything else. */
void malloc_rows_init(void);
/** The pages of a row's spans. */
size_t malloc_row_pages(unsigned row);
/** Puts free slots at hand. False: no memory. By who uses the heap. */
bool malloc_refill(struct malloc_heap *h, unsigned row);
/** Frees a slot that begins at p, by who uses the heap. Fatal if it is not allocated. */
void malloc_free_own(struct malloc_heap *h, struct span *s, uintptr_t p);
/** Frees it by anyone else: the heap that the span belongs to is told. */
void malloc_free_foreign(struct span *s, uintptr_t p);
/** Takes back what others have freed. */
void malloc_drain(struct malloc_heap *h);
/** Gives all that can be given back to the page heap, so that others may have it. */
void malloc_flush(struct malloc_heap *h);
/** Finds the lists and counters of a torn heap again, from its spans' bits. */
void malloc_mend(struct malloc_heap *h);
/** Ends the program: p cannot be freed. s: its span or NULL. */
_Noreturn void malloc_bad_free(const struct span *s, uintptr_t p);

/* ---- malloc_thread.c ---- */

/** Before anything else. Does nothing the next time. */
void malloc_start(void);
/** The calling thread's heap, got for it if need be. NULL: no memory, or the thread has ended: then
 * malloc_borrow() one. */
struct malloc_heap *malloc_attach(void);
/** A heap that nobody uses, for a moment. NULL: no memory. */
struct malloc_heap *malloc_borrow(void);
/** Lets go of it. */
void malloc_release(struct malloc_heap *h);
/** Takes back what was freed in a heap that nobody uses. */
void malloc_help(struct malloc_heap *h);
/** Flushes the calling thread's heap and all that nobody uses. */
void malloc_flush_all(void);

/* ---- malloc_large.c ---- */

/** Whole pages, or an object whose alignment is beyond a page's. NULL: no memory. zeroed: it is to
 * be all zero. */
void *malloc_large(size_t size, size_t align, bool zeroed);
void malloc_free_large(struct span *s, uintptr_t p);
/** Makes it so long where it lies. False: it has to be moved. */
bool malloc_resize_large(struct span *s, size_t size);
/** Pages were freed: gives memory back to the system if there is much. */
void malloc_trim_some(void);
/** Gives all free pages back. True: there were some. */
bool malloc_trim_all(void);

#endif
